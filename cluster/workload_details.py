"""What else there is to know of each workload on a node: since when, with what, and what goes with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cluster import disruption, gpu_requests
from cluster import pods as pod_
from cluster.local_volumes import claims_of
from cluster.node import Object, time_of
from cluster.plan import Elsewhere, Workload, WorkloadKind
from cluster.workload_kinds import priority_class, serves_replicas
from cluster.workloads import Members

STALE_SECONDS = 60
"""For how long Run:ai lets a gang lack members before it evicts the others (its default)."""


def told(
    one: Workload,
    members: Members,
    *,
    pdbs: Iterable[Object] = (),
    claims: Mapping[str, str] | None = None,
    elsewhere: Elsewhere | None = None,
) -> Workload:
    """The workload with all that its pods say.

    Args:
        members: its pods on the node, each with its owners.
        pdbs: PodDisruptionBudgets, of its namespace among others.
        claims: those that are on a volume of the node alone, with the volume's name.
        elsewhere: its pods on other nodes; None: they were not looked for.
    """
    pods = [pod for pod, _ in members]
    known: dict[str, Any] = {
        "whole_gpus": gpu_requests.whole(pods),
        "shared_gpus": gpu_requests.shared(pods),
        "since": min((at for pod in pods if (at := _started(pod)) is not None), default=None),
        "priority_class": next((name for pod, chain in members if (name := priority_class(pod, chain))), ""),
        "grace_seconds": max((pod_.grace_seconds(pod) for pod in pods), default=0.0),
        "local_data": _local_data(pods, claims or {}),
        "budgets": tuple(sorted({pod_.name(pdb) for pdb in pdbs if any(disruption.covers(pdb, pod) for pod in pods)})),
        "elsewhere": elsewhere,
        "disturbs": disturbs(one.kind, len(pods), elsewhere, replicas=_replicas(one.kind, members)),
    }
    return one.model_copy(update=known)


def disturbs(kind: WorkloadKind, here: int, elsewhere: Elsewhere | None, *, replicas: bool = False) -> str:
    """Why all of a workload may be disturbed when its pods here go; empty: nothing says that it would be.

    Args:
        here: how many of its pods are on the node.
        replicas: its pods are known to do without each other.
    """
    if elsewhere is None or not elsewhere.pods:
        return ""
    gang = kind == "distributed" or elsewhere.grouped
    if replicas and not gang:
        return ""
    nodes = f" ({', '.join(elsewhere.nodes[:3])}{' and others' if len(elsewhere.nodes) > 3 else ''})"
    why = f"Run:ai evicts a gang that lacks members for {STALE_SECONDS} s" if gang else "may depend on those here"
    return (
        f"all of it may be disturbed: {here} of its {here + elsewhere.pods} pods {'is' if here == 1 else 'are'} here, "
        f"the others elsewhere{nodes if elsewhere.nodes else ''}{', and' if gang else ''} {why}"
    )


def _replicas(kind: WorkloadKind, members: Members) -> bool:
    return bool(members) and all(serves_replicas(chain, kind) for _, chain in members)


def _started(pod: Object) -> datetime | None:
    said = pod_.mapping(pod.get("status")).get("startTime")
    made = pod_.mapping(pod.get("metadata")).get("creationTimestamp")
    try:
        found = time_of(str(said or made))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _local_data(pods: list[Object], claims: Mapping[str, str]) -> tuple[str, ...]:
    volumes = {name for pod in pods for name in pod_.local_data(pod)}
    bound = {
        f"{claim.partition('/')[2]} (local volume {claims[claim]})"
        for pod in pods
        for claim in claims_of(pod)
        if claim in claims
    }
    return tuple(sorted(volumes | bound))
