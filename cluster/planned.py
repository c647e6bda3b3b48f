"""The planner of planned maintenance: from an observation and choices to a plan. Pure; never raises.

On re-entry the plan holds the steps that are left, with the options that were chosen at the start.
"""

from __future__ import annotations

from pydantic import ValidationError

from cluster import (
    lost_tolerance,
    planned_blockers,
    planned_steps,
    planned_warnings,
    refused_plans,
    suspensions,
    taking_over,
    verdict,
    workloads_first,
)
from cluster import node as node_
from cluster.config import Settings
from cluster.observation import Observation
from cluster.options import PlannedOptions, differing
from cluster.plan import Finding, Plan
from cluster.planned_case import Case
from cluster.record import Record

STEPS = (
    "recovery-gate",
    "designate",
    "cordon",
    "approve-workloads",
    "taint",
    "see-gone",
    "shut-down",
    "see-off",
    "approve-return",
    "power-on",
    "see-back",
    "untaint",
    "see-gpus",
    "uncordon",
    "undesignate",
    "see-service",
    "close",
)


def step_names(options: PlannedOptions, csi: tuple[str, ...] = (), runai: bool = False) -> tuple[str, ...]:
    """The steps that planned maintenance has with these options, in order.

    Args:
        csi: node plugins of volumes that the drain taint takes away: then workloads are evicted before it.
        runai: Run:ai's REST API is configured: workloads that are suspended are resumed.
    """
    left_out: set[str] = set()
    if not options.designate:
        left_out.add("designate")
    if not options.designate or options.keep_designation:
        left_out.add("undesignate")
    if not options.shut_down:
        left_out |= {"shut-down", "see-off"}
    if not options.shut_down or options.power_on == "person":
        left_out.add("power-on")
    # Who switches a machine on by hand says when: there is a person to wait for.
    if not options.hold and not (options.shut_down and options.power_on == "person"):
        left_out.add("approve-return")
    names = suspensions.ordered(tuple(name for name in STEPS if name not in left_out), runai)
    return workloads_first.ordered(names, options, csi)


def plan(observation: Observation, options: PlannedOptions, settings: Settings, record: Record | None) -> Plan:
    """The plan for one node.

    Args:
        observation: what was seen.
        options: what was chosen. With an open record the recorded choices count; other ones are a blocker.
        record: the node's newest record; only an open one matters.
    """
    current = record if record is not None and record.open else None
    if observation.node is None:
        return refused_plans.impossible("planned", observation, refused_plans.no_node(observation.node_name))
    if current is not None and current.procedure != "planned":
        return refused_plans.impossible("planned", observation, _in_downtime(current), current)
    chosen = options if current is None else _recorded(current)
    if chosen is None:
        unreadable = refused_plans.unreadable(observation.node_name)
        return refused_plans.impossible("planned", observation, unreadable, current)
    chosen = lost_tolerance.with_typed(chosen, options, observation.node_name)
    case = Case(observation, observation.node, chosen, settings, current, _left(observation, chosen, current, settings))
    blockers = planned_blockers.of(case)
    if current is not None and (names := differing(chosen, options)):
        blockers = (refused_plans.other_options(current, "in planned maintenance", names), *blockers)
    return Plan(
        procedure="planned",
        node=case.name,
        cluster=observation.server,
        roles=node_.roles(case.node),
        kind=node_.kind(case.node),
        feasible=not blockers,
        steps=tuple(planned_steps.step(case, name) for name in case.left),
        blockers=blockers,
        warnings=planned_warnings.of(case),
        workloads=case.workloads,
        candidates=taking_over.candidates(observation, blockers),
        recovery=_verdict(case),
        continued=current is not None,
    )


def _left(
    observation: Observation, options: PlannedOptions, record: Record | None, settings: Settings
) -> tuple[str, ...]:
    if record is None:
        return step_names(options, workloads_first.plugins(observation, None), settings.runai is not None)
    # An abort has steps of its own. Imported here, since that module builds on this one.
    from cluster import procedures

    return procedures.left(record)


def _recorded(record: Record) -> PlannedOptions | None:
    try:
        return PlannedOptions.model_validate(record.options)
    except ValidationError:
        return None


def _verdict(case: Case) -> verdict.Verdict | None:
    if case.record is not None:
        return case.record.gate
    return refused_plans.gate_verdict(case.observation.recovery, case.options.override_recovery_gate)


def _in_downtime(record: Record) -> Finding:
    return refused_plans.in_downtime(
        record, f"'downtime resume {record.node}' goes on with it, 'downtime abort {record.node}' backs out."
    )
