"""The planner of a rejoin: a machine that left the cluster becomes a node of it again. Pure; never raises.

It is the way back into service: no recovery gate and no limit speaks against it. What blocks is a machine that is not
proven to be the right one, a node that is there already, versions that do not fit, and a role that is not known.
"""

from __future__ import annotations

from pydantic import ValidationError

from cluster import node as node_
from cluster import rejoin_blockers, rejoin_steps
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import RejoinOptions, same_choices
from cluster.plan import Finding, NodeKind, Plan
from cluster.record import Record
from cluster.rejoin_case import Case

STEPS = (
    "prove-machine",
    "clear-machine",
    "join",
    "delete-token",
    "see-joined",
    "cordon",
    "untaint-joining",
    "restore",
    "see-gpus",
    "uncordon",
    "close",
)


def step_names(_: RejoinOptions) -> tuple[str, ...]:
    """The steps that a rejoin has, in order."""
    return STEPS


def plan(observation: Observation, options: RejoinOptions, record: Record | None) -> Plan:
    """The plan for one node.

    Args:
        observation: what was seen; with ``joining``.
        options: what was chosen. With an open record the recorded choices count; other ones are a blocker.
        record: the node's newest record; only an open one matters.
    """
    current = record if record is not None and record.open else None
    if current is not None and current.procedure != "rejoin":
        return _impossible(observation, _in_downtime(current), current)
    chosen = options if current is None else _recorded(current)
    if chosen is None:
        return _impossible(observation, _unreadable(observation.node_name), current)
    left = tuple(name for name in STEPS if current is None or not current.done(name))
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
    wanted: Object = {"metadata": {"name": case.name, "labels": case.labels}}
    kind = node_.kind(wanted)
    return ("gpu-worker" if kind == "cpu-worker" and any(case.gpus.values()) else kind), node_.roles(wanted)


def _recorded(record: Record) -> RejoinOptions | None:
    try:
        return RejoinOptions.model_validate(record.options)
    except ValidationError:
        return None


def _impossible(observation: Observation, blocker: Finding, record: Record | None) -> Plan:
    return Plan(
        procedure="rejoin",
        node=observation.node_name,
        cluster=observation.server,
        feasible=False,
        blockers=(blocker,),
        continued=record is not None,
    )


def _in_downtime(record: Record) -> Finding:
    return Finding(
        code="in-downtime",
        message=f"{record.node} is in downtime already ({record.procedure}, opened "
        f"{record.opened:%Y-%m-%d %H:%M} UTC by {record.who})",
        remedy=f"'downtime resume {record.node}' goes on with it; when it is over, run the rejoin again.",
    )


def _other_options(record: Record, chosen: RejoinOptions, given: RejoinOptions) -> Finding:
    names = [
        one for one in RejoinOptions.model_fields if one != "confirmed" and getattr(chosen, one) != getattr(given, one)
    ]
    return Finding(
        code="other-options",
        message=f"{record.node} is being rejoined already, with other options: {', '.join(names)}",
        remedy=f"'downtime resume {record.node}' goes on with the recorded ones.",
    )


def _unreadable(node: str) -> Finding:
    return Finding(
        code="record-damaged",
        message=f"The options in the record of {node} cannot be read",
        remedy="Look at it: 'kubectl get configmap -n runai-downtime -o yaml'. Another version may have written it.",
    )
