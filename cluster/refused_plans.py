"""What the planners say when a plan for a node cannot even be thought about, or was begun in another way. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cluster import node as node_
from cluster import verdict
from cluster.observation import Observation
from cluster.options import Procedure
from cluster.plan import Finding, Plan
from cluster.record import Record


def impossible(procedure: Procedure, observation: Observation, blocker: Finding, record: Record | None = None) -> Plan:
    """A plan without steps, and the one thing that speaks against it. ``record``: the open one."""
    node = observation.node
    return Plan(
        procedure=procedure,
        node=observation.node_name,
        cluster=observation.server,
        roles=node_.roles(node) if node is not None else (),
        kind=node_.kind(node) if node is not None else "cpu-worker",
        feasible=False,
        blockers=(blocker,),
        continued=record is not None,
    )


def no_node(name: str, otherwise: str = "") -> Finding:
    """There is no such Node; ``otherwise``: what else could be done."""
    remedy = f"See 'kubectl get nodes'. {otherwise}".strip()
    return Finding(code="unknown-node", message=f"There is no node {name} in this cluster", remedy=remedy)


def in_downtime(record: Record, remedy: str) -> Finding:
    """Another downtime of the node is open."""
    return Finding(
        code="in-downtime",
        message=f"{record.node} is in downtime already ({record.procedure}, opened "
        f"{record.opened:%Y-%m-%d %H:%M} UTC by {record.who})",
        remedy=f"'downtime status {record.node}' shows it, {remedy}",
    )


def other_options(record: Record, doing: str, names: Sequence[str], *, abort: bool = True) -> Finding:
    """The same procedure is open with other choices; ``names``: which. ``abort``: backing out of it may help."""
    remedy = f"'downtime resume {record.node}' goes on with the recorded ones"
    return Finding(
        code="other-options",
        message=f"{record.node} is {doing} already, opened with other options: {', '.join(names)}",
        remedy=f"{remedy}; to choose others, 'downtime abort {record.node}' first." if abort else f"{remedy}.",
    )


def unreadable(node: str) -> Finding:
    """The open record's choices are not ones that this version knows."""
    return Finding(
        code="record-damaged",
        message=f"The options in the record of {node} cannot be read",
        remedy="Look at it: 'kubectl get configmap -n runai-downtime -o yaml'. Another version may have written it.",
    )


def gate_verdict(found: verdict.Verdict | None, override: str) -> verdict.Verdict | None:
    """What the recovery gate says, after a person's reason to go on without it."""
    return verdict.overridden(found, override) if found is not None and found.blocks and override.strip() else found
