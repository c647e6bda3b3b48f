"""A plan told in full: of each workload what else is known, and what stays on the node when it is drained.

Asked of the cluster are the other pods of these workloads and the volumes of these pods' claims. A cluster that does
not tell takes nothing from the plan: those things are then not known, and the plan says so.
"""

from __future__ import annotations

from collections.abc import Collection

from cluster import elsewhere, local_claims, staying_behind, workload_details, workloads, workloads_first
from cluster import pods as pod_
from cluster.api import Api
from cluster.errors import DowntimeError
from cluster.node import drained_by_taint
from cluster.observation import Observation
from cluster.plan import Elsewhere, Finding, Plan

_DRAINS = ("evict", "taint", "see-gone")


def of(api: Api, seen: Observation, made: Plan, service_namespaces: Collection[str] = ()) -> Plan:
    """The plan with the details of its workloads, and with what stays if the node is still to be drained."""
    # A node that failed has nothing to stay behind: what Kubernetes holds for it is told elsewhere.
    drains = made.procedure in ("planned", "remove") and any(step.name in _DRAINS for step in made.steps)
    stands = seen.node is not None and drained_by_taint(seen.node)
    evicts = not stands and any(step.name == workloads_first.STEP for step in made.steps)
    stays = staying_behind.beforehand(seen.pods, seen.taken, evicts=evicts) if drains else ()
    if not made.workloads:
        return made.model_copy(update={"stays": stays})
    groups = workloads.groups(seen.pods, seen.owners, service_namespaces)
    others, claims, unknown = _asked(api, seen, groups)
    told = tuple(
        workload_details.told(
            one,
            groups.get((one.namespace, one.controller, one.name), []),
            pdbs=seen.pdbs,
            claims=claims,
            elsewhere=others.get((one.namespace, one.controller, one.name)),
        )
        for one in made.workloads
    )
    return made.model_copy(update={"workloads": told, "stays": stays, "warnings": (*made.warnings, *unknown)})


def _asked(
    api: Api, seen: Observation, groups: elsewhere.Groups
) -> tuple[dict[tuple[str, str, str], Elsewhere], dict[str, str], list[Finding]]:
    unknown: list[Finding] = []
    others: dict[tuple[str, str, str], Elsewhere] = {}
    claims: dict[str, str] = {}
    try:
        others = elsewhere.look(api, seen.node_name, groups)
    except DowntimeError as error:
        unknown.append(_unknown("which pods these workloads have on other nodes", "pods", error))
    try:
        claims = local_claims.look(api, [pod for one in groups.values() for pod, _ in one if pod_.must_go(pod)])
    except DowntimeError as error:
        unknown.append(_unknown("which of their volumes lie on this node alone", "persistentvolumes", error))
    return others, claims, unknown


def _unknown(what: str, resource: str, error: DowntimeError) -> Finding:
    return Finding(
        code="details-unknown",
        message=f"It is not known {what}: {error.message}",
        remedy=f"Let 'downtime doctor' look at the rights (list {resource}); until then ask the owners.",
    )
