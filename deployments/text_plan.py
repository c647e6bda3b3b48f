"""A plan on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cluster import showing_workloads
from cluster.plan import Finding, Loss, Plan, StaysBehind, Workload
from cluster.showing import shown
from cluster.showing_reports import LOSS_COLUMNS, PROCEDURES, becomes
from cluster.verdict import Verdict

LEVELS = {"PASS": "green", "WARN": "yellow", "FAILED": "bold red"}


def show(console: Console, plan: Plan) -> None:
    """Print the plan: what it is, what will be done, what forbids it."""
    console.print(Text(f"{PROCEDURES[plan.procedure]} of {plan.node}", style="bold"), Text(_about(plan), style="dim"))
    if plan.steps:
        console.print()
        console.print(Text("Steps that are left" if plan.continued else "Steps", style="bold"))
        console.print(_steps(plan))
    if plan.workloads:
        console.print()
        console.print(Text(f"Workloads on {plan.node}", style="bold"))
        console.print(Padding(workloads(plan.workloads), (0, 0, 0, 2)))
    if plan.stays:
        console.print()
        console.print(Text(f"What stays on {plan.node}", style="bold"))
        console.print(_stays(plan.stays))
    if plan.losses:
        console.print()
        console.print(Text("What is lost with it", style="bold yellow"))
        console.print(Padding(_losses(plan.losses), (0, 0, 0, 2)))
    if plan.recovery is not None:
        recovery(console, plan.recovery)
    findings(console, "Warnings", plan.warnings, "yellow")
    findings(console, "Blocked", plan.blockers, "bold red")
    console.print()
    console.print(_conclusion(plan))


def workloads(found: Iterable[Workload]) -> Table:
    """Workloads with their owners, and what becomes of them."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("workload", "owner", "kind"):
        table.add_column(name, overflow="fold")
    table.add_column("GPUs", justify="right")
    table.add_column("pods", justify="right")
    table.add_column("what becomes of it", overflow="fold")
    for one in found:
        table.add_row(
            Text(shown(f"{one.namespace}/{one.name}")),
            Text(shown(one.owner) or "not known", style="" if one.owner else "dim"),
            one.kind,
            Text(shown(showing_workloads.gpus(one))),
            Text(shown(showing_workloads.pods(one))),
            _becomes(one),
        )
    return table


def _becomes(one: Workload) -> Text:
    said = Text(shown(becomes(one), 1000), style="yellow" if one.fate in ("needs-approval", "lost") else "")
    facts = showing_workloads.facts(one)
    return said.append(f"\n{shown(facts, 1000)}", style="dim") if facts else said


def _stays(found: Iterable[StaysBehind]) -> Table:
    table = _grid()
    for said, remedy in showing_workloads.stays(found):
        table.add_row("", Text("-"), Text(shown(said, 2000)))
        if remedy:
            table.add_row("", "", Text(shown(remedy, 2000), style="dim"))
    return table


def _losses(losses: Iterable[Loss]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in LOSS_COLUMNS:
        table.add_column(name, overflow="fold")
    for one in losses:
        table.add_row(*(Text(shown(cell)) for cell in (one.what, one.name, one.owner or "not known", one.why)))
    return table


def recovery(console: Console, verdict: Verdict) -> None:
    """The recovery gate: each line of its check."""
    about = f", backup set {shown(verdict.set)}" if verdict.set else ""
    console.print()
    console.print(Text(f"Recovery gate: {verdict.verdict}{about}", style="bold"))
    table = _grid()
    for line in verdict.lines:
        table.add_row(
            "", Text(line.level, style=LEVELS[line.level]), Text(f"{shown(line.check)}: {shown(line.reason)}")
        )
    console.print(table)


def findings(console: Console, title: str, found: Iterable[Finding], style: str) -> None:
    """Blockers or warnings, each with its remedy."""
    listed = list(found)
    if not listed:
        return
    console.print()
    console.print(Text(title, style=style))
    table = _grid()
    for one in listed:
        table.add_row("", Text("-", style=style), Text(f"{shown(one.message, 2000)} [{one.code}]"))
        if one.remedy:
            table.add_row("", "", Text(shown(one.remedy, 2000), style="dim"))
    console.print(table)


def _grid() -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _steps(plan: Plan) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", width=4)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for at, one in enumerate(plan.steps, 1):
        summary = Text(shown(one.summary, 1000))
        if one.changes:
            summary.append(f"\n{shown('; '.join(one.changes), 1000)}", style="cyan")
        table.add_row(f"{at}.", Text(one.name, style="bold" if one.changes else ""), summary)
    return table


def _about(plan: Plan) -> str:
    roles = f", roles {shown(', '.join(plan.roles))}" if plan.roles else ""
    return f"{plan.kind} node{roles}; cluster {shown(plan.cluster)}"


def _conclusion(plan: Plan) -> Text:
    if plan.feasible:
        return Text("It can go ahead. Nothing was changed.", style="green")
    number = len(plan.blockers)
    return Text(
        f"It can't go ahead: {number} blocker{'' if number == 1 else 's'}. Nothing was changed.", style="bold red"
    )
