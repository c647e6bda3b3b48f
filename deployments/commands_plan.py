"""``downtime plan``: what would be done, and whether it can be. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from deployments import choices
from deployments.choices import Choices, Output, ProcedureName
from deployments.ending import ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.gate import Depth
    from cluster.options import Options
    from cluster.plan import Plan
    from deployments.sessions import Session


def plan(
    procedure: choices.ProcedureArgument,
    node: choices.NodeArgument,
    interactive: choices.InteractiveOption = None,
    no_shut_down: choices.NoShutDownOption = False,
    power_on: choices.PowerOnOption = None,
    hold: choices.HoldOption = True,
    eviction_minutes: choices.EvictionOption = None,
    adopt_taint: choices.AdoptOption = False,
    allow_tolerating: choices.ToleratingOption = "",
    override_pdb: choices.BudgetOption = "",
    override_recovery_gate: choices.GateOption = "",
    designate: choices.DesignateOption = "",
    keep_designation: choices.KeepOption = False,
    accept_outage: choices.OutageOption = "",
    yes_remove: choices.YesRemoveOption = "",
    said_down: choices.SaidDownOption = False,
    grace_seconds: choices.GraceOption = 120,
    dead_kubelet: choices.DeadKubeletOption = None,
    resets: choices.ResetsOption = 0,
    override_storm: choices.StormOption = "",
    host: choices.HostOption = "",
    role: choices.RoleOption = None,
    yes_rejoin: choices.YesRejoinOption = "",
    reason: choices.ReasonOption = "",
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Print what a procedure would do to a node, and whether it can. Changes nothing; exit 3 if it can't."""
    chosen = Choices(
        reason=reason,
        interactive=interactive,
        no_shut_down=no_shut_down,
        power_on=power_on,
        hold=hold,
        eviction_minutes=eviction_minutes,
        adopt_taint=adopt_taint,
        allow_tolerating=allow_tolerating,
        override_pdb=override_pdb,
        override_recovery_gate=override_recovery_gate,
        designate=designate,
        keep_designation=keep_designation,
        accept_outage=accept_outage,
        yes_remove=yes_remove,
        said_down=said_down,
        grace_seconds=grace_seconds,
        dead_kubelet=dead_kubelet,
        resets=resets,
        override_storm=override_storm,
        host=host,
        role=role,
        yes_rejoin=yes_rejoin,
    )
    with orderly(), ending(output):
        from cluster.names import node_name
        from deployments.sessions import open_right_session

        choices.require_built(procedure)
        node_name(node)
        session = open_right_session(config)
        made = make(session, node, options_for_plan(session, procedure, node, chosen))
        show(made, output)
        code = 0 if made.feasible else 3
    raise typer.Exit(code)


def make(session: Session, node: str, options: Options, *, checksums: bool = False) -> Plan:
    """Make the plan.

    Args:
        checksums: read the backup set back, as a run must before its first change.

    Raises:
        Blocked: the cluster cannot be looked at, or there is no such node.
    """
    from cluster import planning

    depth: Depth = "checksums" if checksums else "sizes"
    return planning.plan(session.api, session.settings, node, options, depth=depth)[1]


def options_for_plan(session: Session, procedure: ProcedureName, node: str, chosen: Choices) -> Options:
    """The options to plan with: of an open downtime its own, when none were given."""
    from cluster.options import parse
    from cluster.records import Records

    record = None if chosen.given else Records(session.api).open_of(node)
    if record is not None and record.procedure == procedure.value:
        return parse(record.procedure, record.options)
    return chosen.options(session.settings, procedure)


def show(made: Plan, output: Output) -> None:
    """Print the plan."""
    if output is Output.json:
        typer.echo(made.model_dump_json(indent=2))
        return
    from deployments import text_plan
    from deployments.consoles import standard_output

    text_plan.show(standard_output(), made)
