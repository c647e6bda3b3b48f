"""``downtime run``: a procedure, here and now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments import choices
from deployments.choices import Choices, Output, ProcedureName
from deployments.ending import Ending, ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.errors import DowntimeError
    from cluster.options import Options
    from cluster.plan import Plan
    from cluster.report import Report
    from deployments.sessions import Session

_WORST_FIRST = (1, 2, 3, 4, 0)


@choices.with_choices
def run(
    chosen: Choices,
    procedure: choices.ProcedureArgument,
    nodes: Annotated[list[str], typer.Argument(metavar="NODE...", help="One node, or several: one after the other.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Confirm the plan. Never consents to evicting interactive work.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the plan, as 'downtime plan' does.")] = False,
    local: choices.LocalOption = False,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Take nodes through a procedure, here and now.

    With several nodes, the next one starts only when the one before is back in service.
    """
    with orderly(), ending(output) as end:
        from deployments.sessions import open_right_session

        choices.require_built(procedure)
        _require_names(nodes)
        if procedure in (ProcedureName.remove, ProcedureName.rejoin) and not dry_run:
            _require_one(nodes)
        if procedure is ProcedureName.remove and not dry_run:
            _require_typed(nodes[0], chosen.yes_remove, output)
        yes = yes or nodes[0] in (chosen.yes_remove, chosen.yes_rejoin)
        if not (yes or dry_run):
            _require_person(output)
        end.about(nodes[0])
        session = open_right_session(config)
        how = _How(session, chosen.options(session.settings, procedure), output, yes=yes, dry_run=dry_run, local=local)
        code = _one(how, nodes[0], end) if len(nodes) == 1 else _several(how, nodes, end)
    raise typer.Exit(code)


@dataclass(frozen=True)
class _How:
    session: Session
    options: Options
    output: Output
    yes: bool
    dry_run: bool
    local: bool


def _one(how: _How, node: str, end: Ending) -> int:
    if how.dry_run:
        return _dry(how, node)
    report = _perform(how, node, end)
    if how.output is Output.json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        show_report(report)
    return 0


def _several(how: _How, nodes: list[str], end: Ending) -> int:
    import json

    from deployments.consoles import progress
    from deployments.ending import as_document, as_known, show

    codes: list[int] = []
    documents: list[dict[str, Any]] = []
    for at, node in enumerate(nodes):
        error: DowntimeError | None = None
        try:
            if how.dry_run and how.output is Output.text:
                codes.append(_dry(how, node))
                continue
            report = _perform(how, node, end)
            codes.append(0)
            documents.append(report.model_dump(mode="json"))
            if how.output is Output.text:
                show_report(report)
        except Exception as raised:  # noqa: BLE001 (said like any other error, for this node)
            error = as_known(raised)
        if error is not None:
            codes.append(error.exit_code)
            documents.append({"node": node, "error": as_document(error, end)})
            if how.output is Output.text:
                show(error, end)
            left = nodes[at + 1 :]
            if left:
                progress(how.output).print(f"Not begun: {', '.join(left)}")
            break
    if how.output is Output.json:
        typer.echo(json.dumps(documents, indent=2))
    return next(code for code in _WORST_FIRST if code in codes)


def _dry(how: _How, node: str) -> int:
    from deployments import commands_plan

    made = commands_plan.make(how.session, node, how.options)
    commands_plan.show(made, how.output)
    return 0 if made.feasible else 3


def _perform(how: _How, node: str, end: Ending) -> Report:
    from cluster import planning, report
    from deployments import asking, by_prefect, commands_plan, locally
    from deployments.telling import teller

    end.about(node, lambda: how.session.standing(node))
    say, ask = teller(how.output, node), asking.asker(how.output)
    say("plan", "looking at the cluster, the machine and the backups")
    checksums = how.local and planning.run_depth(how.options) == "checksums"
    made = commands_plan.make(how.session, node, how.options, checksums=checksums)
    if how.dry_run:
        return report.of_plan(made, how.options.reason)
    if how.output is Output.text:
        commands_plan.show(made, how.output)
    how, made = _confirmed(how, made, checksums=checksums)
    _require_feasible(made)
    if not how.yes and not asking.go_on("Go on?"):
        raise _declined()
    end.begun = True
    if how.local:
        return locally.run(how.session, made, how.options, say, ask)
    return by_prefect.run(how.session, node, how.options, say, ask)


def show_report(report: Report) -> None:
    """Print the report for people."""
    from deployments import text_report
    from deployments.consoles import standard_output

    text_report.show(standard_output(), report)


def _require_names(nodes: list[str]) -> None:
    from cluster.errors import Misused
    from cluster.names import node_name

    for node in nodes:
        node_name(node)
    twice = sorted({node for node in nodes if nodes.count(node) > 1})
    if twice:
        raise Misused("node-twice", f"Named twice: {', '.join(twice)}", "Name each node once.")


def _require_typed(node: str, typed: str, output: Output) -> None:
    from cluster import crossing
    from cluster.options import RemoveOptions
    from deployments import asking

    # Who sits at a terminal is asked once the plan is there.
    if typed or asking.asker(output) is None:
        crossing.require_confirmed(node, RemoveOptions(confirmed=typed))


def _require_one(nodes: list[str]) -> None:
    from cluster.errors import Misused

    if len(nodes) > 1:
        raise Misused("one-at-a-time", "Several nodes are named, and each has to be looked at", "Take them one by one.")


def _confirmed(how: _How, made: Plan, *, checksums: bool) -> tuple[_How, Plan]:
    """With what the person at the terminal says, where that is needed; a typed name confirms the plan as well."""
    from cluster import confirming
    from deployments import asking, commands_plan

    ask = asking.asker(how.output)
    how = replace(how, options=confirming.continued(made, how.options))
    while ask is not None and (asked := confirming.question(made, how.options)) is not None:
        before, answer = how.options, ask(asked)
        how = replace(how, options=confirming.confirmed(before, asked, answer))
        if how.options == before:
            break
        how = replace(how, yes=how.yes or answer.given == "confirmed")
        if not made.feasible:
            made = commands_plan.make(how.session, made.node, how.options, checksums=checksums)
            commands_plan.show(made, how.output)
    return how, made


def _require_person(output: Output) -> None:
    from cluster.errors import Misused
    from deployments.consoles import somebody_is_there

    if output is Output.text and somebody_is_there():
        return
    raise Misused(
        "not-confirmed",
        "The plan has to be confirmed, and there is nobody at a terminal who could be asked",
        "Look at it with 'downtime plan', then confirm it with --yes.",
    )


def _require_feasible(made: Plan) -> None:
    from cluster import planners

    refusal = planners.refusal(made)
    if refusal is not None:
        raise refusal


def _declined() -> DowntimeError:
    from cluster.errors import Blocked

    return Blocked("declined", "The plan was not confirmed", "Run the same command again when it may be done.")
