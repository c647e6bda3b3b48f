"""Whether workloads are evicted before the drain taint is set, and what the plan says of it. Pure.

So it is with ``--eviction``, and by itself where the taint would end a node plugin that unmounts need.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import csi_plugins, disruption, gpu_requests
from cluster import pods as pod_
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import Options, PlannedOptions, RemoveOptions
from cluster.plan import Finding
from cluster.planned_case import DRAIN, Case, listed
from cluster.record import Record

STEP = "evict"


def plugins(observation: Observation, record: Record | None) -> tuple[str, ...]:
    """The node plugins for whose sake it is: of an open downtime as they were found at its start."""
    return record.found.csi if record is not None else csi_plugins.names(observation.pods)


def ordered(names: tuple[str, ...], options: Options, found: tuple[str, ...]) -> tuple[str, ...]:
    """The steps of a procedure, with that of the eviction where it belongs.

    Args:
        names: the steps without it.
        found: the node plugins that the taint would take away.
    """
    if "taint" not in names or not (found or eviction_chosen(options)):
        return names
    at = names.index("taint")
    return (*names[:at], STEP, *names[at:])


def eviction_chosen(options: Options) -> bool:
    """Whether ``--eviction`` was chosen, in a procedure that has it."""
    return isinstance(options, PlannedOptions | RemoveOptions) and options.eviction


def leaves_to_taint(pod: Object) -> bool:
    """Whether a pod is none that is evicted: it stays, or somebody would start it again: a DaemonSet, or Run:ai, which
    reserves a GPU as long as somebody shares it.
    """
    return pod_.is_daemon(pod) or gpu_requests.is_reservation(pod) or not pod_.must_go(pod)


def evicts(case: Case) -> bool:
    """Whether this downtime evicts workloads before the taint, or has done so."""
    return STEP in case.left or (case.record is not None and case.record.done(STEP))


def unasked(case: Case) -> tuple[disruption.Violation, ...]:
    """The budgets that nothing asks before their pods go: of those that the taint itself takes away."""
    seen = case.observation
    evicts = STEP in case.left
    pods = [pod for pod in seen.pods if pod_.is_daemon(pod)] if evicts else seen.pods
    return disruption.violations(seen.pdbs, pods, seen.owners)


def warnings(case: Case) -> Iterator[Finding]:
    """What a person should know of the order, and of budgets that are waited for."""
    if STEP not in case.left:
        return
    found = plugins(case.observation, case.record)
    if found:
        yield Finding(
            code="csi-plugin-drained",
            message=f"The drain taint takes away node plugins of volumes, without which unmounts hang: {listed(found)}"
            "; so workloads are evicted first, and the taint comes last",
            remedy=f"Let their DaemonSets tolerate {DRAIN} (pods of other DaemonSets that use such volumes may hang).",
        )
    seen = case.observation
    pods = [pod for pod in seen.pods if not leaves_to_taint(pod)]
    if case.options.override_pdb:
        return
    for violation in disruption.violations(seen.pdbs, pods, seen.owners):
        yield Finding(
            code="pdb-waited-for",
            message=f"Evictions will wait for a PodDisruptionBudget: {violation}",
            remedy="Start more replicas elsewhere, so that it allows them; who still blocks at the deadline is named.",
        )


def words(case: Case) -> tuple[str, tuple[str, ...]]:
    """The step in the plan."""
    if case.stands("taint"):
        return "Nothing to evict before the taint: it stands already", ()
    count = sum(not leaves_to_taint(pod) for pod in case.observation.pods)
    said = (
        "Evict workloads before the taint, all at once, and see them gone: PodDisruptionBudgets are asked, and waited "
        "for until the deadline; pods of DaemonSets are left alone"
    )
    return said, (f"evict {count} pod{'' if count == 1 else 's'} from {case.name}",) if count else ()
