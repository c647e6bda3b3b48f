"""The planner of permanent removal: from an observation and choices to a plan. Pure; never raises.

A removal may begin while the node is in planned maintenance or unplanned recovery: it takes that downtime over, with
what was found and changed, and everything is judged anew. Once the Node is deleted, what is left concerns the record.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from cluster import (
    control_plane,
    lost_tolerance,
    refused_plans,
    remove_blockers,
    remove_words,
    suspensions,
    taking_over,
    verdict,
    workloads_first,
)
from cluster import node as node_
from cluster.config import Settings
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import RemoveOptions, differing
from cluster.plan import Plan
from cluster.planned_case import Case
from cluster.record import Record

STEPS = (
    "recovery-gate",
    "designate",
    "cordon",
    "approve-workloads",
    "taint",
    "see-gone",
    "save",
    "reset-host",
    "remove-member",
    "delete-node",
    "see-away",
    "close",
)
ONLY_CONTROL_PLANE = ("remove-member",)
"""Steps for control-plane nodes alone."""
TAKES_OVER = ("planned", "unplanned")
"""The procedures whose open downtime a removal may take over."""


def step_names(options: RemoveOptions, csi: tuple[str, ...] = (), runai: bool = False) -> tuple[str, ...]:
    """The steps of a removal, in order; :data:`ONLY_CONTROL_PLANE` among them.

    Who was designated stays so: nothing comes back that could take over.

    Args:
        csi: node plugins of volumes that the drain taint takes away: then workloads are evicted before it.
        runai: Run:ai's REST API is configured: workloads that are suspended are resumed.
    """
    names = STEPS if options.designate else tuple(name for name in STEPS if name != "designate")
    return workloads_first.ordered(suspensions.ordered(names, runai), options, csi)


def steps_for(
    options: RemoveOptions, labels: Mapping[str, str], csi: tuple[str, ...] = (), runai: bool = False
) -> tuple[str, ...]:
    """The steps of the removal of a node with these labels, in order."""
    names = step_names(options, csi, runai)
    return names if control_plane.labelled(labels) else tuple(one for one in names if one not in ONLY_CONTROL_PLANE)


def plan(observation: Observation, options: RemoveOptions, settings: Settings, record: Record | None) -> Plan:
    """The plan for one node.

    Args:
        observation: what was seen.
        options: what was chosen. With an open removal the recorded choices count; other ones are a blocker.
        record: the node's newest record; only an open one matters.
    """
    current = record if record is not None and record.open else None
    own = current is not None and current.procedure == "remove"
    if observation.node is None and not own:
        return refused_plans.impossible("remove", observation, refused_plans.no_node(observation.node_name))
    if current is not None and not own and current.procedure not in TAKES_OVER:
        other = refused_plans.in_downtime(current, f"'downtime resume {current.node}' goes on with it.")
        return refused_plans.impossible("remove", observation, other, current)
    chosen = _recorded(current) if current is not None and own else options
    if chosen is None:
        unreadable = refused_plans.unreadable(observation.node_name)
        return refused_plans.impossible("remove", observation, unreadable, current)
    chosen = lost_tolerance.with_typed(chosen, options, observation.node_name)
    found = observation.node or _gone(observation)
    left = _left(observation, chosen, current, settings, own=own)
    case = Case(observation, found, chosen, settings, current, left)
    blockers = remove_blockers.of(case, fresh=not own)
    if current is not None and own and (names := differing(chosen, options)):
        blockers = (refused_plans.other_options(current, "being removed", names, abort=False), *blockers)
    return Plan(
        procedure="remove",
        node=case.name,
        cluster=observation.server,
        roles=node_.roles(case.node),
        kind=node_.kind(case.node),
        feasible=not blockers,
        steps=tuple(remove_words.step(case, name) for name in case.left),
        blockers=blockers,
        warnings=remove_words.warnings(case, fresh=not own),
        workloads=case.workloads,
        losses=remove_words.losses(case),
        candidates=taking_over.candidates(observation, blockers),
        recovery=_verdict(case, own=own),
        continued=own,
    )


def _left(
    seen: Observation, options: RemoveOptions, record: Record | None, settings: Settings, *, own: bool
) -> tuple[str, ...]:
    if record is None or not own:
        found = seen.node or _gone(seen)
        labels = found["metadata"].get("labels") or {}
        runai = record.found.runai if record is not None else settings.runai is not None
        return steps_for(options, labels, workloads_first.plugins(seen, record), runai)
    # An abort has steps of its own. Imported here, since that module builds on this one.
    from cluster import procedures

    return procedures.left(record)


def _gone(observation: Observation) -> Object:
    """A Node that is not there any more, as far as it must be spoken of."""
    return {"metadata": {"name": observation.node_name}, "spec": {}, "status": {}}


def _recorded(record: Record) -> RemoveOptions | None:
    try:
        return RemoveOptions.model_validate(record.options)
    except ValidationError:
        return None


def _verdict(case: Case, *, own: bool) -> verdict.Verdict | None:
    if case.record is not None and own:
        return case.record.gate
    return refused_plans.gate_verdict(case.observation.recovery, case.options.override_recovery_gate)
