"""Resuming, once the node is back in service or drained for good, what this downtime suspended, and nothing else.

Somebody may have resumed or deleted it meanwhile: that is noted. What cannot be resumed does not keep the node: it
stays in the record as a change that stands, and is a warning of the report.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Literal

from cluster import runai_api, suspensions
from cluster.downtime import Downtime
from cluster.errors import Blocked, Misused, Unreachable
from cluster.probing import probe
from cluster.record import Change
from cluster.runai_api import RunaiApi
from cluster.runai_errors import RunaiError
from cluster.runai_workloads import OVER, STOPPED, STOPPING, RestWorkload
from cluster.showing_time import moment
from cluster.step import Seen, Step
from cluster.suspending import fenced, settled_at

_LEAVES_SECONDS = 60.0


def _nothing_suspended(downtime: Downtime) -> Seen | None:
    if suspensions.left(downtime.record):
        return None
    return Seen(suspensions.outcome(downtime.record))


def resume(downtime: Downtime) -> None:
    """Resume what stands in the record as suspended; what cannot be is noted there.

    Raises:
        LockLost: somebody else goes on with this downtime.
        Blocked: the record cannot be written.
    """
    with ExitStack() as stack:
        try:
            rest = stack.enter_context(runai_api.opened(downtime.api, downtime.settings))
        except Unreachable:
            raise
        except (Misused, Blocked) as error:
            # [runai] was taken out of the configuration, or its secret is gone or may not be read.
            _note_all(downtime, error.message)
            return
        for one in suspensions.left(downtime.record):
            try:
                _resume(downtime, rest, one)
            except RunaiError as error:
                _note(downtime, one, error.message)
                away = _away(rest) if error.for_all else ""
                if away:
                    _note_all(downtime, f"it was not tried: {away}", but=one)
                    return


def _away(rest: RunaiApi) -> str:
    """Why nothing is to be had of the API for the others either; empty: it answers."""
    try:
        rest.see()
    except RunaiError as error:
        return error.message if error.for_all else ""
    return ""


def _resume(downtime: Downtime, rest: RunaiApi, one: Change) -> None:
    key, (collection, id_) = suspensions.key_of(one), suspensions.target(one)
    now = rest.workload(id_)
    if one.state == "intended" and now is not None and _left(now.phase) and now.phase not in OVER:
        # Its answer was lost: Run:ai may still be about to stop it.
        now = _while(downtime, rest, one, now)
    if now is not None and now.phase == STOPPING:
        now = _look(rest, id_, lambda phase: phase != STOPPING, _patience(downtime))
    if now is None:
        _write(downtime, one, f"{key} was deleted meanwhile: there is nothing to resume")
    elif now.phase in OVER:
        _write(downtime, one, f"{key} is over ({now.phase}): there is nothing to resume")
    elif now.phase not in (STOPPED, STOPPING):
        who = "somebody resumed it already" if one.state == "made" else "it was not suspended after all"
        _write(downtime, one, f"{key} is not stopped ({now.phase}): {who}")
    else:
        try:
            rest.resume(collection, id_, fenced(downtime))
            seen = _look(rest, id_, _left, min(_LEAVES_SECONDS, _patience(downtime)))
        except RunaiError:
            # Its answer may be lost, and it is refused the second time because it runs already.
            seen = rest.workload(id_)
            if seen is not None and not _left(seen.phase):
                raise
        if seen is None:
            _write(downtime, one, f"{key} was deleted meanwhile: there is nothing to resume")
        elif not _left(seen.phase):
            _note(downtime, one, "Run:ai accepted it, and yet it is still stopped")
        else:
            said = "is over" if seen.phase in OVER else "is resumed"
            _write(downtime, one, f"{key} {said} ({seen.phase})")


def _while(downtime: Downtime, rest: RunaiApi, one: Change, now: RestWorkload) -> RestWorkload | None:
    """The workload once it stops, or when it would have stopped long ago; None: it was deleted."""
    ends = settled_at(downtime, one)
    seconds = (ends - datetime.now(UTC)).total_seconds()
    if seconds <= 0:
        return now
    key = suspensions.key_of(one)
    downtime.say(suspensions.STEP, f"waits until {moment(ends)} whether Run:ai still stops {key}")
    return _look(rest, suspensions.target(one)[1], lambda phase: not _left(phase) or phase in OVER, seconds)


def _left(phase: str) -> bool:
    return phase not in (STOPPED, STOPPING)


def _look(rest: RunaiApi, id_: str, wanted: Callable[[str], bool], seconds: float) -> RestWorkload | None:
    """The workload as it was at the last look: once its phase is wanted, or the time is up. None: it was deleted."""
    last: list[RestWorkload | None] = []

    def settled() -> bool | None:
        last[:] = [rest.workload(id_)]
        return True if last[0] is None or wanted(last[0].phase) else None

    probe(settled, seconds, first=0.3, longest=3.0)
    return last[0]


def _patience(downtime: Downtime) -> float:
    return downtime.settings.runai.stop_minutes * 60 if downtime.settings.runai is not None else 0.0


def _write(downtime: Downtime, one: Change, note: str) -> None:
    state: Literal["undone"] = "undone"
    key = suspensions.key_of(one)
    downtime.write(lambda old: suspensions.with_state(old, key, one.value, state, note))
    downtime.say(suspensions.STEP, note)


def _note(downtime: Downtime, one: Change, why: str) -> None:
    key = suspensions.key_of(one)
    downtime.write(lambda old: suspensions.not_resumed(old, key, why))
    downtime.say(suspensions.STEP, f"{key} is NOT resumed: {why}. {suspensions.by_hand(one)}")


def _note_all(downtime: Downtime, why: str, but: Change | None = None) -> None:
    for one in suspensions.left(downtime.record):
        if but is None or one.what != but.what:
            _note(downtime, one, why)


def _seen(downtime: Downtime) -> Seen:
    return Seen(suspensions.outcome(downtime.record))


RESUME_WORKLOADS = Step(suspensions.STEP, _nothing_suspended, _seen, resume)
