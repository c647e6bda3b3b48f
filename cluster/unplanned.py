"""The planner of unplanned recovery: from an observation and choices to a plan. Pure; never raises.

Which course it takes is found out by its first steps: a node that came back by itself is only looked at, and nothing
on it is touched. One that stays down is kept from new work and drained; what Kubernetes then holds for a dead kubelet
is released only with proof that the machine is off.
"""

from __future__ import annotations

from pydantic import ValidationError

from cluster import (
    lost_tolerance,
    refused_plans,
    taking_over,
    unplanned_blockers,
    unplanned_warnings,
    unplanned_words,
    verdict,
)
from cluster import node as node_
from cluster.config import Settings
from cluster.observation import Observation
from cluster.options import UnplannedOptions, differing
from cluster.plan import Finding, Plan
from cluster.record import Record
from cluster.unplanned_case import Case

IN_PLANNED = "in-downtime-planned"
"""The code of the blocker that is no refusal: somebody works on the node on purpose, and it is left to them."""

STEPS = (
    "judge-down",
    "see-machine",
    "see-services",
    "designate",
    "cordon",
    "taint",
    "reset",
    "prove-off",
    "out-of-service",
    "clear-out-of-service",
    "approve-return",
    "power-on",
    "see-back",
    "stable",
    "untaint",
    "see-gpus",
    "uncordon",
    "undesignate",
    "see-service",
    "close",
)
_RETURNED = ("judge-down", "see-services", "close")
# Who backs out leaves the machine as it is: dead or alive, only what was set on the node is taken off.
_UNDO = ("clear-out-of-service", "untaint", "uncordon", "close")


def step_names(options: UnplannedOptions) -> tuple[str, ...]:
    """The steps for a node that stays down, in order."""
    left_out = {"see-services"}
    if not options.designate:
        left_out.add("designate")
    if not options.designate or options.keep_designation:
        left_out.add("undesignate")
    if options.resets == 0:
        left_out.add("reset")
    if options.power_on == "person":
        left_out.add("power-on")
        # Who switches a machine on by hand says when: there is a person to wait for.
    elif not options.hold:
        left_out.add("approve-return")
    return tuple(name for name in STEPS if name not in left_out)


def steps_of(record: Record, options: UnplannedOptions) -> tuple[str, ...]:
    """The steps of this downtime, done ones included, by the course that it takes."""
    names = step_names(options)
    if record.aborted:
        stopped = any(change.what == "shutdown" and change.state != "undone" for change in record.changes)
        return names[names.index("clear-out-of-service") :] if stopped else _with_undesignation(_UNDO, record)
    return _with_undesignation(_RETURNED, record) if record.course == "returned" else names


def _with_undesignation(names: tuple[str, ...], record: Record) -> tuple[str, ...]:
    begun = "designate" in record.steps
    return (*names[:-1], "undesignate", names[-1]) if begun else names


def plan(observation: Observation, options: UnplannedOptions, settings: Settings, record: Record | None) -> Plan:
    """The plan for one node.

    Args:
        observation: what was seen.
        options: what was chosen. With an open record the recorded choices count; other ones are a blocker.
        record: the node's newest record; only an open one matters.
    """
    current = record if record is not None and record.open else None
    if observation.node is None:
        otherwise = f"If it was deleted: 'downtime plan rejoin {observation.node_name}'."
        return refused_plans.impossible(
            "unplanned", observation, refused_plans.no_node(observation.node_name, otherwise)
        )
    if current is not None and current.procedure != "unplanned":
        return refused_plans.impossible("unplanned", observation, in_downtime(current), current)
    chosen = options if current is None else _recorded(current)
    if chosen is None:
        unreadable = refused_plans.unreadable(observation.node_name)
        return refused_plans.impossible("unplanned", observation, unreadable, current)
    chosen = lost_tolerance.with_typed(chosen, options, observation.node_name)
    case = Case(observation, observation.node, chosen, settings, current, _left(chosen, current))
    blockers = unplanned_blockers.of(case)
    if current is not None and (names := differing(chosen, options)):
        blockers = (refused_plans.other_options(current, "in unplanned recovery", names), *blockers)
    return Plan(
        procedure="unplanned",
        node=case.name,
        cluster=observation.server,
        roles=node_.roles(case.node),
        kind=node_.kind(case.node),
        feasible=not blockers,
        steps=tuple(unplanned_words.step(case, name) for name in case.left),
        blockers=blockers,
        warnings=unplanned_warnings.of(case),
        workloads=case.workloads,
        candidates=taking_over.candidates(observation, blockers),
        recovery=_verdict(case),
        continued=current is not None,
    )


def _left(options: UnplannedOptions, record: Record | None) -> tuple[str, ...]:
    if record is None:
        return step_names(options)
    return tuple(name for name in steps_of(record, options) if not record.done(name))


def _recorded(record: Record) -> UnplannedOptions | None:
    try:
        return UnplannedOptions.model_validate(record.options)
    except ValidationError:
        return None


def _verdict(case: Case) -> verdict.Verdict | None:
    if case.record is not None:
        return case.record.gate
    return refused_plans.gate_verdict(case.observation.recovery, case.options.override_recovery_gate)


def in_downtime(record: Record) -> Finding:
    """What speaks against a recovery while another downtime is open."""
    if record.procedure == "planned":
        return Finding(
            code=IN_PLANNED,
            message=f"{record.node} is in planned maintenance (opened {record.opened:%Y-%m-%d %H:%M} UTC by "
            f"{record.who}): that it is down is nothing to recover from",
            remedy=f"'downtime status {record.node}' shows how far that is; 'downtime resume {record.node}' goes on.",
        )
    return refused_plans.in_downtime(record, f"'downtime resume {record.node}' goes on with it.")
