"""The planner of a rejoin: a machine that left the cluster becomes a node of it again. Pure; never raises.

It is the way back into service: no recovery gate and no limit speaks against it. What blocks is a machine that is not
proven to be the right one, a node that is there already, versions that do not fit, and a role that is not known.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from cluster import control_plane, refused_plans, rejoin_blockers, rejoin_steps
from cluster import node as node_
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import RejoinOptions, same_choices
from cluster.plan import Finding, NodeKind, Plan
from cluster.record import Found, Record
from cluster.rejoin_case import Case

STEPS = (
    "prove-machine",
    "clear-machine",
    "join",
    "delete-token",
    "see-joined",
    "see-member",
    "cordon",
    "untaint-joining",
    "restore",
    "see-gpus",
    "uncordon",
    "close",
)


ONLY_CONTROL_PLANE = ("see-member",)
"""Steps for control-plane nodes alone."""


def step_names(_: RejoinOptions) -> tuple[str, ...]:
    """The steps that a rejoin has, in order; :data:`ONLY_CONTROL_PLANE` among them."""
    return STEPS


def steps_for(role: str, former: Mapping[str, str]) -> tuple[str, ...]:
    """The steps of the rejoin of a machine in this role (empty: as before), which was a node with these labels."""
    if control_plane.joins_as(role, former):
        return STEPS
    return tuple(one for one in STEPS if one not in ONLY_CONTROL_PLANE)


def plan(observation: Observation, options: RejoinOptions, record: Record | None) -> Plan:
    """The plan for one node.

    Args:
        observation: what was seen; with ``joining``.
        options: what was chosen. With an open record the recorded choices count; other ones are a blocker.
        record: the node's newest record; only an open one matters.
    """
    current = record if record is not None and record.open else None
    if current is not None and current.procedure != "rejoin":
        return refused_plans.impossible("rejoin", observation, _in_downtime(current), current)
    chosen = options if current is None else _recorded(current)
    if chosen is None:
        unreadable = refused_plans.unreadable(observation.node_name)
        return refused_plans.impossible("rejoin", observation, unreadable, current)
    seen = observation.joining
    was = current.found if current is not None else (seen.former.found if seen is not None else Found())
    names = steps_for(chosen.role, was.labels)
    left = tuple(name for name in names if current is None or not current.done(name))
    case = Case(observation, chosen, current, left)
    blockers = rejoin_blockers.of(case)
    if current is not None and not same_choices(chosen, options):
        blockers = (_other_options(current, chosen, options), *blockers)
    kind, roles = kind_and_roles(case)
    return Plan(
        procedure="rejoin",
        node=case.name,
        cluster=observation.server,
        roles=roles,
        kind=kind,
        feasible=not blockers,
        steps=tuple(rejoin_steps.step(case, name) for name in left),
        blockers=blockers,
        warnings=rejoin_blockers.warnings(case),
        continued=current is not None,
    )


def kind_and_roles(case: Case) -> tuple[NodeKind, tuple[str, ...]]:
    """What it will be."""
    own = {control_plane.LABEL: ""} if case.control_plane else {}
    wanted: Object = {"metadata": {"name": case.name, "labels": {**case.labels, **own}}}
    kind = node_.kind(wanted)
    return ("gpu-worker" if kind == "cpu-worker" and any(case.gpus.values()) else kind), node_.roles(wanted)


def _recorded(record: Record) -> RejoinOptions | None:
    try:
        return RejoinOptions.model_validate(record.options)
    except ValidationError:
        return None


def _in_downtime(record: Record) -> Finding:
    return refused_plans.in_downtime(
        record, f"'downtime resume {record.node}' goes on with it; when it is over, run the rejoin again."
    )


def _other_options(record: Record, chosen: RejoinOptions, given: RejoinOptions) -> Finding:
    names = [
        one for one in RejoinOptions.model_fields if one != "confirmed" and getattr(chosen, one) != getattr(given, one)
    ]
    return refused_plans.other_options(record, "being rejoined", names, abort=False)
