"""Taking a machine out of its cluster, over SSH: its kubelet off for good, ``kubeadm reset``, and what that leaves.

Only ever for a machine that was proven, in the same session, to be the one that is meant. Each command may be given
again after a crash at any point.

What is deleted is an explicit list. Firewall rules are left alone: those of the cluster can't be told from others, and
a flush would open the machine or lock everybody out; they are gone with the next restart.

Sources: https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-reset/ for what it leaves.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractContextManager

from cluster.api import Api
from cluster.errors import Failed
from cluster.names import NAMESPACE
from cluster.ssh import Ssh

Hold = Callable[[float], AbstractContextManager[None]]

RESET = ("kubeadm", "reset", "-f")
EMPTIED = (
    "/etc/cni/net.d",
    "/etc/kubernetes/manifests",
    "/etc/kubernetes/pki",
    "/etc/kubernetes/tmp",
    "/var/lib/etcd",
    "/var/lib/kubelet",
)
"""Folders whose content is deleted. The folders stay: containerd ends when the one of the CNI configuration goes.

``kubeadm reset`` empties the one of etcd's data as well, on a worker too, and only warns where it could not: a member
that starts with old data is refused by the others.
"""
DELETED = (
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/super-admin.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
)
_KUBELET_CONF, _KUBELET_FOLDER = DELETED[0], EMPTIED[-1]

_KUBELET_SECONDS = 120.0
_SHORT_SECONDS = 30.0
# Within one file system: what is mounted there is somebody's data.
_EMPTY = 'for one in "$@"; do [ ! -d "$one" ] || find "$one" -xdev -mindepth 1 -delete || exit 1; done'
# "$1" is the beginning of the cluster's authority, in base64 as kubeconfigs hold it.
_ROOTS_CONFIG = (
    'config="$(getent passwd root | cut -d: -f6)/.kube/config"; [ -f "$config" ] || exit 0; '
    'if grep -qF -e "$1" "$config"; then rm -f "$config" && echo deleted; else echo left; fi'
)


def reset(ssh: Ssh, authority: str, hold: Hold, seconds: float) -> str:
    """Reset the machine at the other end, and see that it is; what was done, in words.

    Args:
        authority: the cluster's certificate authority (:func:`authority_of`); empty: it is not known, and root's
            kubeconfig is left.
        hold: makes the lock outlast a command of so many seconds.
        seconds: how long ``kubeadm reset`` may take.

    Raises:
        Failed: a command failed, or the machine is not as it must be.
    """
    # The kubelet first: whatever happens next, a restart of the machine does not bring the Node back.
    with hold(_KUBELET_SECONDS):
        ssh.run(("systemctl", "disable", "--now", "kubelet"), _KUBELET_SECONDS, sudo=True)
    with hold(seconds):
        ssh.run(RESET, seconds, sudo=True)
    _require_nothing_mounted(ssh)
    with hold(3 * _SHORT_SECONDS):
        ssh.run(("rm", "-f", "--", *DELETED), _SHORT_SECONDS, sudo=True)
        ssh.run(("sh", "-c", _EMPTY, "sh", *EMPTIED), _SHORT_SECONDS, sudo=True)
        config = _roots_config(ssh, authority)
    require_out(ssh)
    return f"kubeadm reset done, kubelet stopped and disabled; {config}"


def require_out(ssh: Ssh) -> None:
    """Be sure that the machine's kubelet neither runs, nor starts with the machine, nor has credentials.

    Raises:
        Failed: ``not-reset``: it does.
    """
    active = ssh.run(("systemctl", "is-active", "kubelet"), _SHORT_SECONDS, check=False).raw.strip()
    enabled = ssh.run(("systemctl", "is-enabled", "kubelet"), _SHORT_SECONDS, check=False).raw.strip()
    credentials = ssh.run(("test", "!", "-e", _KUBELET_CONF), _SHORT_SECONDS, sudo=True, check=False).exit_code != 0
    wrong = [
        *([f"its kubelet is {ssh.masked(active)}"] if active not in ("inactive", "failed", "unknown") else []),
        *(["its kubelet starts with the machine"] if enabled.startswith("enabled") else []),
        *([f"{_KUBELET_CONF} is still there"] if credentials else []),
    ]
    if wrong:
        raise Failed(
            "not-reset",
            f"{ssh.host} was reset, but {', '.join(wrong)}: it would come back as a node",
            f"See on the machine why, then 'downtime resume {ssh.host.node}' resets it again.",
        )


def authority_of(api: Api) -> str:
    """The beginning of the cluster's certificate authority as kubeconfigs hold it; empty: it is not known.

    The control plane publishes it as ConfigMap ``kube-root-ca.crt`` in every namespace.
    """
    found = api.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/kube-root-ca.crt")
    text = str(((found or {}).get("data") or {}).get("ca.crt") or "").strip().encode()
    # Cut to whole groups of base64: kubeconfigs differ in whether a line end follows the last line.
    return base64.b64encode(text[: len(text) - len(text) % 3]).decode()


def _require_nothing_mounted(ssh: Ssh) -> None:
    """Researchers' data may be mounted below the kubelet's folder: kubeadm unmounts it, or warns that it could not."""
    lines = ssh.run(("cat", "/proc/self/mounts"), _SHORT_SECONDS).raw.splitlines()
    left = [
        ssh.masked(words[1])
        for line in lines
        if len(words := line.split()) > 1 and words[1].startswith(f"{_KUBELET_FOLDER}/")
    ]
    if left:
        raise Failed(
            "still-mounted",
            f"On {ssh.host} volumes are still mounted after the reset: {', '.join(left[:5])}. Nothing below "
            f"{_KUBELET_FOLDER} was deleted, since they may hold data",
            f"Unmount them on the machine, then 'downtime resume {ssh.host.node}'.",
        )


def _roots_config(ssh: Ssh, authority: str) -> str:
    if not authority:
        return "root's kubeconfig was left, as the cluster's authority is not known"
    said = ssh.run(("sh", "-c", _ROOTS_CONFIG, "sh", authority), _SHORT_SECONDS, sudo=True).raw.strip()
    return {
        "deleted": "root's kubeconfig deleted, as it was this cluster's",
        "left": "root's kubeconfig left, as it is another cluster's",
    }.get(said, "root has no kubeconfig")
