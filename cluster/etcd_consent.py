"""Asking etcd once more before a control-plane node goes, and a person, where only its fault tolerance is lost.

A member may fail in the middle of a downtime. A quorum that would be lost forbids what comes next; a tolerance that
would be lost is a person's to accept, by the node's name: in a form, at a terminal, or by ``downtime decide``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cluster import consent, etcd_quorum, events, lost_tolerance, planning
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Blocked
from cluster.lost_tolerance import NO_TOLERANCE
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Finding, Plan
from cluster.procedures import left
from cluster.question import Question
from cluster.record import DELETED, RESET, Record
from cluster.waiting import nobody_to_ask


def require(downtime: Downtime) -> None:
    """Ask etcd once more, immediately before the machine of a control-plane node is stopped.

    Nobody is asked at this moment: the machine has just proven to be the node, and that would grow old.

    Raises:
        Blocked: etcd would lose its quorum, or it could not be observed.
        Waiting: it would lose its tolerance, and nobody accepted that.
    """
    found = _found(downtime)
    if _only_tolerance(found):
        downtime.write(_asked)
        raise nobody_to_ask(_question(downtime, found[0]))
    for one in found:
        raise Blocked(one.code, f"{one.message}. The machine was left alone", one.remedy)


def settle(downtime: Downtime) -> None:
    """Ask a person, if lost tolerance is all that forbids a control-plane node to go. All else is for others to say.

    Raises:
        Waiting: there is nobody to ask, or they did not accept it.
    """
    if lost_tolerance.typed(downtime.options, downtime.record) == downtime.node:
        return
    found = _found(downtime)
    if _only_tolerance(found):
        _put(downtime, found[0])


def settle_beforehand(downtime: Downtime) -> None:
    """The same, if the node is still to be drained, stopped or reset; before a step that cannot ask by itself."""
    if not downtime.record.aborted and _still_to_go(downtime):
        settle(downtime)


def feasible(downtime: Downtime) -> tuple[Observation, Plan]:
    """The plan of what is left, which nothing forbids; a person is asked if lost tolerance alone does.

    Raises:
        Blocked: something forbids it.
        Waiting: there is nobody to ask, or they did not accept it.
    """
    seen, plan = planning.look_again(downtime)
    if _only_tolerance(plan.blockers):
        _put(downtime, plan.blockers[0])
        seen, plan = planning.look_again(downtime)
    if plan.blockers:
        first = plan.blockers[0]
        raise Blocked(first.code, first.message, first.remedy)
    return seen, plan


def accept(downtime: Downtime, typed: str, who: str, at: datetime | None = None) -> tuple[str, ...]:
    """Write down that a person accepts it; the node, empty: it is no control-plane node that is still to go.

    Args:
        typed: the node's name, as the person typed it.
        at: when that was; None: just now.

    Raises:
        Misused: it is another name: nothing was written.
    """
    what_for = f"accept {lost_tolerance.ASKED} while {downtime.node} is down"
    consent.require_typed(downtime.node, typed, "not-accepted", what_for)
    if downtime.record.aborted or not etcd_quorum.is_control_plane(downtime):
        return ()
    options = downtime.options
    given = lost_tolerance.approval(downtime.node, options, who, at or datetime.now(UTC))
    downtime.write(lambda old: old if given in old.approvals else records_of.approved(old, given))
    said, uid = lost_tolerance.said(given, options), downtime.record.node_uid
    events.emit(downtime.api, downtime.node, uid, "LostToleranceAccepted", said, warning=True)
    return (downtime.node,)


def _found(downtime: Downtime) -> list[Finding]:
    if not etcd_quorum.is_control_plane(downtime):
        return []
    return etcd_quorum.observed(
        downtime.api, downtime.settings, downtime.node, downtime.options, record=downtime.record
    )


def _only_tolerance(found: list[Finding] | tuple[Finding, ...]) -> bool:
    return [one.code for one in found] == [NO_TOLERANCE]


def _put(downtime: Downtime, found: Finding) -> None:
    asked = _question(downtime, found)
    downtime.write(_asked)
    if downtime.ask is None:
        raise nobody_to_ask(asked)
    answer = downtime.ask(asked)
    if answer.given != lost_tolerance.ACCEPT:
        raise nobody_to_ask(asked)
    accept(downtime, downtime.node, answer.who, answer.at)


def _question(downtime: Downtime, found: Finding) -> Question:
    patience = int(downtime.settings.drain.approval_hours * 3600)
    about = lost_tolerance.digest(downtime.node, downtime.options)
    return Question("lost-tolerance", downtime.node, about, found=found.message, patience_seconds=patience)


def _asked(old: Record) -> Record:
    steps = left(old)
    state = old.steps.get(steps[0]) if steps else None
    same = state is not None and (state.state, state.proof) == ("asked", lost_tolerance.ASKED)
    return old if same or not steps else records_of.step_is(old, steps[0], "asked", lost_tolerance.ASKED)


def _still_to_go(downtime: Downtime) -> bool:
    record, options = downtime.record, downtime.options
    if isinstance(options, RemoveOptions):
        touched = any(one.what in (RESET, DELETED) and one.state != "undone" for one in record.changes)
        return "reset-host" in left(record) and not touched
    if isinstance(options, PlannedOptions):
        return not record.shut_down_boot and bool({"taint", "shut-down"} & set(left(record)))
    return True
