"""What forbids removing a node for good. Pure; each blocker only while a step that it concerns is left.

What the drain of planned maintenance forbids, it forbids here as well. Beyond that: the machine must be reached and
proven, or be proven off, since deleting its Node deletes its pods by force.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import lost_tolerance, planned_blockers, removal_quorum, taking_over
from cluster import node as node_
from cluster import pods as pod_
from cluster.options import RemoveOptions
from cluster.plan import Finding
from cluster.planned_case import Case
from cluster.record import DELETED, RESET

# Said here in other words, or not at all.
_OTHERWISE = (
    *("not-ready", "last-system-node", "no-room-on-system-nodes", "cannot-designate"),
    *("control-plane-node", "only-control-plane-node"),
)
# The machine is there, and something about the way to it is wrong: its being off would be no explanation.
_NOBODY_THERE = ("host-unreachable", "ssh-lost", "no-address")


def of(case: Case, *, fresh: bool) -> tuple[Finding, ...]:
    """All of them, in the order of the steps that they concern.

    Args:
        fresh: the removal is still to begin; the downtime may be open already, by another procedure.
    """
    found = [one for one in planned_blockers.of(case) if one.code not in _OTHERWISE]
    if fresh and not case.fresh:
        found = [*planned_blockers.recovery(case), *found]
    if before_reset(case):
        seen = case.observation
        recorded = case.record is not None
        found += taking_over.objections(seen, case.options.designate, recorded=recorded, gone_for_good=True)
        if not any(one.code == "only-control-plane-node" for one in found) and isinstance(case.options, RemoveOptions):
            found += removal_quorum.objections(seen, lost_tolerance.typed(case.options, case.record))
        found += [*_another_designated(case), *_recreated(case), *_tolerating(case), *_machine(case)]
    return tuple(found)


def _another_designated(case: Case) -> Iterator[Finding]:
    chosen, present = case.options.designate, case.record.designated if case.record is not None else ""
    if chosen and present and chosen != present:
        yield Finding(
            code="designated-already",
            message=f"{present} was designated in the place of {case.name} already, and {chosen} is to be now",
            remedy=f"Leave --designate out: {present} takes over.",
        )


def before_reset(case: Case) -> bool:
    """Whether the machine is still to be reset, and the Node is still there."""
    touched = case.record is not None and any(one.what in (RESET, DELETED) for one in case.record.changes)
    return "reset-host" in case.left and not touched


def _recreated(case: Case) -> Iterator[Finding]:
    uid = pod_.uid(case.node)
    if case.record is not None and uid and case.record.node_uid != uid:
        yield Finding(
            code="node-recreated",
            message=f"The Node {case.name} was deleted and made anew since its downtime began: what was found then is "
            "of another Node",
            remedy=f"'downtime abort {case.name}' closes that downtime; then start again.",
        )


def _tolerating(case: Case) -> Iterator[Finding]:
    if case.observation.power_status != "off":  # on a machine that is off nothing runs that could be lost
        yield from planned_blockers.tolerating(case)


def _machine(case: Case) -> Iterator[Finding]:
    status, host, ready = case.observation.power_status, case.observation.host, node_.ready(case.node)
    if status == "off":
        # A machine that was shut down by what the removal took over may be off for seconds only.
        if ready and not (case.record is not None and case.record.shut_down_boot):
            yield Finding(
                code="power-mismatch",
                message=f"The power controller says that {case.name} is off, but the node is Ready: it seems to be "
                "another machine's",
                remedy="Correct the configuration of the power controller for this node. If the machine went down "
                "just now, wait until the node is not Ready.",
            )
        return
    if host is None:
        return  # A removal that goes on asks the machine itself, right before it is reset.
    if host.problem is not None and (ready or host.problem.code not in _NOBODY_THERE):
        yield host.problem
    elif host.problem is not None or not host.reachable:
        if status == "on":
            yield _unreachable(case)
    elif not host.boot_id or host.boot_id != node_.boot_id(case.node):
        yield Finding(
            code="host-identity",
            message=f"The machine that is configured for {case.name} is another one: it runs boot "
            f"{host.boot_id or '(unknown)'}, the node reports {node_.boot_id(case.node) or 'none'}",
            remedy=f"Correct the address of {case.name} in [hosts.addresses]. If the machine restarted and its kubelet "
            "is dead, start that, or switch the machine off: with proof of that the node can be removed.",
        )
    elif not ready:
        yield Finding(
            code="not-ready",
            message=f"{case.name} is not Ready, but its machine runs: its pods could not be seen gone",
            remedy=f"Start its kubelet; or switch the machine off: with proof of that {case.name} can be removed.",
        )


def _unreachable(case: Case) -> Finding:
    return Finding(
        code="host-unreachable",
        message=f"The machine of {case.name} is on and does not answer over SSH: it cannot be reset, and if the Node "
        "were deleted, its pods would run twice",
        remedy="Make it answer, or switch it off: with proof that it is off the node can be removed.",
    )
