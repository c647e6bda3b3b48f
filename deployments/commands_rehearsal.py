"""``downtime rehearse-recovery``: a backup set, restored to prove that it can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.rehearsing import RehearsalReport
    from cluster.verdict import Line

SetArgument = Annotated[str, typer.Argument(metavar="[SET]", help="Id of a backup set; else the newest.")]
ServerOption = Annotated[
    str,
    typer.Option(
        metavar="REFERENCE",
        help="file:PATH, env:VARIABLE or secret:NAMESPACE/NAME#KEY of the URL of a PostgreSQL server to restore into; "
        "else one is started for it, and removed.",
    ),
]
ApiOption = Annotated[
    Path | None,
    typer.Option(
        "--api",
        metavar="KUBECONFIG",
        help="API server for the dry run of Run:ai's objects; else the configured cluster, if it answers.",
    ),
]
HoursOption = Annotated[float, typer.Option(metavar="N", min=0.01, max=240, help="At most so long for each dump.")]


def rehearse_recovery(
    backup_set: SetArgument = "",
    server: ServerOption = "",
    api: ApiOption = None,
    hours: HoursOption = 6.0,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Restore a backup set into a scratch database, compare it, and note the result beside the set.

    Changes nothing in the cluster or in the set. Exit 3 if the set could not be restored whole, or the rehearsal could
    not be made.
    """
    with orderly(), ending(output):
        from cluster import config as configuration
        from cluster import rehearsing

        settings = configuration.load(config)
        asked = rehearsing.Asked(backup_set, server, api, hours)
        report = rehearsing.run(settings, asked, _show if output is Output.text else _quiet)
        if output is Output.json:
            typer.echo(report.model_dump_json(indent=2))
        else:
            _conclude(report)
        code = 0 if report.passed else 3
    raise typer.Exit(code)


def _show(line: Line) -> None:
    from deployments.consoles import standard_output
    from deployments.text_lines import show

    show(standard_output(), line)


def _quiet(_: Line) -> None:
    """JSON is printed as a whole."""


def _conclude(report: RehearsalReport) -> None:
    from cluster.showing import shown
    from cluster.showing_checks import rehearsal_headline

    typer.echo(f"\n{rehearsal_headline(report)}")
    if report.noted:
        typer.echo(f"Noted in {shown(report.noted)}.")
