"""The verdict of the recovery check, and what a rehearsal found, as people read it."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.rehearsal_note import RehearsalNote
from cluster.showing import shown
from cluster.showing_reports import escaped
from cluster.showing_time import moment
from cluster.verdict import Line, Verdict

_OUTCOMES = {
    "passed": "The control plane could be restored",
    "blocked": "It is not sure that the control plane could be restored: no node may be taken down",
    "not-applicable": "There is nothing to restore on this cluster",
    "overridden": "Overridden by a person",
}


def headline(verdict: Verdict) -> str:
    """One sentence: what the check ended with, and about which set."""
    about = f" (backup set {shown(verdict.set)})" if verdict.set else ""
    return f"{_OUTCOMES[verdict.verdict]}{about}."


def markdown(verdict: Verdict) -> str:
    """The verdict with all its lines, for the Prefect UI."""
    return _document(headline(verdict), verdict.lines, f"Judged at {moment(verdict.judged_at)}.")


def rehearsal_headline(note: RehearsalNote) -> str:
    """One sentence: what a rehearsal ended with, of which set, and how long it took."""
    how = "can be restored" if note.passed else "could NOT be restored as it should be"
    took = (note.finished - note.began).total_seconds()
    return f"The set {shown(note.set)} {how} ({took:.0f} s)."


def rehearsal_markdown(note: RehearsalNote) -> str:
    """What a rehearsal found, for the Prefect UI."""
    return _document(rehearsal_headline(note), note.lines, f"Rehearsed at {moment(note.finished)} by {shown(note.by)}.")


def _document(head: str, lines: Iterable[Line], end: str) -> str:
    rows = ["|  | check | found | what to do |", "| --- | --- | --- | --- |"]
    for line in lines:
        cells = (line.level, line.check, line.reason, "" if line.level == "PASS" else line.remedy)
        rows.append(f"| {' | '.join(escaped(cell, 1000) for cell in cells)} |")
    return "\n".join([f"# {escaped(head)}", "", *rows, "", escaped(end, 1000), ""])
