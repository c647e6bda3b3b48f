"""``downtime status``: what is in downtime, from the records in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending

if TYPE_CHECKING:
    from cluster.status import Status, Unreadable


def status(
    node: Annotated[str, typer.Argument(metavar="[NODE]", help="Only this one, with its timeline.")] = "",
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Show which nodes are in downtime, since when, why, what they wait for, and who acts on them now."""
    with ending(output):
        from cluster import status as statuses
        from cluster.names import node_name
        from deployments.sessions import open_session

        if node:
            node_name(node)
        session = open_session(config)
        unreadable: list[Unreadable] = []
        if node:
            found = statuses.of_node(session.api, node)
        else:
            found, unreadable = statuses.of_open(session.api)
        _show(found, unreadable, node, output)
        code = 3 if unreadable else 0
    raise typer.Exit(code)


def _show(found: Sequence[Status], unreadable: Sequence[Unreadable], node: str, output: Output) -> None:
    if output is Output.json:
        from pydantic import TypeAdapter

        from cluster.status import Status, Unreadable

        text = TypeAdapter(list[Status | Unreadable]).dump_json([*found, *unreadable], by_alias=True, indent=2)
        typer.echo(text.decode())
        return
    from deployments import text_status
    from deployments.consoles import standard_output

    console = standard_output()
    if not node:
        text_status.show(console, found, unreadable)
    elif found:
        text_status.show_one(console, found[0])
    else:
        console.print(f"{node} is not in downtime, and never was.")
