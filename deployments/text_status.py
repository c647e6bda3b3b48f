"""What is in downtime, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cluster import notice
from cluster.showing import shown
from cluster.showing_reports import PROCEDURES, decided
from cluster.showing_time import clock, duration, moment
from cluster.status import Status, Unreadable
from deployments.text_report import section


def show(console: Console, found: Sequence[Status], unreadable: Sequence[Unreadable] = ()) -> None:
    """Print the nodes in downtime, one line each, and below what each waits for; then those that cannot be read."""
    if found:
        _table(console, found)
    elif not unreadable:
        console.print("No node is in downtime.")
    for one in unreadable:
        console.print()
        console.print(Text(f"{one.node}: in downtime, but its record cannot be read", style="bold red"))
        console.print(Padding(Text(f"{one.error.message}\nWhat to do: {one.error.remedy}"), (0, 0, 0, 2)))


def _table(console: Console, found: Sequence[Status]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("node", "procedure", "phase", "since", "by", "reason", "step"):
        table.add_column(name, overflow="fold")
    for one in found:
        cells = (one.node, one.procedure, one.phase, moment(one.opened), one.who, one.reason, one.now.step)
        table.add_row(*(Text(shown(cell)) for cell in cells))
    console.print(table)
    for one in found:
        console.print()
        console.print(Text(one.node, style="bold"))
        console.print(Padding(_facts(one), (0, 0, 0, 2)))


def show_one(console: Console, one: Status) -> None:
    """Print one downtime, with its timeline."""
    age = duration((datetime.now(UTC) - one.opened).total_seconds())
    state = (
        f"in downtime for {age}, phase {one.phase}"
        if one.open
        else f"not in downtime; the last one ended {moment(one.updated)}"
    )
    console.print(Text(f"{one.node}: {state}", style="bold"))
    about = f"{PROCEDURES[one.procedure]}, opened {moment(one.opened)} by {shown(one.who)}"
    console.print(Text(f"{about}; reason: {shown(one.reason, 500)}" if one.reason else about, style="dim"))
    if one.aborted:
        console.print("It was (or is being) backed out of.")
    console.print(Padding(_facts(one), (0, 0, 0, 2)))
    if one.timeline:
        section(
            console,
            "Timeline",
            ("UTC", ""),
            [(f"{line.at:%m-%d} {clock(line.at)}", line.text) for line in one.timeline],
        )


def _facts(one: Status) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    now = one.now
    facts = {
        "waits for": now.waits_for,
        "go on with": now.go_on,
        "told": "; ".join(notice.said(one.notices)),
        "decided": "; ".join(decided(one.approvals)),
        "standing": ", ".join(now.standing),
        "to see to": " ".join(f"{one.message}. {one.remedy}" for one in now.warnings),
        "lock": _lock(one),
        "flow run": one.flow_run,
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(shown(value, 1000)))
    return table


def _lock(one: Status) -> str:
    lock = one.now.lock
    if not one.open:
        return ""
    if not lock.holder:
        return "free: nobody acts on it now"
    if lock.renewed_seconds_ago is None:
        return f"held by {lock.holder}"
    ago = duration(lock.renewed_seconds_ago)
    stale = lock.lease_seconds is not None and lock.renewed_seconds_ago > lock.lease_seconds
    hint = " (it seems to be dead; the next holder waits until that is sure)" if stale else ""
    return f"held by {lock.holder}, last renewed {ago} ago{hint}"
