"""Pods that a node's workloads have on other nodes: a distributed job with one pod here and seven elsewhere is one.

Found in the workload's namespace alone, a page of raw pods at a time: by the label with which its operator names it,
where there is one, selected on the server; else by the owner, or the PodGroup, that its pods here have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.owners import Owner, noted_top
from cluster.plan import Elsewhere
from cluster.workloads import Members

# What an operator puts on every pod of one workload, the outermost first; each is documented with its operator.
_NAMING = (
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "leaderworkerset.sigs.k8s.io/name",
    "ray.io/cluster",
    "batch.kubernetes.io/job-name",
    "job-name",
)
# The same of Run:ai's, new and old; others use such labels too, so it counts only if it says the name of an owner.
_RUNAI_NAMING = ("workloadName", "release")
_GROUP = "pod-group-name"
# What makes as many pods as it says, and nothing above it makes more.
_COUNTED = frozenset({"Job", "CronJob", "StatefulSet", "ReplicaSet", "Deployment", "Notebook", "InteractiveWorkload"})
_MOST_NODES = 20

Groups = Mapping[tuple[str, str, str], Members]


@dataclass(frozen=True)
class Query:
    """One list of pods, and by which of their marks each workload (its key among the groups) is told."""

    namespace: str
    labels: str
    marks: dict[str, tuple[str, str, str]] = field(default_factory=dict)


def look(api: Api, node: str, groups: Groups) -> dict[tuple[str, str, str], Elsewhere]:
    """For each workload that may have pods elsewhere: those that it has."""
    found: dict[tuple[str, str, str], Elsewhere] = {}
    fields = f"spec.nodeName!={node},status.phase!=Succeeded,status.phase!=Failed"
    for query in queries(groups):
        path = f"/api/v1/namespaces/{quote(query.namespace, safe='')}/pods"
        found |= counted(query, groups, api.iterate(path, fields=fields, labels=query.labels))
    return found


def queries(groups: Groups) -> list[Query]:
    """The lists that answer for all workloads: one for each namespace, and for each label that names some in it."""
    found: dict[tuple[str, str], Query] = {}
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, members in groups.items():
        if _is_whole_here(members):
            continue
        label, value = _naming(members)
        at = (key[0], label)
        values[at].add(value)
        query = found.setdefault(at, Query(key[0], ""))
        own = {f"label:{value}"} if label else {mark for pod, chain in members for mark in _marks(pod, chain)}
        query.marks.update(dict.fromkeys(own, key))
    return [
        Query(
            query.namespace, f"{label} in ({','.join(sorted(values[namespace, label]))})" if label else "", query.marks
        )
        for (namespace, label), query in sorted(found.items())
    ]


def counted(query: Query, groups: Groups, pods: Iterable[Object]) -> dict[tuple[str, str, str], Elsewhere]:
    """What the pods that a query found say of the workloads that it was made for; all of them are in the answer."""
    label = query.labels.partition(" ")[0]
    here: dict[tuple[str, str, str], set[str]] = {key: set() for key in query.marks.values()}
    for key in here:
        here[key] = {group for pod, _ in groups[key] if (group := pod_.notes(pod).get(_GROUP, ""))}
    nodes: dict[tuple[str, str, str], list[str]] = {key: [] for key in here}
    grouped: set[tuple[str, str, str]] = set()
    for pod in pods:
        marks = {f"label:{pod_.labels(pod).get(label)}"} if label else _marks(pod, ())
        known = next((query.marks[mark] for mark in sorted(marks) if mark in query.marks), None)
        if known is None or pod_.is_terminating(pod) or pod_.is_finished(pod):
            continue
        nodes[known].append(str(pod_.mapping(pod.get("spec")).get("nodeName") or ""))
        if pod_.notes(pod).get(_GROUP, "") in here[known]:
            grouped.add(known)
    return {key: _elsewhere(where, grouped=key in grouped) for key, where in nodes.items()}


def _elsewhere(where: list[str], *, grouped: bool) -> Elsewhere:
    named = tuple(sorted({one for one in where if one})[:_MOST_NODES])
    return Elsewhere(pods=len(where), waiting=where.count(""), nodes=named, grouped=grouped)


def _is_whole_here(members: Members) -> bool:
    """Whether its owners say that it has no more pods than those here, or it has none that could have others."""
    if all(not chain and not pod_.notes(pod).get(_GROUP) for pod, chain in members):
        return True
    owners = [one for _, chain in members for one in chain]
    if not owners or any(one.kind not in _COUNTED and one.kind != "RunaiJob" for one in owners):
        return False
    sizes = [one.spec[key] for one in owners for key in ("replicas", "parallelism") if key in one.spec]
    return bool(sizes) and all(pod_.number(size) <= len(members) for size in sizes)


def _naming(members: Members) -> tuple[str, str]:
    """The label, and its value, with which its operator names all pods of the workload; empty: there is none."""
    owners = {one.name for _, chain in members for one in chain}
    for label in (*_NAMING, *_RUNAI_NAMING):
        values = {pod_.labels(pod).get(label, "") for pod, _ in members}
        if len(values) == 1 and (value := values.pop()) and (label in _NAMING or value in owners):
            return label, value
    return "", ""


def _marks(pod: Object, chain: tuple[Owner, ...]) -> set[str]:
    """What two pods of the same workload have in common: an owner, or a PodGroup."""
    top, group = noted_top(pod), pod_.notes(pod).get(_GROUP, "")
    uids = [*(one.uid for one in chain), str(pod_.controller(pod).get("uid") or ""), top.uid if top is not None else ""]
    return {f"owner:{uid}" for uid in uids if uid} | ({f"group:{group}"} if group else set())
