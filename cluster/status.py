"""What is in downtime, from the records in the cluster alone: works with Prefect down and with no process alive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from cluster import local_outage, lost_tolerance, names, nodes, notice, procedures, suspensions
from cluster.api import Api, Object
from cluster.errors import Blocked
from cluster.node import time_of
from cluster.options import parse
from cluster.outage_facts import ANSWERS
from cluster.plan import Finding
from cluster.record import Record, StepState
from cluster.records import Records

_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{names.NAMESPACE}/leases"


_PROOF = "proof that the machine is off"
_OFFERED = (
    "a decision about its machine, which answers over SSH: its kubelet can be restarted, or the machine shut down, "
    "over SSH; or its return, or proof that it is off"
)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LockSeen(_Model):
    """Who may act on the node now."""

    holder: str = Field(default="", description="host/process/id; empty: nobody.")
    renewed: datetime | None = Field(default=None, description="Last renewal, by the holder's clock.")
    renewed_seconds_ago: float | None = Field(default=None, description="By the clocks of two machines: a hint.")
    lease_seconds: int | None = Field(default=None, description="Without a renewal for so long it can be taken over.")


class Now(_Model):
    """What a record means now."""

    step: str = Field(default="", description="The step that is next, or under way; empty: none is left.")
    waits_for: str = Field(default="", description="A person's answer that is waited for, in words; empty: none.")
    go_on: str = Field(default="", description="The command that goes on.")
    standing: tuple[str, ...] = Field(default=(), description="What this product changed and did not undo.")
    warnings: tuple[Finding, ...] = Field(default=(), description="What somebody should still see to.")
    lock: LockSeen = LockSeen()


class Status(Record):
    """A record, and what it means now."""

    now: Now


class Unreadable(_Model):
    """A node in downtime whose record is damaged, or of another version: nothing more can be said of it."""

    node: str
    error: Finding


Statuses = list[Status | Unreadable]
"""What the command prints for programs."""


def of_open(api: Api) -> tuple[list[Status], list[Unreadable]]:
    """Every node in downtime, the longest one first; and those whose records cannot be read.

    Raises:
        Blocked: records may not be read.
    """
    found, damaged = Records(api).all_open_readable()
    leases = {str(one["metadata"]["name"]): one for one in api.iterate(_LEASES)} if found else {}
    statuses: list[Status] = []
    for one in sorted(found, key=lambda one: one.opened):
        try:
            statuses.append(_status(one, leases.get(names.object_name(one.node))))
        except Blocked as error:
            damaged[one.node] = error
    return statuses, [_unreadable(node, error) for node, error in sorted(damaged.items())]


def _unreadable(node: str, error: Blocked) -> Unreadable:
    return Unreadable(node=node, error=Finding(code=error.code, message=error.message, remedy=error.remedy))


def of_node(api: Api, node: str) -> list[Status]:
    """The open record of a node, else its last closed one; none: it was never in downtime.

    Raises:
        Blocked: there is no such node, and no record of one.
    """
    found = Records(api).read(names.node_name(node))
    if found is None:
        nodes.get(api, node)
        return []
    lease = api.get(f"{_LEASES}/{names.object_name(node)}") if found.open else None
    return [_status(found, lease)]


def _status(record: Record, lease: Object | None) -> Status:
    left = procedures.left(record) if record.open else ()
    step = left[0] if left else ""
    now = Now(
        step=step,
        waits_for=waits_for(record, step),
        go_on=_go_on(record, step),
        standing=record.standing() if record.open else (),
        warnings=suspensions.warnings(record),
        lock=_lock(lease, datetime.now(UTC)),
    )
    return Status.model_validate({**record.model_dump(by_alias=True), "now": now.model_dump()})


def waits_for(record: Record, step: str) -> str:
    """The answer of a person that a downtime waits for; empty: for none."""
    state = record.steps.get(step)
    if state is None or state.state != "asked":
        return ""
    if _about_outage(record, step):
        return f"somebody who accepts {state.proof}"
    if step == "approve-workloads" and state.proof.startswith(notice.WAITS):
        return state.proof.removeprefix(notice.WAITS)
    if state.proof == lost_tolerance.ASKED:
        return "" if _tolerance_accepted(record) else f"somebody who accepts {state.proof}"
    if _about_running_machine(record, step):
        return "" if _machine_decided(record, state) else _OFFERED
    return {
        "approve-workloads": "a decision about interactive work",
        "approve-return": "the end of the work on the machine ('downtime resume' says that it is done)",
        "prove-off": "proof that the machine is off, or (if it answers) a decision about it, or its return",
        "see-gone": _PROOF,
        "save": _PROOF,
        "reset-host": _PROOF,
        "delete-node": _PROOF,
    }.get(step, "")


def _about_outage(record: Record, step: str) -> bool:
    return step in record.steps and record.steps[step].proof.startswith(local_outage.ASKED)


def _tolerance_accepted(record: Record) -> bool:
    return lost_tolerance.acceptance(record, parse(record.procedure, record.options)) is not None


def _about_running_machine(record: Record, step: str) -> bool:
    return step == "prove-off" and step in record.steps and record.steps[step].proof == ANSWERS


def _machine_decided(record: Record, asked: StepState) -> bool:
    """Whether somebody decided since to do something with the machine."""
    about = [one for one in record.approvals if one.subject == "dead-kubelet" and one.at >= asked.at]
    return bool(about) and about[-1].answer != "leave"


def _go_on(record: Record, step: str) -> str:
    if not record.open:
        return ""
    if waits_for(record, step) and _about_outage(record, step):
        return f"downtime decide {record.node} --accept-outage {record.node}"
    if waits_for(record, step) and record.steps[step].proof == lost_tolerance.ASKED:
        return f"downtime decide {record.node} --accept-lost-tolerance {record.node}"
    if waits_for(record, step) and _about_running_machine(record, step):
        name = record.node
        return (
            f"downtime decide {name} --dead-kubelet restart|shut-down (once it is off: downtime decide {name} "
            f"--confirm-off {name})"
        )
    if waits_for(record, step) and step == "approve-workloads":
        if record.steps[step].proof.startswith(notice.WAITS):
            return f"downtime resume {record.node}"
        return (
            f"downtime decide {record.node} --interactive evict|refuse (or for each --evict, --wait or --suspend "
            "NAMESPACE/NAME)"
        )
    if waits_for(record, step) and step not in ("approve-workloads", "approve-return"):
        return f"downtime decide {record.node} --confirm-off {record.node}"
    return f"downtime resume {record.node}"


def _lock(lease: Object | None, now: datetime) -> LockSeen:
    spec: Mapping[str, object] = (lease or {}).get("spec") or {}
    holder = str(spec.get("holderIdentity") or "")
    if not holder:
        return LockSeen()
    renewed = time_of(str(spec["renewTime"])) if spec.get("renewTime") else None
    return LockSeen(
        holder=holder,
        renewed=renewed,
        renewed_seconds_ago=round((now - renewed).total_seconds(), 1) if renewed else None,
        lease_seconds=int(str(spec.get("leaseDurationSeconds") or 0)) or None,
    )
