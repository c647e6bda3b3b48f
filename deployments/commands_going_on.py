"""``downtime resume`` and ``downtime abort``: going on with a downtime, and backing out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import Ending, ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.record import Record
    from deployments.sessions import Session


def resume(
    node: choices.NodeArgument,
    accept_gpus: choices.AcceptGpusOption = None,
    local: choices.LocalOption = False,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Go on with the downtime of a node where its record is.

    If it waits for the work on the machine, resuming says that the work is done; at a terminal you are asked.
    """
    with orderly(), ending(output) as end:
        _go_on(node, config, output, end, local=local, abort=False, accept_gpus=accept_gpus or ())


def abort(
    node: choices.NodeArgument,
    local: choices.LocalOption = False,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Back out of the downtime of a node: undo what this product changed; after a shutdown, bring it back."""
    with orderly(), ending(output) as end:
        _go_on(node, config, output, end, local=local, abort=True)


def require_downtime(session: Session, node: str) -> Record:
    """The newest record of a node, open or closed.

    Raises:
        Blocked: there is no such node, or it was never in downtime.
    """
    from cluster import nodes
    from cluster.downtime import not_in_downtime
    from cluster.names import node_name
    from cluster.records import Records

    record = Records(session.api).read(node_name(node))
    if record is None:
        nodes.get(session.api, node)
        raise not_in_downtime(node)
    return record


def _go_on(
    node: str,
    config: Path | None,
    output: Output,
    end: Ending,
    *,
    local: bool,
    abort: bool,
    accept_gpus: Sequence[str] = (),
) -> None:
    from cluster.names import node_name
    from deployments import asking, by_prefect, locally
    from deployments.sessions import open_right_session
    from deployments.telling import teller

    end.about(node_name(node))
    session = open_right_session(config)
    end.about(node, lambda: session.standing(node))
    record = require_downtime(session, node)
    if not record.open:
        _say_closed(record, output)
        return
    if accept_gpus:
        _accept(session, node, accept_gpus)
    way = locally if local else by_prefect
    end.begun = True
    report = way.go_on(session, node, teller(output, node), asking.asker(output), abort=abort)
    if output is Output.json:
        typer.echo(report.model_dump_json(indent=2))
        return
    from deployments.commands_run import show_report

    show_report(report)


def _accept(session: Session, node: str, given: Sequence[str]) -> None:
    from cluster import accepted_gpus, downtime

    with downtime.go_on(session.api, session.settings, node) as downtime_of_node:
        accepted_gpus.accept(downtime_of_node, given, downtime.who())


def _say_closed(record: Record, output: Output) -> None:
    from cluster import report
    from cluster.showing_time import moment

    if output is Output.json:
        typer.echo(report.of_record(record).model_dump_json(indent=2))
        return
    how = "backed out of" if record.aborted else "done"
    typer.echo(
        f"Nothing to do: the last downtime of {record.node} ({record.procedure}) was closed at "
        f"{moment(record.updated)}; {how}."
    )
