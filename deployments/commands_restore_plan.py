"""``downtime restore-plan``: the commands of a real restore. Runs none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.restore_plan import RestorePlan

SetArgument = Annotated[str, typer.Argument(metavar="SET", help="Id of a backup set; 'latest' for the newest.")]


def restore_plan(
    backup_set: SetArgument,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Print how a backup set is restored onto a new cluster: the exact commands, in order. Runs none of them.

    Needs the store alone, no cluster. The text is a script for bash, to be gone through step by step.
    """
    with orderly(), ending(output):
        from cluster import config as configuration
        from cluster import planning_restore

        made = planning_restore.make(configuration.load(config), "" if backup_set == "latest" else backup_set)
        if output is Output.json:
            typer.echo(made.model_dump_json(indent=2))
        else:
            typer.echo(as_script(made))


def as_script(plan: RestorePlan) -> str:
    """The plan as a script: what it says are comments."""
    from cluster.showing_time import moment

    lines = [
        *_commented(f"Restoring the backup set {plan.set} of the cluster {plan.cluster_uid} onto a new one."),
        f"# What was changed after {moment(plan.data_of)} is not in it. Go through it step by step; nothing was run.",
        *[line for warning in plan.warnings for line in _commented(f"WARN: {warning}")],
    ]
    for number, step in enumerate(plan.steps, 1):
        lines += ["", *_commented(f"{number}. {step.name}: {step.summary}"), *step.commands]
    return "\n".join(lines)


def _commented(text: str) -> list[str]:
    import textwrap

    from cluster.showing import shown

    return [f"# {line}" for line in textwrap.wrap(shown(text, 2000), 116, break_long_words=False)]
