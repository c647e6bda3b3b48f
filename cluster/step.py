"""One step of a procedure: observe, record the intent, change only what is missing, verify, record it as done.

Because a step looks before it acts and is recorded only after it was verified, a process can die at any point, and
another one that performs the same steps ends in the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from cluster import record as records_of
from cluster.errors import DowntimeError
from cluster.record import Phase, Record

if TYPE_CHECKING:
    from cluster.downtime import Downtime


class Made(NamedTuple):
    """A change, as the record keeps it."""

    what: str
    value: str
    state: Literal["made", "undone"]


class Seen(NamedTuple):
    """What a step saw: the proof that the world is as the step wants it, and the change behind it, if it is ours."""

    proof: str
    change: Made | None = None


def _nothing(_: Downtime) -> None:
    return None


@dataclass(frozen=True)
class Step:
    """A step of a procedure.

    Attributes:
        name: as in the plan, in the record and in the Prefect graph.
        observe: whether the world is already as wanted; None: it is not.
        change: changes what is missing. Called only after the intent was recorded.
        verify: waits until the world is as wanted, and says how that was seen. Raises when it does not come about.
        intends: the changes that are recorded as intended before ``change`` is called.
        during: the phase of the downtime while the step is under way.
        after: the phase once it is done.
    """

    name: str
    observe: Callable[[Downtime], Seen | None]
    verify: Callable[[Downtime], Seen]
    change: Callable[[Downtime], None] = _nothing
    intends: tuple[tuple[str, str], ...] = ()
    during: Phase | None = None
    after: Phase | None = None


def perform(downtime: Downtime, step: Step) -> None:
    """Perform a step, unless it is done already or not in the plan.

    Raises:
        DowntimeError: as the step does; with everything that stands because of this downtime.
    """
    if step.name not in downtime.steps or downtime.record.done(step.name):
        return
    try:
        downtime.lock.check()
        seen = step.observe(downtime)
        if seen is None:
            downtime.write(lambda old: _intended(old, step))
            downtime.say(step.name, "begins")
            step.change(downtime)
            seen = step.verify(downtime)
        outcome = seen
        downtime.write(lambda old: _done(old, step, outcome))
        downtime.say(step.name, outcome.proof)
    except DowntimeError as error:
        error.changed = error.changed or downtime.record.standing()
        raise


def _intended(old: Record, step: Step) -> Record:
    new = old
    for what, value in step.intends:
        # One that is intended already stays as it is: nothing would be written but another time.
        if not any(change.what == what and change.state != "undone" for change in old.changes):
            new = records_of.change_is(new, what, value, "intended")
    new = _in_phase(new, step.during)
    return new if _at_least_intended(old, step) else records_of.step_is(new, step.name, "intended")


def _at_least_intended(old: Record, step: Step) -> bool:
    return step.name in old.steps


def _done(old: Record, step: Step, seen: Seen) -> Record:
    if old.done(step.name):
        return old
    new = _in_phase(records_of.step_is(old, step.name, "done", seen.proof), step.after)
    if seen.change is not None:
        return records_of.change_is(new, seen.change.what, seen.change.value, seen.change.state)
    unneeded = {what for what, _ in step.intends}
    kept = tuple(one for one in new.changes if one.what not in unneeded or one.state != "intended")
    return new.model_copy(update={"changes": kept})


def _in_phase(old: Record, phase: Phase | None) -> Record:
    # An abort stays an abort, whatever steps it performs.
    stays = phase is None or (old.aborted and phase != "closed")
    return old if stays or phase is None else records_of.in_phase(old, phase)
