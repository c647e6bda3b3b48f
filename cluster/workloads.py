"""The workloads on a node: what researchers submitted, put together from its pods. Pure; never raises."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from cluster import gpu_requests, job_retries, workload_kinds
from cluster import pods as pod_
from cluster.node import Object
from cluster.options import Interactive
from cluster.owners import Chains, Owner, from_reference, noted_top
from cluster.plan import Fate, Workload, WorkloadKind
from cluster.workload_kinds import STANDS_FOR_OTHERS, needs_approval

__all__ = [
    "SERVICE_NAMESPACES",
    "chain_of",
    "fate",
    "find",
    "groups",
    "is_workload",
    "needs_approval",
    "no_workload",
    "project_told_apart",
    "researcher",
    "title_of",
]

PROJECT_PREFIX = "runai-"
_PROJECT = ("project", "runai/queue", "kai.scheduler/queue")
# Namespaces of the service and of the cluster's own parts: no researcher's work runs there. More of them can be named
# as service_namespaces under [drain].
SERVICE_NAMESPACES = frozenset(
    {
        "runai",
        "runai-backend",
        "runai-reservation",
        "kai-resource-reservation",
        "kai-scheduler",
        "runai-downtime",
        "runai-scale-adjust",
        "gpu-operator",
        "nvidia-gpu-operator",
        "network-operator",
        "nvidia-network-operator",
        "monitoring",
        "prometheus",
        "calico-system",
        "calico-apiserver",
        "tigera-operator",
        "cilium",
        "cert-manager",
        "ingress-nginx",
        "istio-system",
        "knative-serving",
        "knative-operator",
        "kourier-system",
        "kubeflow",
        "local-path-storage",
        "metallb-system",
        "node-feature-discovery",
    }
)
_SERVICE_PREFIX = "kube-"

Members = list[tuple[Object, tuple[Owner, ...]]]
Rule = Literal["static", "daemon", "finished", "gpu-reservation", "service", "critical"]


def no_workload(pod: Object, service_namespaces: Collection[str] = ()) -> Rule | None:
    """The rule by which a pod is no part of a researcher's work, or not any more; None: it is part of a workload."""
    namespace = pod_.namespace(pod)
    priority = str(pod_.mapping(pod.get("spec")).get("priorityClassName") or "")
    rules: tuple[tuple[Rule, bool], ...] = (
        ("static", pod_.is_mirror(pod)),
        ("daemon", pod_.is_daemon(pod)),
        ("finished", pod_.is_finished(pod)),
        ("gpu-reservation", gpu_requests.is_reservation(pod)),
        ("service", namespace in SERVICE_NAMESPACES or namespace in service_namespaces),
        ("service", namespace.startswith(_SERVICE_PREFIX)),
        ("critical", priority.startswith("system-") and priority.endswith("-critical")),
    )
    return next((rule for rule, holds in rules if holds), None)


def is_workload(pod: Object, service_namespaces: Collection[str] = ()) -> bool:
    """Whether the pod is (part of) a researcher's work that is not over yet."""
    return no_workload(pod, service_namespaces) is None


def find(
    pods: Iterable[Object],
    owners: Chains,
    priorities: Mapping[str, int],
    *,
    interactive: Interactive = "ask",
    agreed: Collection[str] = (),
    service_namespaces: Collection[str] = (),
) -> tuple[Workload, ...]:
    """The workloads among the pods of one node, grouped by their topmost owner, sorted by namespace and name.

    Args:
        pods: Pod objects as the API sends them.
        owners: their owners, by pod uid; where there is none, the pod's own reference is used.
        priorities: priority classes of the cluster and their values.
        interactive: what is to be done with interactive work.
        agreed: keys of interactive workloads that a person agreed to evict.
        service_namespaces: more namespaces than ``SERVICE_NAMESPACES`` that hold no workloads.
    """
    grouped = groups(pods, owners, service_namespaces)
    found = (_workload(key, members, priorities, interactive, agreed) for key, members in grouped.items())
    return tuple(sorted(found, key=lambda one: (one.namespace, one.name, one.controller)))


