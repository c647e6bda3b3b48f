"""Which kind of workload a pod belongs to: by its chain of owners first, by its priority class second.

Newer Run:ai versions separate priority from type, so the owners say more. What neither tells is *unknown*, which
counts as interactive everywhere: somebody is asked.

Sources: the Run:ai documentation (repository run-ai/docs) for the kinds and the priority classes; each operator's API.
"""

from __future__ import annotations

from collections.abc import Mapping

from cluster import pods as pod_
from cluster.node import Object
from cluster.owners import Owner
from cluster.plan import WorkloadKind

# Kind to the end of its API group ("" where any group will do, since several have carried it).
_KINDS: dict[tuple[str, str], WorkloadKind] = {
    ("InteractiveWorkload", "run.ai"): "interactive",
    ("TrainingWorkload", "run.ai"): "training",
    ("DistributedWorkload", "run.ai"): "distributed",
    ("InferenceWorkload", "run.ai"): "inference",
    ("DistributedInferenceWorkload", "run.ai"): "inference",
    ("Notebook", "kubeflow.org"): "interactive",
    ("MPIJob", "kubeflow.org"): "distributed",
    ("PyTorchJob", "kubeflow.org"): "distributed",
    ("TFJob", "kubeflow.org"): "distributed",
    ("XGBoostJob", "kubeflow.org"): "distributed",
    ("PaddleJob", "kubeflow.org"): "distributed",
    ("JAXJob", "kubeflow.org"): "distributed",
    ("TrainJob", "kubeflow.org"): "distributed",
    ("RayJob", "ray.io"): "distributed",
    ("RayService", "ray.io"): "inference",
    ("JobSet", "x-k8s.io"): "distributed",
    ("InferenceService", "kserve.io"): "inference",
    ("Service", "knative.dev"): "inference",
    ("Configuration", "knative.dev"): "inference",
    ("Revision", "knative.dev"): "inference",
    ("Job", "batch"): "training",
    ("CronJob", "batch"): "training",
    ("StatefulSet", "apps"): "interactive",
}
_RUNAI = "run.ai"
# Owners whose own type says nothing: Run:ai made one of them for either kind.
_SAYS_NOTHING = ("RunaiJob",)
STANDS_FOR_OTHERS = ("ExternalWorkload",)
"""Kinds that make no pods: what stands below them does."""

_INTERACTIVE_CLASSES = ("build", "interactive-preemptible")
_INTERACTIVE_VALUE = 100
_LABEL = "priorityClassName"

# What makes new pods when those it has are deleted; others end with their pods.
_RECREATING = frozenset(
    {
        "StatefulSet",
        "Deployment",
        "ReplicaSet",
        "ReplicationController",
        "Job",
        "CronJob",
        "Notebook",
        "TrainingWorkload",
        "DistributedWorkload",
        "InferenceWorkload",
        "DistributedInferenceWorkload",
        "MPIJob",
        "PyTorchJob",
        "TFJob",
        "XGBoostJob",
        "PaddleJob",
        "JAXJob",
        "TrainJob",
        "RayJob",
        "RayService",
        "RayCluster",
        "JobSet",
        "InferenceService",
        "Service",
        "Configuration",
        "Revision",
    }
)


_REPLICAS = frozenset({"Deployment", "ReplicaSet", "ReplicationController"})
# Several pods of these serve one model together, also as inference.
_MEMBERS_OF_ONE = frozenset({"LeaderWorkerSet", "RayCluster", "RayService", "DistributedInferenceWorkload"})


def needs_approval(kind: WorkloadKind) -> bool:
    """Whether a person must agree before its pods are evicted: interactive, or not known to be anything else."""
    return kind in ("interactive", "unknown")


def of_pod(pod: Object, owners: tuple[Owner, ...], priorities: Mapping[str, int]) -> WorkloadKind:
    """The kind of the workload that the pod belongs to.

    Args:
        owners: its owners, the nearest first.
        priorities: priority classes of the cluster and their values.
    """
    by_class = _of_priority(priority_class(pod, owners), priorities)
    for owner in reversed(owners):
        found = _of_owner(owner)
        if found is not None:
            # A notebook may be submitted as a Job, and only its class says so; Run:ai's own kinds say it themselves.
            own = owner.group == _RUNAI or owner.group.endswith(f".{_RUNAI}")
            return by_class if by_class == "interactive" and not own else found
    return by_class


def recreates(owner: Owner, kind: WorkloadKind) -> bool:
    """Whether this topmost owner makes new pods when the drain deletes them.

    Run:ai does not start interactive work again that it preempted; training again up to its ``backoffLimit``. Whether
    a Job allows one more failure is judged in :mod:`cluster.job_retries`.
    """
    if owner.kind == "RunaiJob":
        return not needs_approval(kind)
    return owner.kind in _RECREATING


def serves_replicas(owners: tuple[Owner, ...], kind: WorkloadKind) -> bool:
    """Whether the pods of such a workload are known to do without each other: replicas, each for itself.

    What is not known is none: in a StatefulSet or a Job the pods may wait for each other, and so may Deployments that a
    foreign operator has put together.
    """
    makers = [one for one in owners if one.kind not in STANDS_FOR_OTHERS]
    if not makers or any(one.kind in _MEMBERS_OF_ONE for one in makers):
        return False
    return kind == "inference" or makers[-1].kind in _REPLICAS


def priority_class(pod: Object, owners: tuple[Owner, ...]) -> str:
    """The name of its priority class: of the pod itself, else by label of an owner (the nearest first), else by its
    own label; empty when nothing names one.
    """
    given = (
        pod_.mapping(pod.get("spec")).get("priorityClassName"),
        *(owner.labels.get(_LABEL) for owner in owners),
        pod_.labels(pod).get(_LABEL),
    )
    return next((str(one) for one in given if one), "")


def _of_owner(owner: Owner) -> WorkloadKind | None:
    if owner.kind in _SAYS_NOTHING:
        return None
    # KubeRay: its user submits to it by hand, from a notebook for example.
    if owner.kind == "RayJob" and owner.spec.get("submissionMode") == "InteractiveMode":
        return "interactive"
    for (kind, group), meaning in _KINDS.items():
        if owner.kind == kind and (owner.group == group or owner.group.endswith(f".{group}")):
            return meaning
    return None


def _of_priority(name: str, priorities: Mapping[str, int]) -> WorkloadKind:
    value = priorities.get(name)
    if name in _INTERACTIVE_CLASSES or value == _INTERACTIVE_VALUE:
        return "interactive"
    # By its name alone: newer versions have classes for work of any kind with the same value (high: 125).
    if name == "inference":
        return "inference"
    return "training" if name.startswith("train") else "unknown"
