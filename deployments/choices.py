"""The arguments and options that several commands have, and the choices of a procedure made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from cluster.config import Settings
    from cluster.options import Options


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


BUILT = (ProcedureName.planned, ProcedureName.unplanned, ProcedureName.remove, ProcedureName.rejoin)


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


class DeadKubeletChoice(StrEnum):
    """What is done with a machine that answers over SSH while its node is down."""

    ask = "ask"
    leave = "leave"
    restart = "restart"
    shut_down = "shut-down"


class DeadKubeletDecision(StrEnum):
    """What a person decides about such a machine."""

    leave = "leave"
    restart = "restart"
    shut_down = "shut-down"


class RoleChoice(StrEnum):
    """The role of a node that joins."""

    gpu_worker = "gpu-worker"
    cpu_worker = "cpu-worker"
    system = "system"
    control_plane = "control-plane"


ProcedureArgument = Annotated[ProcedureName, typer.Argument(help=f"This version has: {', '.join(BUILT)}.")]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="Name of the Kubernetes node.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="PATH", help="Configuration; else DOWNTIME_CONFIG, else the usual places."),
]
OutputOption = Annotated[Output, typer.Option("--output", help="text for people, json for programs.")]
AcceptGpusOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[RESOURCE=]N",
        help="So many GPUs are enough, fewer than were recorded: the others were removed on purpose.",
    ),
]
LocalOption = Annotated[bool, typer.Option("--local", help="Without Prefect: the same steps, by a plain loop.")]
ReasonOption = Annotated[str, typer.Option(metavar="TEXT", help="Why: kept in record, Events and report.")]
InteractiveOption = Annotated[
    InteractiveChoice | None,
    typer.Option(help="Interactive work on the node: ask a person, evict it, or refuse. Else as configured."),
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
NoticeOption = Annotated[
    int | None,
    typer.Option(
        "--notice",
        metavar="N",
        min=0,
        max=1440,
        help="Leave interactive work to its owners for so many minutes after they were told; else as configured.",
    ),
]
BeforeTaintOption = Annotated[
    bool, typer.Option("--eviction", help="Evict workloads before the taint, as PodDisruptionBudgets allow.")
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
DesignateOption = Annotated[
    str,
    typer.Option(metavar="NODE", help="Of the last Run:ai system node: make NODE one first, for as long as needed."),
]
KeepOption = Annotated[
    bool, typer.Option("--keep-designation", help="Leave the label of a system node on the one that was designated.")
]
OutageOption = Annotated[
    str,
    typer.Option(metavar="NODE", help="The node's name, typed: system pods on a volume of it may be down with it."),
]
GateOption = Annotated[str, typer.Option(metavar="REASON", help="The node may go down without a good recovery check.")]


SaidDownOption = Annotated[
    bool, typer.Option("--said-down", help="For 'unplanned': it is down, or was, though it is called Ready.")
]
GraceOption = Annotated[
    int,
    typer.Option(metavar="S", min=0, max=3600, help="For 'unplanned': seconds since its last sign of life."),
]
DeadKubeletOption = Annotated[
    DeadKubeletChoice | None,
    typer.Option(
        help="For 'unplanned': if the machine answers over SSH: ask (the default), leave it, restart its kubelet, shut "
        "it down."
    ),
]
ResetsOption = Annotated[
    int, typer.Option(metavar="N", min=0, max=5, help="For 'unplanned': power resets that may be tried in an hour.")
]
ToleranceOption = Annotated[
    str,
    typer.Option(
        metavar="NODE",
        help="For a control-plane node: its name, typed: no further member of etcd may fail while it is down.",
    ),
]
StormOption = Annotated[
    str, typer.Option("--override-storm", metavar="REASON", help="For 'unplanned': go on though many nodes are down.")
]
YesRemoveOption = Annotated[
    str, typer.Option(metavar="NODE", help="For 'remove': the node's name, typed once more. Confirms the plan as well.")
]
HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="For 'rejoin': where the machine is reached; else as configured.")
]
RoleOption = Annotated[
    RoleChoice | None, typer.Option(help="For 'rejoin': the role of a machine that is not recorded, or another one.")
]
YesRejoinOption = Annotated[
    str,
    typer.Option(
        metavar="NODE",
        help="For 'rejoin': the node's name, typed once more, where no record proves the machine. Confirms the plan.",
    ),
]

# What the options are called on the command line, where that is not the name of the field.
_FIELDS = {"no_shut_down": "shut_down", "yes_remove": "confirmed", "yes_rejoin": "confirmed"}

_ONLY_FOR = {"yes_remove": ProcedureName.remove, "yes_rejoin": ProcedureName.rejoin}


@dataclass(frozen=True)
class Choices:
    """What was chosen on the command line: each field is an option of the commands that have :func:`with_choices`."""

    reason: ReasonOption = ""
    interactive: InteractiveOption = None
    no_shut_down: NoShutDownOption = False
    power_on: PowerOnOption = None
    hold: HoldOption = True
    eviction_minutes: EvictionOption = None
    notice_minutes: NoticeOption = None
    eviction: BeforeTaintOption = False
    adopt_taint: AdoptOption = False
    allow_tolerating: ToleratingOption = ""
    override_pdb: BudgetOption = ""
    override_recovery_gate: GateOption = ""
    designate: DesignateOption = ""
    keep_designation: KeepOption = False
    accept_outage: OutageOption = ""
    yes_remove: YesRemoveOption = ""
    said_down: SaidDownOption = False
    grace_seconds: GraceOption = 120
    dead_kubelet: DeadKubeletOption = None
    resets: ResetsOption = 0
    override_storm: StormOption = ""
    accept_lost_tolerance: ToleranceOption = ""
    host: HostOption = ""
    role: RoleOption = None
    yes_rejoin: YesRejoinOption = ""

    @property
    def given(self) -> bool:
        """Whether anything was chosen at all."""
        return self != Choices()

    def options(self, settings: Settings, procedure: ProcedureName = ProcedureName.planned) -> Options:
        """The options of a procedure; what was not chosen is as configured.

        Raises:
            Misused: something was chosen that this procedure has not, or a text is too long.
        """
        from pydantic import ValidationError

        from cluster.errors import Misused
        from cluster.options import model_of

        model = model_of(procedure.value)
        chosen = self._chosen()
        for name in chosen:
            if _FIELDS.get(name, name) not in model.model_fields or _ONLY_FOR.get(name, procedure) is not procedure:
                raise Misused("bad-option", f"{_flag(name)} is no option of '{procedure.value}'", "Leave it out.")
        document = {**_configured(settings), **{_FIELDS.get(name, name): value for name, value in chosen.items()}}
        try:
            return model.model_validate({name: document[name] for name in model.model_fields if name in document})
        except ValidationError as error:
            first = error.errors()[0]
            raise Misused(
                "bad-option",
                f"{_flag(str(first['loc'][0]))}: {first['msg']}",
                "'downtime run --help' says what it takes.",
            ) from None

    def _chosen(self) -> dict[str, Any]:
        """What differs from the defaults, as plain values."""
        defaults = Choices()
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        given = {name: value for name, value in found.items() if value != getattr(defaults, name)}
        plain = {name: value.value if isinstance(value, StrEnum) else value for name, value in given.items()}
        return {name: not value if name == "no_shut_down" else value for name, value in plain.items()}


def with_choices(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each field of :class:`Choices`; its parameter ``chosen`` gets all of them."""
    declared = get_type_hints(Choices, include_extras=True)
    options = [
        Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=declared[one.name])
        for one in fields(Choices)
    ]

    def with_options(**given: Any) -> None:
        chosen = Choices(**{one.name: given.pop(one.name) for one in fields(Choices)})
        command(chosen=chosen, **given)

    own = [
        one.replace(kind=Parameter.KEYWORD_ONLY)
        for one in inspect.signature(command, eval_str=True).parameters.values()
        if one.name != "chosen"
    ]
    # Typer reads the options of a command from its signature.
    signed: Any = with_options
    signed.__signature__ = inspect.Signature([*own, *options])
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def _configured(settings: Settings) -> dict[str, Any]:
    return {
        "interactive": settings.drain.interactive,
        "power_on": "person" if settings.power.on == "person" else "controller",
    }


def _flag(name: str) -> str:
    return "--" + {"confirmed": "yes_remove", "shut_down": "no_shut_down", "notice_minutes": "notice"}.get(
        name, name
    ).replace("_", "-")


def require_built(procedure: ProcedureName) -> None:
    """Refuse a procedure that this version does not have.

    Raises:
        Misused: with what to do instead.
    """
    from cluster.errors import Misused

    if procedure not in BUILT:
        raise Misused(
            "not-built",
            f"This version has no procedure '{procedure.value}': only {', '.join(BUILT)}",
            "Do it by hand, by the runbook; or use a newer version.",
        )
