"""Resuming, once the node is back in service or drained for good, what this downtime suspended, and nothing else.

Somebody may have resumed or deleted it meanwhile: that is noted. What cannot be resumed does not keep the node: it
stays in the record as a change that stands, and is a warning of the report.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Literal

from cluster import runai_api, suspensions
from cluster.downtime import Downtime
from cluster.errors import Blocked, Misused, Unreachable
from cluster.probing import probe
from cluster.record import Change
from cluster.runai_api import RunaiApi
from cluster.runai_errors import RunaiError
from cluster.runai_workloads import OVER, STOPPED, STOPPING, RestWorkload
from cluster.step import Seen, Step
from cluster.suspending import fenced

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
                if error.for_all:
                    _note_all(downtime, error.message)
                    return
                _note(downtime, one, error.message)


def _resume(downtime: Downtime, rest: RunaiApi, one: Change) -> None:
    key, (collection, id_) = suspensions.key_of(one), suspensions.target(one)
    now = rest.workload(id_)
    if now is not None and now.phase == STOPPING:
        now = _once_not(rest, id_, STOPPING, _patience(downtime)) or now
    if now is None:
        _write(downtime, one, f"{key} was deleted meanwhile: there is nothing to resume")
    elif now.phase in OVER:
        _write(downtime, one, f"{key} is over ({now.phase}): there is nothing to resume")
    elif now.phase not in (STOPPED, STOPPING):
        who = "somebody resumed it already" if one.state == "made" else "it was not suspended after all"
        _write(downtime, one, f"{key} is not stopped ({now.phase}): {who}")
    else:
        rest.resume(collection, id_, fenced(downtime))
        seen = _once_not(rest, id_, STOPPED, min(_LEAVES_SECONDS, _patience(downtime)))
        if seen is None:
            _note(downtime, one, "Run:ai accepted it, and yet it is still stopped")
            return
        _write(downtime, one, f"{key} is resumed ({seen.phase})")


def _once_not(rest: RunaiApi, id_: str, phase: str, seconds: float) -> RestWorkload | None:
    """The workload once it has another phase; None: it has not got one."""

    def other() -> RestWorkload | None:
        now = rest.workload(id_)
        return now if now is not None and now.phase != phase else None

    return probe(other, seconds, first=0.3, longest=3.0)


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


def _note_all(downtime: Downtime, why: str) -> None:
    for one in suspensions.left(downtime.record):
        _note(downtime, one, why)


def _seen(downtime: Downtime) -> Seen:
    return Seen(suspensions.outcome(downtime.record))


RESUME_WORKLOADS = Step(suspensions.STEP, _nothing_suspended, _seen, resume)
