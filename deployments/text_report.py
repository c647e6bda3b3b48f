"""The report of a downtime on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cluster.report import Report
from cluster.showing import shown
from cluster.showing_reports import WHERE_COLUMNS, decisions, headline, step_rows, told, where_rows
from cluster.showing_time import moment
from deployments import text_plan

_STYLES = {"done": "bold green", "aborted": "bold yellow", "waiting": "bold yellow", "failed": "bold red"}


def show(console: Console, report: Report) -> None:
    """Print the report: the outcome first, then where the work went, then how it was done."""
    if report.plan is not None:
        text_plan.show(console, report.plan)
        return
    console.print()
    console.print(Text(headline(report), style=_STYLES.get(report.outcome, "bold")))
    console.print(Text(_about(report), style="dim"))
    if report.went or report.workloads:
        section(console, f"What ran on {report.node}", WHERE_COLUMNS, where_rows(report))
    if report.steps:
        section(console, "Steps", ("step", "UTC", "seen"), step_rows(report))
    if report.approvals:
        section(console, "Who decided what", (), [(one,) for one in decisions(report)])
    if report.notices or report.obstacles:
        section(console, "What its owners were told", (), [(one,) for one in told(report)])
    if report.gate is not None:
        text_plan.recovery(console, report.gate)
    console.print()
    if report.standing:
        console.print(Text(f"Still standing: {shown(', '.join(report.standing), 1000)}", style="bold yellow"))
    else:
        console.print(Text(f"Nothing of this downtime is left on {report.node}.", style="green"))
    for one in report.warnings:
        console.print(Text(f"WARN {shown(one.message, 2000)} {shown(one.remedy, 2000)}", style="bold yellow"))


def _about(report: Report) -> str:
    parts = [f"opened by {shown(report.who)}"]
    if report.opened is not None and report.updated is not None:
        parts.append(f"{moment(report.opened)} to {moment(report.updated)}")
    if report.reason:
        parts.append(f"reason: {shown(report.reason, 500)}")
    return "; ".join(parts)


def section(console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A titled table of text from outside."""
    console.print()
    console.print(Text(title, style="bold"))
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=bool(head))
    for name in head or ("",):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell, 1000)) for cell in row))
    console.print(Padding(table, (0, 0, 0, 2)))
