"""``downtime status``: what is in downtime, from the records in the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending

if TYPE_CHECKING:
    from cluster.status import Status


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
        found = statuses.of_node(session.api, node) if node else statuses.of_open(session.api)
        _show(found, node, output)


def _show(found: Sequence[Status], node: str, output: Output) -> None:
    if output is Output.json:
        from pydantic import TypeAdapter

        from cluster.status import Status

        text = TypeAdapter(list[Status]).dump_json(list(found), by_alias=True, indent=2)
        typer.echo(text.decode())
        return
    from deployments import text_status
    from deployments.consoles import standard_output

    console = standard_output()
    if not node:
        text_status.show(console, found)
    elif found:
        text_status.show_one(console, found[0])
    else:
        console.print(f"{node} is not in downtime, and never was.")
