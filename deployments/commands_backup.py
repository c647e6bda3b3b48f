"""``downtime backup``: a backup set of the control plane, taken here and now, without Prefect."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending
from deployments.interruption import orderly

AcceptSmallerOption = Annotated[
    bool,
    typer.Option(
        "--accept-smaller",
        help="Much may have been deleted on purpose: later sets are compared with this one, and older ones may go.",
    ),
]


def backup(
    accept_smaller: AcceptSmallerOption = False,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Take a backup set: parts first, read back at the end. Older sets are removed only after that.

    Exit codes: 0 taken and good; 1 it failed while it was taken; 2 configuration; 3 the store or the cluster refused.
    """
    with orderly(), ending(output):
        from cluster import backup as backups
        from cluster.downtime import who
        from cluster.gathering import gather
        from deployments.sessions import open_session
        from deployments.telling import teller

        session = open_session(config)
        report = backups.take(
            session.api,
            session.settings,
            gather,
            by=who(),
            accept_smaller=accept_smaller,
            say=teller(output, "backup"),
        )
        if output is Output.json:
            typer.echo(report.model_dump_json(indent=2))
        else:
            from deployments import text_backup
            from deployments.consoles import standard_output

            text_backup.show(standard_output(), report)
