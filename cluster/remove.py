"""The planner of permanent removal: from an observation and choices to a plan. Pure; never raises.

A removal may begin while the node is in planned maintenance or unplanned recovery: it takes that downtime over, with
what was found and changed, and everything is judged anew. Once the Node is deleted, what is left concerns the record.
"""

from __future__ import annotations

from pydantic import ValidationError

from cluster import node as node_
from cluster import remove_blockers, remove_words, verdict
from cluster.config import Settings
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import RemoveOptions
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
    "save",
    "reset-host",
    "delete-node",
    "see-away",
    "close",
)
TAKES_OVER = ("planned", "unplanned")
"""The procedures whose open downtime a removal may take over."""


def step_names(options: RemoveOptions) -> tuple[str, ...]:
    """The steps of a removal, in order. Who was designated stays so: nothing comes back that could take over."""
    return STEPS if options.designate else tuple(name for name in STEPS if name != "designate")


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
        return _impossible(observation, _no_node(observation.node_name))
    if current is not None and not own and current.procedure not in TAKES_OVER:
        return _impossible(observation, _in_downtime(current), current)
    chosen = _recorded(current) if current is not None and own else options
    if chosen is None:
        return _impossible(observation, _unreadable(observation.node_name), current)
    left = _left(chosen, current, own=own)
    case = Case(observation, observation.node or _gone(observation), chosen, settings, current, left)
    blockers = remove_blockers.of(case, fresh=not own)
    if current is not None and own and _differ(chosen, options):
        blockers = (_other_options(current, chosen, options), *blockers)
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
        recovery=_verdict(case, own=own),
        continued=own,
    )


def _left(options: RemoveOptions, record: Record | None, *, own: bool) -> tuple[str, ...]:
    if record is None or not own:
        return step_names(options)
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


def _differ(chosen: RemoveOptions, given: RemoveOptions) -> list[str]:
    # That the name was typed is a condition for starting, not a choice: 'plan' asks without it.
    names = [name for name in RemoveOptions.model_fields if name != "confirmed"]
    return [name for name in names if getattr(chosen, name) != getattr(given, name)]


def _verdict(case: Case, *, own: bool) -> verdict.Verdict | None:
    if case.record is not None and own:
        return case.record.gate
    found, reason = case.observation.recovery, case.options.override_recovery_gate
    return verdict.overridden(found, reason) if found is not None and found.blocks and reason.strip() else found


def _impossible(observation: Observation, blocker: Finding, record: Record | None = None) -> Plan:
    node = observation.node
    return Plan(
        procedure="remove",
        node=observation.node_name,
        cluster=observation.server,
        roles=node_.roles(node) if node is not None else (),
        kind=node_.kind(node) if node is not None else "cpu-worker",
        feasible=False,
        blockers=(blocker,),
        continued=record is not None,
    )


def _no_node(name: str) -> Finding:
    return Finding(
        code="unknown-node", message=f"There is no node {name} in this cluster", remedy="See 'kubectl get nodes'."
    )


def _in_downtime(record: Record) -> Finding:
    return Finding(
        code="in-downtime",
        message=f"{record.node} is in downtime already ({record.procedure}, opened "
        f"{record.opened:%Y-%m-%d %H:%M} UTC by {record.who})",
        remedy=f"'downtime status {record.node}' shows it, 'downtime resume {record.node}' goes on with it.",
    )


def _other_options(record: Record, chosen: RemoveOptions, given: RemoveOptions) -> Finding:
    return Finding(
        code="other-options",
        message=f"{record.node} is being removed already, with other options: {', '.join(_differ(chosen, given))}",
        remedy=f"'downtime resume {record.node}' goes on with the recorded ones.",
    )


def _unreadable(node: str) -> Finding:
    return Finding(
        code="record-damaged",
        message=f"The options in the record of {node} cannot be read",
        remedy="Look at it: 'kubectl get configmap -n runai-downtime -o yaml'. Another version may have written it.",
    )
