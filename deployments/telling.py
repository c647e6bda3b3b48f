"""Telling a person how far a procedure is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deployments.choices import Output
from deployments.consoles import progress

if TYPE_CHECKING:
    from cluster.downtime import Say


def teller(output: Output, node: str) -> Say:
    """What prints a line for each thing that a procedure says."""
    from cluster.showing import shown
    from cluster.showing_time import clock

    console = progress(output)

    def say(step: str, text: str) -> None:
        console.print(f"{clock(datetime.now(UTC))}  {node}  {step}: {shown(text, 1000)}", soft_wrap=True)

    return say
