"""Lines of a check on a terminal: level, what was checked, what was found, and what to do about it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from cluster.showing import shown
from cluster.verdict import Line
from deployments.text_plan import LEVELS


def show(console: Console, line: Line) -> None:
    """Print one line, and its remedy below it unless it passed."""
    text = Text(f"{line.level:6} ", style=LEVELS[line.level])
    text.append(f"{shown(line.check)}: {shown(line.reason, 1000)}", style="default")
    console.print(text, soft_wrap=True)
    if line.remedy and line.level != "PASS":
        console.print(Text(f"       {shown(line.remedy, 1000)}", style="dim"), soft_wrap=True)
