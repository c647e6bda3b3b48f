"""What a person may choose when a procedure starts. Recorded at the start, and the same until its end."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import Blocked

Procedure = Literal["planned", "unplanned", "remove", "rejoin"]
Interactive = Literal["ask", "evict", "refuse"]
Role = Literal["", "gpu-worker", "cpu-worker", "system", "control-plane"]
DeadKubelet = Literal["ask", "leave", "restart", "shut-down"]


class _Chosen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    reason: str = Field(default="", max_length=500, description="Why: shown in the record, Events and the report.")


class _Standing(_Chosen):
    designate: str = Field(
        default="", max_length=253, description="A node that becomes a Run:ai system node first, to take over."
    )


class _Draining(_Standing):
    accept_outage: str = Field(
        default="",
        max_length=253,
        description="The node's name, typed: system pods on a local volume of it may be down as long as it is.",
    )
    interactive: Interactive = Field(
        default="ask", description="Interactive workloads: ask a person, evict them, or refuse to go on."
    )
    eviction_minutes: int | None = Field(
        default=None, ge=1, le=10080, description="Give up when pods are still there after so many minutes."
    )
    notice_minutes: int | None = Field(
        default=None,
        ge=0,
        le=1440,
        description="How long interactive work is left to its owners after they were told; 0: not at all.",
    )
    eviction: bool = Field(
        default=False,
        description="Evict workloads before the taint, as PodDisruptionBudgets allow; else the taint, which asks none.",
    )
    adopt_taint: bool = Field(default=False, description="Make a runai=drain taint set by hand ours: it is removed.")
    allow_tolerating: str = Field(
        default="", max_length=500, description="Why pods that tolerate the drain taint may go down with the machine."
    )
    override_pdb: str = Field(default="", max_length=500, description="Why PodDisruptionBudgets may be violated.")
    override_recovery_gate: str = Field(
        default="", max_length=500, description="Why the node may go down without a good recovery check."
    )


class PlannedOptions(_Draining):
    """The choices of planned maintenance."""

    accept_lost_tolerance: str = Field(
        default="",
        max_length=253,
        description="The name of a control-plane node, typed: no further member of etcd may fail while it is down.",
    )
    keep_designation: bool = Field(default=False, description="Leave the label on the node that was designated.")

    shut_down: bool = Field(default=True, description="Shut the machine down after the drain, and see it back.")
    power_on: Literal["controller", "person"] = Field(
        default="person", description="Who switches the machine on again: the power controller, or a person."
    )
    hold: bool = Field(
        default=True, description="Wait, before the return, until a person says that the work on the machine is done."
    )


class UnplannedOptions(_Standing):
    """The choices of unplanned recovery."""

    keep_designation: bool = Field(default=False, description="Leave the label on the node that was designated.")

    said_down: bool = Field(
        default=False, description="A person says that the node is down, though it is called Ready."
    )
    grace_seconds: int = Field(
        default=120, ge=0, le=3600, description="How long since the last sign of life it may come back by itself."
    )
    dead_kubelet: DeadKubelet = Field(
        default="ask",
        description="If SSH answers but the kubelet is dead: ask a person, leave it, restart it, or shut down.",
    )
    resets: int = Field(
        default=0, ge=0, le=5, description="How many power resets may be tried before a person is asked."
    )
    power_on: Literal["controller", "person"] = Field(
        default="person", description="Who switches the machine on again: the power controller, or a person."
    )
    hold: bool = Field(default=True, description="Wait, before the return, until a person says that it may return.")
    adopt_taint: bool = Field(default=False, description="Make a runai=drain taint set by hand ours: it is removed.")
    accept_lost_tolerance: str = Field(
        default="",
        max_length=253,
        description="The name of a control-plane node, typed: no further member of etcd may fail while it is down.",
    )
    override_storm: str = Field(default="", max_length=500, description="Why to go on although many nodes are down.")
    override_recovery_gate: str = Field(
        default="",
        max_length=500,
        description="Why a machine that still runs may be stopped or reset without a good recovery check.",
    )

    @property
    def interactive(self) -> Interactive:
        """Nobody is asked about work on a machine that is down already."""
        return "evict"

    @property
    def eviction_minutes(self) -> int | None:
        """Pods of a dead machine are not waited for by their grace periods."""
        return None


class RemoveOptions(_Draining):
    """The choices of permanent removal."""

    confirmed: str = Field(default="", description="The node's name, typed once more: it is to go for good.")
    accept_lost_tolerance: str = Field(
        default="",
        max_length=253,
        description="The name of a control-plane node, typed: no further member of etcd may fail once it is gone.",
    )

    @property
    def keep_designation(self) -> bool:
        """Nothing comes back that could take over again."""
        return True

    @property
    def shut_down(self) -> bool:
        """The machine is reset, not shut down."""
        return False

    @property
    def hold(self) -> bool:
        """It does not return."""
        return False

    @property
    def power_on(self) -> Literal["controller", "person"]:
        """It is not switched on."""
        return "person"


class RejoinOptions(_Chosen):
    """The choices of a rejoin."""

    host: str = Field(default="", max_length=260, description="Address of the machine; default: as configured.")
    role: Role = Field(default="", description="For a machine without a record, or instead of the role that it had.")
    confirmed: str = Field(default="", description="The node's name, typed once more, for a machine without a record.")

    @property
    def designate(self) -> str:
        """Nothing goes down."""
        return ""

    @property
    def interactive(self) -> Interactive:
        """There is no work on a node that is not there."""
        return "evict"

    @property
    def adopt_taint(self) -> bool:
        """There is nothing to adopt on a node that is not there."""
        return False

    @property
    def eviction_minutes(self) -> int | None:
        """Nothing is evicted."""
        return None


Options = PlannedOptions | UnplannedOptions | RemoveOptions | RejoinOptions
_CONDITIONS = ("confirmed", "accept_lost_tolerance")
_MODELS: dict[Procedure, type[PlannedOptions | UnplannedOptions | RemoveOptions | RejoinOptions]] = {
    "planned": PlannedOptions,
    "unplanned": UnplannedOptions,
    "remove": RemoveOptions,
    "rejoin": RejoinOptions,
}


def model_of(procedure: Procedure) -> type[PlannedOptions | UnplannedOptions | RemoveOptions | RejoinOptions]:
    """The model of a procedure's choices."""
    return _MODELS[procedure]


def same_choices(recorded: Options, given: Options) -> bool:
    """Whether who goes on chose nothing else than what is recorded."""
    return type(recorded) is type(given) and not differing(recorded, given)


def differing(recorded: Options, given: Options) -> list[str]:
    """The choices of one procedure in which who goes on differs from what is recorded.

    That a name was typed is a condition, not a choice. And who names no node to stand in chooses no other one: a run
    that asked for it in a form goes through its flow from the top, with the parameters that it was started with.
    """
    names = [name for name in type(recorded).model_fields if name not in _CONDITIONS]
    found = [name for name in names if getattr(recorded, name) != getattr(given, name)]
    return [name for name in found if name != "designate" or given.designate]


def parse(procedure: Procedure, document: dict[str, Any]) -> Options:
    """The choices as a record keeps them.

    Raises:
        Blocked: another version wrote them.
    """
    try:
        return _MODELS[procedure].model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise Blocked(
            "record-damaged",
            f"The options in the record of this {procedure} downtime cannot be read: "
            f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}",
            "Another version may have written it: use that one, or look at it: 'kubectl get configmap -n "
            "runai-downtime -o yaml'.",
        ) from None
