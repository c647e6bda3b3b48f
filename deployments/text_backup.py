"""A backup set that was taken, on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from cluster.backup_report import BackupReport
from cluster.showing import shown
from cluster.showing_backups import COLUMNS, headline, protection, rows
from deployments import text_plan
from deployments.text_report import section


def show(console: Console, report: BackupReport) -> None:
    """Print it: that it is there first, then what is in it, then what is to be looked at."""
    console.print()
    console.print(Text(headline(report), style="bold green"))
    console.print(Text(shown(protection(report), 1000), style="dim" if report.recipients else "yellow"))
    section(console, "Parts", COLUMNS, rows(report))
    text_plan.recovery(console, report.check)
    for warning in report.warnings:
        console.print(Text(f"WARN   {shown(warning, 1000)}", style="yellow"), soft_wrap=True)
    if report.removed:
        console.print(Text(f"Removed, as they are not kept any more: {', '.join(report.removed)}"), soft_wrap=True)
