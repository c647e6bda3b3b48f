"""Makes ``docs/permissions.md`` and ``deployments/manifests/rbac.yaml`` from the permissions that the product uses.

``python -m deployments.permission_documents`` writes both; a test holds them in step.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cluster import names
from cluster.permissions import PERMISSIONS, Permission

_ROOT = Path(__file__).parents[1]
MARKDOWN = _ROOT / "docs" / "permissions.md"
MANIFEST = _ROOT / "deployments" / "manifests" / "rbac.yaml"

_INTRODUCTION = f"""# Permissions

What `downtime` does with the Kubernetes API, and the permission that each needs.
[`deployments/manifests/rbac.yaml`](../deployments/manifests/rbac.yaml) grants exactly these to the service account
`{names.NAMESPACE}/{names.NAMESPACE}`; `downtime doctor` tries every one.

It reads Secrets for backup sets alone (Helm's releases, and the password of the control plane's database), unless the
configuration refers to one (`sudo_password`, `storage_options`, `client_secret`): then grant `get` on that one Secret
by its name. On a cluster whose control plane is the vendor's service, leave out what is granted in the namespace
`runai-backend`.

A drain is an update of the Node, with the taint. Pods are evicted through the API where system pods leave a node that
is to be no system node any more, with `--eviction`, and where the taint would end a node plugin of volumes.
"""
_ON_HOSTS = """
## On the hosts

Over SSH the user reads `/proc/sys/kernel/random/boot_id` and `/etc/machine-id`, runs `nvidia-smi` where it exists, and
runs as root, by `sudo`:

| command | where | for |
| --- | --- | --- |
| `systemctl poweroff` | every host (unless `[power] off` is another) | shutting it down |
| `systemctl restart kubelet` | every host | unplanned recovery with `--dead-kubelet restart` |
| `crictl ps`, `crictl exec`, else `etcdctl` | control-plane hosts | which members of etcd are healthy |
| `journalctl --dmesg` | hosts with GPUs (unless `[checks] xid = false`) | Xid errors since their start |
| `kubeadm`, and small scripts by `sh` | hosts that leave or join, and one control-plane host | removal and rejoin |

## In Run:ai

With `[runai]`, the service account (or application) needs a role that may see workloads of all projects on the cluster,
and suspend and resume workspaces, trainings and distributed workloads there; nothing else. `downtime doctor` sees that
it is given a token and shown workloads; a suspension that is forbidden is an error in the words of the API.
"""
_HEADER = f"""# What the service account {names.NAMESPACE} may do, and why: the same as in docs/permissions.md.
# Made from cluster/permissions.py by 'python -m deployments.permission_documents'. Apply it with 'kubectl apply -f'.
apiVersion: v1
kind: Namespace
metadata:
  name: {names.NAMESPACE}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {names.NAMESPACE}
  namespace: {names.NAMESPACE}
"""


def markdown() -> str:
    """The permissions as tables."""
    needed = [one for one in PERMISSIONS if not one.optional]
    optional = [one for one in PERMISSIONS if one.optional]
    return "\n".join(
        [
            _INTRODUCTION,
            "## Needed\n",
            *_table(("verbs", "resources", "where", "for"), ((*_cells(one), one.why) for one in needed)),
            "\n## Better to have\n",
            *_table(
                ("verbs", "resources", "where", "for", "without it"),
                ((*_cells(one), one.why, one.without) for one in optional),
            ),
            _ON_HOSTS,
        ]
    )


def manifest() -> str:
    """The permissions as roles and bindings."""
    namespaces = sorted({one.namespace for one in PERMISSIONS})
    return _HEADER + "".join(f"---\n{_role(namespace)}---\n{_binding(namespace)}" for namespace in namespaces)


def _cells(one: Permission) -> tuple[str, str, str]:
    group = f".{one.group}" if one.group else ""
    where = f"namespace `{one.namespace}`" if one.namespace else "cluster"
    return ", ".join(one.verbs), ", ".join(f"`{name}{group}`" for name in one.resources), where


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *rows)]


def _kind(namespace: str) -> str:
    return "Role" if namespace else "ClusterRole"


def _metadata(namespace: str) -> str:
    inside = f"  namespace: {namespace}\n" if namespace else ""
    return f"metadata:\n  name: {names.NAMESPACE}\n{inside}"


def _role(namespace: str) -> str:
    head = f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {_kind(namespace)}\n{_metadata(namespace)}rules:\n"
    return head + "".join(_rule(one) for one in PERMISSIONS if one.namespace == namespace)


def _rule(one: Permission) -> str:
    optional = f"  # Without it: {one.without}.\n" if one.optional else ""
    return (
        f"  # {one.why}\n{optional}"
        f'  - apiGroups: ["{one.group}"]\n'
        f"    resources: [{', '.join(_word(name) for name in one.resources)}]\n"
        f"    verbs: [{', '.join(one.verbs)}]\n"
    )


def _word(resource: str) -> str:
    # Bare, an asterisk means something else in YAML.
    return f'"{resource}"' if "*" in resource else resource


def _binding(namespace: str) -> str:
    return (
        f"apiVersion: rbac.authorization.k8s.io/v1\nkind: {_kind(namespace)}Binding\n{_metadata(namespace)}"
        f"roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {_kind(namespace)}\n  name: {names.NAMESPACE}\n"
        f"subjects:\n  - kind: ServiceAccount\n    name: {names.NAMESPACE}\n    namespace: {names.NAMESPACE}\n"
    )


def write() -> None:
    """Write both documents."""
    for path, text in ((MARKDOWN, markdown()), (MANIFEST, manifest())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
