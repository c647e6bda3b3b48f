"""The verdict of the recovery check, as people read it."""

from __future__ import annotations

from cluster.showing import shown
from cluster.showing_reports import escaped
from cluster.showing_time import moment
from cluster.verdict import Verdict

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
    rows = ["|  | check | found | what to do |", "| --- | --- | --- | --- |"]
    for line in verdict.lines:
        cells = (line.level, line.check, line.reason, "" if line.level == "PASS" else line.remedy)
        rows.append(f"| {' | '.join(escaped(cell, 1000) for cell in cells)} |")
    return "\n".join([f"# {escaped(headline(verdict))}", "", *rows, "", f"Judged at {moment(verdict.judged_at)}.", ""])
