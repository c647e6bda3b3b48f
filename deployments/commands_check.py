"""``downtime check-recovery``: could the control plane's data be restored? The gate's own question. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.verdict import Verdict


def check_recovery(
    sizes_only: Annotated[
        bool, typer.Option("--sizes-only", help="Read no file back, as a plan does: quick, finds no damage within.")
    ] = False,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Judge the backup sets, as the gate does before a node goes down: PASS, WARN or FAILED. Exit 3 if it would block.

    Every file of the newest good set is read back: of a large one that takes minutes.
    """
    with orderly(), ending(output):
        from cluster import recovery
        from deployments.sessions import open_right_session

        session = open_right_session(config)
        if output is Output.text and not sizes_only:
            typer.echo("Reading the newest backup set back …", err=True)
        verdict = recovery.judge(session.api, session.settings, "sizes" if sizes_only else "checksums")
        _show(verdict, output)
        code = 3 if verdict.blocks else 0
    raise typer.Exit(code)


def _show(verdict: Verdict, output: Output) -> None:
    if output is Output.json:
        typer.echo(verdict.model_dump_json(indent=2))
        return
    from rich.text import Text

    from cluster.showing_checks import headline
    from deployments import text_lines
    from deployments.consoles import standard_output

    console = standard_output()
    for line in verdict.lines:
        text_lines.show(console, line)
    console.print()
    console.print(Text(headline(verdict), style="bold red" if verdict.blocks else "bold green"), soft_wrap=True)
