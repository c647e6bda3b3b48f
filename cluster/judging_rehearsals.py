"""Judges what rehearsals tell of a set. Pure.

Decisions, where the runbook leaves room:

- A set that was rehearsed and failed is not good, asked for or not: it was tried, and could not be restored. Its newest
  rehearsal counts.
- Where a rehearsal is asked for, one of an earlier set will do: it proves the way, and last night's set has had none.
- A rehearsal in the future counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cluster.check_lines import failed, passed, warning
from cluster.evidence import GateSettings, SetEvidence
from cluster.rehearsal_note import RehearsalNote
from cluster.showing import shown
from cluster.showing_time import span
from cluster.verdict import Line

_CHECK = "rehearsal"


def rehearsals(evidence: SetEvidence, now: datetime, settings: GateSettings) -> Iterator[Line]:
    """The lines about rehearsals; none where there was none and none is asked for."""
    for problem in evidence.note_problems:
        yield warning(_CHECK, f"a note was not counted: {problem}")
    counted = sorted(
        (note for note in evidence.notes if note.finished - now <= settings.clock_skew), key=lambda note: note.finished
    )
    if len(counted) < len(evidence.notes):
        yield warning(_CHECK, "a note names a time in the future, and was not counted", "Set the clocks right.")
    own = [note for note in counted if note.set == evidence.id]
    if own and not own[-1].passed:
        yield failed(
            _CHECK,
            f"this set could not be restored {_ago(own[-1], now)}: {_why(own[-1])}",
            f"Find out why ('downtime rehearse-recovery {evidence.id}' tries again), or take a new set.",
        )
        return
    if counted and not counted[-1].passed:
        last = counted[-1]
        yield warning(_CHECK, f"set {last.set} could not be restored {_ago(last, now)}: {_why(last)}")
    restored = [note for note in counted if note.passed]
    yield from _asked_for(restored, now, settings)


def _asked_for(restored: list[RehearsalNote], now: datetime, settings: GateSettings) -> Iterator[Line]:
    limit = settings.rehearsal_max_age
    remedy = "Run 'downtime rehearse-recovery', and see to it that it is run regularly."
    if not restored:
        if limit is not None:
            yield failed(_CHECK, f"no set was restored in rehearsal, the limit is {span(limit)}", remedy)
        return
    newest = restored[-1]
    about = f"set {newest.set} was restored {_ago(newest, now)}"
    if limit is None:
        yield passed(_CHECK, about)
    elif now - newest.finished > limit:
        yield failed(_CHECK, f"{about}, the limit is {span(limit)}", remedy)
    else:
        yield passed(_CHECK, f"{about}, the limit is {span(limit)}")


def _ago(note: RehearsalNote, now: datetime) -> str:
    return f"in the rehearsal {span(now - note.finished)} ago"


def _why(note: RehearsalNote) -> str:
    first = next((line for line in note.lines if line.level == "FAILED"), None)
    return shown(f"{first.check}: {first.reason}", 200) if first is not None else "it does not say why"