def groups(
    pods: Iterable[Object], owners: Chains, service_namespaces: Collection[str] = ()
) -> dict[tuple[str, str, str], Members]:
    """The pods of each workload with their owners, by its namespace, its controller's title, and its name."""
    found: dict[tuple[str, str, str], Members] = {}
    for pod in pods:
        if not is_workload(pod, service_namespaces):
            continue
        chain = chain_of(pod, owners)
        title = chain[-1].title if chain else ""
        name = chain[-1].name if chain else pod_.name(pod)
        found.setdefault((pod_.namespace(pod), title, name), []).append((pod, chain))
    return found


def chain_of(pod: Object, owners: Chains) -> tuple[Owner, ...]:
    """The pod's owners, the nearest first.

    They are as they were resolved, else as its own reference names the nearest. Above them is the one that the
    scheduler noted as the topmost, if the references do not lead there: not every Run:ai object owns what it makes.
    """
    found = owners.get(pod_.uid(pod))
    nearest = from_reference(pod_.controller(pod))
    chain = found or ((nearest,) if nearest is not None else ())
    top = noted_top(pod)
    known = top is None or any(one.kind == top.kind and one.name == top.name for one in chain)
    return chain if known or top is None else (*chain, top)


def title_of(pod: Object, owners: Chains) -> str:
    """``namespace/Kind/name`` of the topmost owner, or of the pod itself; for people."""
    chain = chain_of(pod, owners)
    return f"{pod_.namespace(pod)}/{chain[-1].title if chain else f'Pod/{pod_.name(pod)}'}"


def _workload(
    key: tuple[str, str, str],
    members: Members,
    priorities: Mapping[str, int],
    interactive: Interactive,
    agreed: Collection[str],
) -> Workload:
    namespace, title, name = key
    kinds = {workload_kinds.of_pod(pod, chain, priorities) for pod, chain in members}
    # Members that seem to be of different kinds: the one that asks most of us counts.
    kind = next(iter(kinds)) if len(kinds) == 1 else _strictest(kinds)
    # What recreates its pods is not an object that merely stands for work of another system.
    made_by = (one for _, chain in members for one in reversed(chain) if one.kind not in STANDS_FOR_OTHERS)
    top = next(made_by, None)
    found = Workload(
        name=name,
        namespace=namespace,
        project=_project(namespace, members),
        owner=researcher(members),
        kind=kind,
        pods=tuple(sorted(pod_.name(pod) for pod, _ in members)),
        gpus=sum(pod_.gpus(pod) for pod, _ in members),
        controller=title,
        fate="stays",
    )
    stays = all(pod_.tolerates_for_ever(pod) for pod, _ in members)
    decided: Interactive = "evict" if found.key in agreed else interactive
    ends = job_retries.ends(members)
    return found.model_copy(update={"fate": fate(kind, top, interactive=decided, stays=stays, ends=ends)})


def fate(kind: WorkloadKind, top: Owner | None, *, interactive: Interactive, stays: bool, ends: bool = False) -> Fate:
    """What the drain means for a workload with this topmost owner.

    Args:
        ends: whether a Job of it allows no more failed pods.
    """
    if stays:
        return "stays"
    if needs_approval(kind) and interactive != "evict":
        return "needs-approval"
    return "moves" if top is not None and not ends and workload_kinds.recreates(top, kind) else "lost"


def _strictest(kinds: set[WorkloadKind]) -> WorkloadKind:
    order: tuple[WorkloadKind, ...] = ("interactive", "unknown", "inference", "distributed", "training")
    return next((kind for kind in order if kind in kinds), "unknown")


def project_told_apart(one: Workload) -> str:
    """Its project, where that is not what the namespace is called after; empty: the namespace says it."""
    return "" if one.project in ("", one.namespace, one.namespace.removeprefix(PROJECT_PREFIX)) else one.project


def _project(namespace: str, members: Members) -> str:
    named = next((said for key in _PROJECT if (said := _said(members, key))), "")
    if named:
        return named
    return namespace.removeprefix(PROJECT_PREFIX) if namespace.startswith(PROJECT_PREFIX) else ""


def researcher(members: Members) -> str:
    """Who submitted it, as its pods or their owners name them; empty: nobody is named."""
    return _said(members, "user")


def _said(members: Members, key: str) -> str:
    """What the pods, else their owners from the top down, say under this annotation or label."""
    for pod, chain in members:
        places = (
            pod_.notes(pod),
            pod_.labels(pod),
            *(place for owner in reversed(chain) for place in (owner.annotations, owner.labels)),
        )
        found = next((place[key] for place in places if place.get(key)), "")
        if found:
            return found
    return ""
