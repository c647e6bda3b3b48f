"""Every permission that this product uses, with the reason for it.

``downtime doctor`` asks the API server for each; ``docs/permissions.md`` and the RBAC manifest are made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cluster import names

_BOOKKEEPING = names.NAMESPACE
_BACKEND = "runai-backend"
_NO_BACKUP = "no backup set can be taken"


@dataclass(frozen=True)
class Permission:
    """Verbs on resources of one group.

    Attributes:
        resources: their plural names.
        why: what it is needed for; without a full stop.
        group: API group; empty: the core group.
        namespace: only in this one; empty: in the whole cluster.
        without: what is different without it; empty: it is needed.
    """

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    why: str
    group: str = ""
    namespace: str = ""
    without: str = ""

    @property
    def optional(self) -> bool:
        """Whether the product works without it."""
        return bool(self.without)

    @property
    def title(self) -> str:
        """``get, list nodes`` and so on, for people."""
        group = f".{self.group}" if self.group else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{', '.join(self.verbs)} {', '.join(f'{one}{group}' for one in self.resources)}{where}"


def _owners(group: str, *resources: str) -> Permission:
    why = "what a researcher submitted, and who it was: the owners of a pod"
    return Permission(("get",), resources, why, group, without="such work counts as unknown, and a person is asked")


_DOWNTIMES = (
    Permission(("get", "list", "watch"), ("nodes",), "taints, cordon, boot id, readiness and GPUs of nodes"),
    Permission(
        ("update",),
        ("nodes",),
        "cordon, drain taint, label of a system node for a while; in the same update that they are this product's own",
    ),
    Permission(("delete",), ("nodes",), "removing a node for good"),
    Permission(("list",), ("persistentvolumes",), "which data lies on one node alone"),
    Permission(("list", "watch"), ("pods",), "what runs on a node, when it is gone, and where it went"),
    Permission(("get",), ("namespaces",), "which cluster it is (uid of kube-system), and whether it is self-hosted"),
    Permission(("list",), ("poddisruptionbudgets",), "budgets that the drain would violate", "policy"),
    Permission(("list",), ("priorityclasses",), "what kind of work a pod is", "scheduling.k8s.io"),
    Permission(("list",), ("projects",), "which namespaces belong to projects", "run.ai"),
    Permission(("get",), ("runaiconfigs",), "whether the Run:ai service is Available", "run.ai", "runai"),
    Permission(
        ("list",),
        ("deployments", "statefulsets", "daemonsets"),
        "whether the Run:ai service has its pods, before and after (in runai and runai-backend, if it exists)",
        "apps",
    ),
    Permission(
        ("get", "list", "watch"),
        ("leases",),
        "whether a kubelet is alive: it renews its lease",
        "coordination.k8s.io",
        "kube-node-lease",
    ),
    Permission(("list",), ("volumeattachments",), "volumes that stay attached to a node that failed", "storage.k8s.io"),
    Permission(
        ("list",),
        ("csinodes",),
        "whether the volumes of what moves can be attached to other nodes",
        "storage.k8s.io",
        without="work with volumes of CSI drivers is said to wait",
    ),
    Permission(
        ("get", "list", "create", "update", "delete"), ("configmaps",), "records of downtimes", namespace=_BOOKKEEPING
    ),
    Permission(
        ("get", "list", "watch", "create", "update"), ("leases",), "locks of nodes", "coordination.k8s.io", _BOOKKEEPING
    ),
    Permission(
        ("get", "create", "delete"),
        ("pods",),
        "a pod that uses a GPU of a node before it gets work again, where 'smoke_pod' under [checks] names an image",
        namespace=_BOOKKEEPING,
        without="no such pod can be run; where one is configured, nodes with GPUs stay out of service",
    ),
    Permission(
        ("create",),
        ("namespaces",),
        f"making {_BOOKKEEPING}",
        without=f"the namespace {_BOOKKEEPING} must exist already",
    ),
    Permission(
        ("create",),
        ("events",),
        "telling about a downtime in 'kubectl describe node'",
        namespace="default",
        without="no Events are written",
    ),
    Permission(
        ("create",),
        ("events",),
        "telling the owners of interactive work in 'kubectl describe pod', where they are given notice",
        without="owners are told by the ways under [notify] alone",
    ),
    Permission(
        ("list", "delete"),
        ("secrets",),
        "join tokens and certificates that are uploaded for a join: finding those of this product, and deleting them",
        namespace="kube-system",
        without="no machine can be rejoined",
    ),
    Permission(
        ("get",),
        ("configmaps",),
        "the cluster's certificate authority, by which a machine of another cluster is recognised, and kubeadm's "
        "configuration of the cluster, with which control-plane nodes join",
        namespace="kube-system",
        without="no machine that has joined before can be rejoined",
    ),
    Permission(
        ("create",),
        ("pods/eviction",),
        "moving system pods off a node that was a system node for a while; workloads before the taint, with --eviction "
        "or where the taint would end a node plugin of volumes",
        without="system pods and the label of a system node stay there; no workload can be evicted before the taint",
    ),
    _owners("apps", "replicasets", "deployments", "statefulsets"),
    _owners("batch", "jobs", "cronjobs"),
    _owners(
        "run.ai",
        "runaijobs",
        "trainingworkloads",
        "interactiveworkloads",
        "distributedworkloads",
        "inferenceworkloads",
        "externalworkloads",
    ),
    _owners("kubeflow.org", "pytorchjobs", "tfjobs", "mpijobs", "xgboostjobs"),
)

BACKUPS = (
    Permission(
        ("get", "create"),
        ("pods/exec",),
        "dumping the control plane's database in its pod, and reading the metrics in theirs (get: the request is a "
        "websocket; create: Kubernetes 1.35 and later ask for that too)",
        namespace=_BACKEND,
        without=f"{_NO_BACKUP}, unless the database is outside of the cluster",
    ),
    Permission(
        ("get",),
        ("pods",),
        "which container of a pod has the database, or the metrics",
        namespace=_BACKEND,
        without=f"{_NO_BACKUP}, unless the database is outside of the cluster",
    ),
    *(
        Permission(
            ("get", "list"),
            ("secrets",),
            f"the values and the chart of the Helm release {release}, which Helm keeps in Secrets{also}",
            namespace=namespace,
            without=_NO_BACKUP,
        )
        for namespace, release, also in (
            (_BACKEND, "runai-backend", "; the database's password"),
            ("runai", "runai-cluster", ""),
        )
    ),
    *(
        Permission(
            ("get", "list"),
            ("*",),
            "saving projects, queues, node pools, access rules: which kinds there are differs between versions",
            group,
            without="kinds that may not be listed are left out of backup sets, with a warning",
        )
        for group in ("run.ai", "scheduling.run.ai")
    ),
    Permission(
        ("get",),
        ("persistentvolumeclaims",),
        "which volume the metrics are on",
        namespace=_BACKEND,
        without="metrics are streamed out of their pod, although the volume's driver could make a snapshot",
    ),
    Permission(
        ("get",),
        ("persistentvolumes",),
        "which driver the metrics' volume is of",
        without="metrics are streamed out of their pod, although the volume's driver could make a snapshot",
    ),
    Permission(
        ("list",),
        ("volumesnapshotclasses",),
        "how a snapshot of the metrics' volume is made",
        "snapshot.storage.k8s.io",
        without="metrics are streamed out of their pod",
    ),
    Permission(
        ("get",),
        ("volumesnapshotcontents",),
        "the handle by which the storage knows a snapshot of the metrics' volume: another cluster needs it",
        "snapshot.storage.k8s.io",
        without="a snapshot of the metrics can be restored in this cluster alone",
    ),
    Permission(
        ("get", "list", "create", "delete"),
        ("volumesnapshots",),
        "snapshots of the metrics' volume; those of this product are deleted when they are old",
        "snapshot.storage.k8s.io",
        _BACKEND,
        "metrics are streamed out of their pod",
    ),
)
"""What taking a backup set needs besides."""

PERMISSIONS = (*_DOWNTIMES, *BACKUPS)

Allowed = Callable[[str, str, Permission], bool]


def missing(permission: Permission, allowed: Allowed) -> tuple[str, ...]:
    """What of a permission is not granted, as ``verb resource``.

    Args:
        allowed: is asked with verb, resource and the permission.
    """
    return tuple(
        f"{verb} {resource}"
        for resource in permission.resources
        for verb in permission.verbs
        if not allowed(verb, resource, permission)
    )
