"""The command ``downtime``. Commands import what they need when they run: ``--help`` answers at once, and neither it
nor ``plan`` and ``status`` import Prefect.
"""

from __future__ import annotations

import typer

from deployments import (
    commands_backup,
    commands_check,
    commands_decide,
    commands_doctor,
    commands_going_on,
    commands_plan,
    commands_rehearsal,
    commands_restore_plan,
    commands_run,
    commands_schema,
    commands_serve,
    commands_status,
)

app = typer.Typer(
    name="downtime",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Take nodes of a Run:ai cluster down, and bring them back.

    Exit codes: 0 done; 1 failed while running; 2 wrong usage, configuration or cluster; 3 blocked before the next
    change; 4 waiting for a person or a machine.
    """


app.command()(commands_plan.plan)
app.command()(commands_run.run)
app.command()(commands_going_on.resume)
app.command()(commands_going_on.abort)
app.command()(commands_status.status)
app.command()(commands_decide.decide)
app.command()(commands_backup.backup)
app.command()(commands_check.check_recovery)
app.command()(commands_serve.serve)
app.command()(commands_doctor.doctor)
app.command()(commands_rehearsal.rehearse_recovery)
app.command()(commands_restore_plan.restore_plan)
app.command()(commands_schema.schema)


def main() -> None:
    """Run the command; the entry point of the console script."""
    app()
