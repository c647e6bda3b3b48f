"""The arguments and options that several commands have, and the choices of planned maintenance made of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cluster.config import Settings
    from cluster.options import PlannedOptions


class Output(StrEnum):
    """For whom the output is."""

    text = "text"
    json = "json"


class ProcedureName(StrEnum):
    """The procedures of the runbook."""

    planned = "planned"
    unplanned = "unplanned"
    remove = "remove"
    rejoin = "rejoin"


class InteractiveChoice(StrEnum):
    """What is done with interactive work on the node."""

    ask = "ask"
    evict = "evict"
    refuse = "refuse"


class DecisionChoice(StrEnum):
    """What a person decides about interactive work."""

    evict = "evict"
    refuse = "refuse"


class PowerOnChoice(StrEnum):
    """Who switches the machine on again."""

    controller = "controller"
    person = "person"


ProcedureArgument = Annotated[ProcedureName, typer.Argument(help="This version has: planned.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="Name of the Kubernetes node.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Configuration; else DOWNTIME_CONFIG, else the usual places."),
]
OutputOption = Annotated[Output, typer.Option("--output", help="text for people, json for programs.")]
LocalOption = Annotated[bool, typer.Option("--local", help="Without Prefect: the same steps, by a plain loop.")]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why: kept in record, Events and report.")]
InteractiveOption = Annotated[
    InteractiveChoice | None,
    typer.Option(help="Interactive work on the node: ask a person, evict it, or refuse. Else as in [drain]."),
]
NoShutDownOption = Annotated[bool, typer.Option("--no-shut-down", help="Drain only: the machine keeps running.")]
PowerOnOption = Annotated[
    PowerOnChoice | None,
    typer.Option(help="Who switches the machine on again; else the controller, where one is configured."),
]
HoldOption = Annotated[
    bool, typer.Option("--hold/--no-hold", help="Wait, before the return, until a person says that the work is done.")
]
EvictionOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=10080, help="Give up when pods are still there after so many minutes."),
]
AdoptOption = Annotated[
    bool, typer.Option("--adopt-taint", help="Make a drain taint set by hand ours: removed at the end.")
]
ToleratingOption = Annotated[
    str, typer.Option(metavar="REASON", help="Pods that tolerate the drain may go down with the machine.")
]
BudgetOption = Annotated[
    str, typer.Option("--override-pdb", metavar="REASON", help="PodDisruptionBudgets may be violated.")
]
GateOption = Annotated[str, typer.Option(metavar="REASON", help="The node may go down without a good recovery check.")]


@dataclass(frozen=True)
class Choices:
    """What was chosen on the command line."""

    reason: str = ""
    interactive: InteractiveChoice | None = None
    no_shut_down: bool = False
    power_on: PowerOnChoice | None = None
    hold: bool = True
    eviction_minutes: int | None = None
    adopt_taint: bool = False
    allow_tolerating: str = ""
    override_pdb: str = ""
    override_recovery_gate: str = ""

    @property
    def given(self) -> bool:
        """Whether anything was chosen at all."""
        return self != Choices()

    def options(self, settings: Settings) -> PlannedOptions:
        """The options of planned maintenance; what was not chosen is as configured.

        Raises:
            Misused: a text is too long.
        """
        from pydantic import ValidationError

        from cluster.errors import Misused
        from cluster.options import PlannedOptions

        configured = "person" if settings.power.on == "person" else "controller"
        try:
            return PlannedOptions.model_validate(
                {
                    "reason": self.reason,
                    "interactive": self.interactive.value if self.interactive else settings.drain.interactive,
                    "shut_down": not self.no_shut_down,
                    "power_on": self.power_on.value if self.power_on else configured,
                    "hold": self.hold,
                    "eviction_minutes": self.eviction_minutes,
                    "adopt_taint": self.adopt_taint,
                    "allow_tolerating": self.allow_tolerating,
                    "override_pdb": self.override_pdb,
                    "override_recovery_gate": self.override_recovery_gate,
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            name = "--" + str(first["loc"][0]).replace("_", "-")
            raise Misused(
                "bad-option", f"{name}: {first['msg']}", "'downtime run --help' says what it takes."
            ) from None


def require_built(procedure: ProcedureName) -> None:
    """Refuse a procedure that this version does not have.

    Raises:
        Misused: with what to do instead.
    """
    from cluster.errors import Misused

    if procedure is not ProcedureName.planned:
        raise Misused(
            "not-built",
            f"This version has no procedure '{procedure.value}': only 'planned'",
            "Do it by hand, by the runbook; or use a newer version.",
        )
