"""The step in which interactive work is settled: its owners are told, a person decides, what was decided comes about.

What is waited for (that owners stop their work, that a notice period is over) is watched, and ends as soon as the work
is gone. Everything that counts is in the record: a process that goes on after another one died waits for the rest only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from cluster import consent, eviction, notice, notices, planning, suspension, suspensions, waiting
from cluster import pods as pod_
from cluster import record as records_of
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import DowntimeError, LockLost
from cluster.notice import Obstacle
from cluster.observation import Observation
from cluster.plan import Plan, Workload
from cluster.record import Record, StepState
from cluster.showing_time import moment
from cluster.step import Seen, Step
from cluster.watching import until

_STEP = "approve-workloads"
_LOOK_SECONDS = 5.0
_WATCHED_SECONDS, _AWAY_SECONDS = 60.0, 240.0
COME_BACK: ContextVar[Callable[[datetime], None] | None] = ContextVar("come back", default=None)
"""Ends this process, and has another one go on at this time. None: it waits to the end, however long that is."""


def _nothing_to_settle(downtime: Downtime) -> Seen | None:
    if waiting.asks_about_workloads(downtime):
        seen, plan = planning.look_again(downtime)
        if unsettled(downtime, seen, plan) or waiting.question_about(downtime, seen, plan) is not None:
            return None
    return _proof(downtime)


def unsettled(downtime: Downtime, seen: Observation, plan: Plan) -> tuple[Workload, ...]:
    """The interactive work that may not be evicted yet: undecided, untold, waited for, or in its notice period."""
    left = waiting.standing(downtime, plan)
    found = [
        *left.asks,
        *left.suspends,
        *notices.untold(downtime, seen, plan),
        *(one for one, _ in (*left.waits, *left.held)),
    ]
    return tuple({one.key: one for one in found}.values())


def _settle(downtime: Downtime) -> None:
    while waiting.asks_about_workloads(downtime):
        suspension.settle(downtime)
        seen, plan = planning.look_again(downtime)
        notices.tell(downtime, seen, plan)
        question = waiting.question_about(downtime, seen, plan)
        if question is not None:
            waiting.put(downtime, question)
            continue
        left = waiting.standing(downtime, plan)
        if left.suspends:
            _suspend(downtime, left.suspends)
        elif left.next is not None:
            _wait(downtime, seen, left, left.next)
        else:
            return


def _suspend(downtime: Downtime, workloads: tuple[Workload, ...]) -> None:
    """Have workloads suspended, each by itself: one that is refused leaves the others as they were decided."""
    given = consent.last_answers(downtime.record, "interactive")
    for one in workloads:
        try:
            said = _HOW[suspension.suspend(downtime, one, given[one.key].who)]
            why = "" if _see_stopped(downtime, one) else "it was suspended, but its pods are still there"
        except LockLost:
            raise
        except DowntimeError as error:
            why, said = error.message, ""
        if why:
            hindered = Obstacle(at=datetime.now(UTC), item=one.key, said=why[:1000], given=given[one.key].at)
            downtime.write(lambda old, new=hindered: _with(old, new))  # type: ignore[misc]
            downtime.say(_STEP, f"{one.key} could not be suspended: {why}")
        else:
            downtime.say(_STEP, f"{one.key} {said}")


def _with(old: Record, one: Obstacle) -> Record:
    if one in old.obstacles:
        return old
    new = old.model_copy(update={"obstacles": (*old.obstacles, one)})
    return records_of.noted(new, f"{one.item} could not be suspended: {one.said}"[:1000])


def _see_stopped(downtime: Downtime, one: Workload) -> bool:
    seconds = eviction.deadline_seconds(downtime, eviction.of_node(downtime), asked=True)
    names = {(one.namespace, name) for name in one.pods}

    def judge(now: dict[str, Object]) -> bool | None:
        downtime.lock.check()
        there = {(pod_.namespace(pod), pod_.name(pod)) for pod in now.values() if not pod_.is_finished(pod)}
        return None if names & there else True

    return until(downtime.api, eviction.PODS, judge, seconds, fields=f"spec.nodeName={downtime.node}") is True


def _wait(downtime: Downtime, seen: Observation, left: consent.Standing, when: datetime) -> None:
    """Wait until other pods are on the node than were seen, at most until something is over by itself."""
    text = "; ".join(
        [
            *(f"until {moment(ends)} that its owner stops {one.key}" for one, ends in left.waits),
            *(f"until {moment(ends)}, the end of the notice period of {one.key}" for one, ends in left.held),
        ]
    )
    known = downtime.record
    downtime.write(lambda old: _waits(old, text))
    if downtime.record.steps != known.steps:
        downtime.say(_STEP, f"waits {text}")
    before = _there(seen.pods)

    def judge(now: dict[str, Object]) -> bool | None:
        downtime.lock.check()
        return True if _there(now.values()) != before else None

    seconds = max(0.0, (when - datetime.now(UTC) + timedelta(seconds=0.1)).total_seconds())
    fields = f"spec.nodeName={downtime.node}"
    come_back = COME_BACK.get()
    at_most = seconds if come_back is None else min(seconds, _WATCHED_SECONDS)
    unsettled = suspension.unsettled_until(downtime)
    soon = 0.0
    if unsettled is not None:
        # What became of a suspension is seen as soon as it can be told, and nobody leaves before: what its owner stops
        # meanwhile would be taken for ours. Where Run:ai is not to be asked then, later again.
        soon = (unsettled - datetime.now(UTC)).total_seconds() + 0.1
        at_most = min(at_most, soon if soon > 0 else _WATCHED_SECONDS)
    changed = until(downtime.api, eviction.PODS, judge, at_most, fields=fields, every=_LOOK_SECONDS)
    if come_back is not None and soon <= 0 and changed is None and at_most < seconds:
        back = min(when, datetime.now(UTC) + timedelta(seconds=_AWAY_SECONDS))
        downtime.say(_STEP, f"this process ends; the run goes on at {moment(back)}")
        come_back(back)


def _there(pods: object) -> frozenset[str]:
    assert not isinstance(pods, str)
    return frozenset(pod_.uid(pod) for pod in pods if not pod_.is_finished(pod))  # type: ignore[attr-defined]


def _waits(old: Record, text: str) -> Record:
    proof = f"{notice.WAITS}{text}"[:1000]
    state = old.steps.get(_STEP, StepState(state="intended", at=datetime.now(UTC)))
    if (state.state, state.proof) == ("asked", proof):
        return old
    return records_of.in_phase(records_of.step_is(old, _STEP, "asked", proof), "asking")


def _settled(downtime: Downtime) -> Seen:
    _settle(downtime)
    return _proof(downtime)


def _proof(downtime: Downtime) -> Seen:
    accepted = [one for one in downtime.record.approvals if one.subject == "outage" and one.answer == "accept"]
    also = f"; {accepted[-1].who} accepted that {', '.join(accepted[-1].items)} are down with it" if accepted else ""
    return Seen(f"{_about_interactive(downtime)}{also}")


def _about_interactive(downtime: Downtime) -> str:
    said: dict[tuple[str, str], list[str]] = {}
    for item, one in consent.last_answers(downtime.record, "interactive").items():
        suspends = one.answer in (consent.SUSPEND, consent.SUSPEND_NOW)
        never = suspends and suspensions.of(downtime.record, item) is None
        said.setdefault((one.who, _GONE if never else one.answer), []).append(item)
    words = [_SAID[answer].format(who, ", ".join(items)) for (who, answer), items in said.items() if answer in _SAID]
    if words:
        return "; ".join(words)
    if downtime.options.interactive == "evict":
        return f"evict was chosen at the start, by {downtime.record.who}"
    return "there is no interactive work on the node"


_HOW = {
    "suspended": "is suspended",
    "stopped-already": "was stopped by somebody else: it is not resumed",
    "over": "has ended by itself: it is not resumed",
    "gone": "is gone by itself: it is not resumed",
}
_GONE = "gone"
_SAID = {
    _GONE: "{} decided to suspend {}, which was gone or stopped before: it is not resumed",
    consent.EVICT: "{} agreed to evict {}",
    consent.EVICT_NOW: "{} agreed to evict {} before the end of its notice period",
    consent.WAIT: "{} had the owner waited for, until there was no more of {}",
    consent.SUSPEND: "{} had {} suspended",
    consent.SUSPEND_NOW: "{} had {} suspended before the end of its notice period",
}

APPROVE_WORKLOADS = Step(_STEP, _nothing_to_settle, _settled, _settle)
