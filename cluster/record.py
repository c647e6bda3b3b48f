"""The record of a node's downtime: what was found, what was changed, how far it got. Pure data and transitions.

The record is the truth about a downtime: any process that holds the lock can go on from it alone. Every function
here returns a new record; :mod:`cluster.records` puts it into the cluster.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import Blocked
from cluster.etcd_members import Member
from cluster.gate import Verdict
from cluster.notice import Notice, Obstacle
from cluster.nvidia_smi import Device
from cluster.options import Procedure
from cluster.plan import Whereabouts, Workload
from cluster.restoration import Kept

SCHEMA = 1
# A ConfigMap holds at most 1 MiB: https://kubernetes.io/docs/concepts/configuration/configmap/
TIMELINE_LENGTH = 200
_MOST_RUNS = 100
_CONTINUED = "continued by "

RESET, DELETED, MEMBER_REMOVED = "machine-reset", "node-deleted", "etcd-member-removed"
DESIGNATED, STAYS_DESIGNATED = "temporary-designation", "designation"
"""The label of a system node on another node, whose name is the value: for a while, and for good."""
LASTING = frozenset({RESET, DELETED, MEMBER_REMOVED, "joined", STAYS_DESIGNATED})
"""Changes that a procedure is there for: they are not undone at its end."""

Phase = Literal[
    "admitted", "asking", "draining", "drained", "stopping", "off", "starting", "returning", "aborting", "closed"
]
Course = Literal["", "returned", "down"]
Subject = Literal[
    "interactive",
    "tolerating",
    "return",
    "power-off",
    "dead-kubelet",
    "flapping",
    "gpus",
    "removal",
    "rejoin",
    "lost-tolerance",
    "outage",
    "designation",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Found(_Model):
    """The node as it was found, before anything was changed."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[dict[str, Any], ...] = ()
    unschedulable: bool = False
    boot_id: str = ""
    machine_id: str = ""
    gpus: dict[str, int] = Field(default={}, description="Allocatable GPU resources.")
    service: dict[str, Any] = Field(default={}, description="Health of the Run:ai service, as it was.")
    daemons: tuple[str, ...] = Field(default=(), description="DaemonSets with a pod on the node: namespace/name.")
    devices: tuple[Device, ...] = Field(default=(), description="The machine's GPUs; empty: it was not asked.")
    csi: tuple[str, ...] = Field(
        default=(), description="Node plugins of volumes that the drain taint takes away: workloads go before it."
    )
    runai: bool = Field(default=False, description="Run:ai's REST API was configured: what is suspended is resumed.")


class Change(_Model):
    """One thing that this product changed."""

    what: str
    value: str = ""
    state: Literal["intended", "made", "undone"]
    at: datetime


class StepState(_Model):
    """How far one step got."""

    state: Literal["intended", "asked", "done"]
    at: datetime
    proof: str = ""


class Approval(_Model):
    """What a person answered, and to what exactly."""

    subject: Subject
    digest: str
    items: tuple[str, ...] = ()
    answer: str
    who: str
    at: datetime


class Asked(_Model):
    """A question about interactive work that was put to somebody, and not answered yet."""

    digest: str
    items: tuple[str, ...]


class Moment(_Model):
    """One line of the timeline."""

    at: datetime
    text: str


class Record(_Model):
    """One downtime of one node."""

    format: int = Field(default=SCHEMA, alias="schema")
    id: str
    epoch: int
    procedure: Procedure
    node: str
    node_uid: str
    phase: Phase = "admitted"
    aborted: bool = False
    reason: str = ""
    who: str
    opened: datetime
    updated: datetime
    options: dict[str, Any] = {}
    flow_run: str = ""
    earlier_runs: tuple[str, ...] = Field(default=(), description="Flow runs that had it before this one.")
    found: Found
    kept: Kept | None = Field(default=None, description="What a rejoin gives back to the node.")
    member: Member | None = Field(default=None, description="Of a removal: the member of etcd that was the node's.")
    gate: Verdict | None = None
    approvals: tuple[Approval, ...] = ()
    asked: Asked | None = Field(
        default=None, description="About interactive work: what was asked, until it is answered."
    )
    notices: tuple[Notice, ...] = Field(default=(), description="What the owners of interactive work were told.")
    obstacles: tuple[Obstacle, ...] = Field(default=(), description="Decisions that could not be carried out, and why.")
    changes: tuple[Change, ...] = ()
    steps: dict[str, StepState] = {}
    workloads: tuple[Workload, ...] = Field(default=(), description="On the node when the drain began.")
    suspended: tuple[Workload, ...] = Field(
        default=(), description="Suspended before that, or to be, by this downtime or by others."
    )
    went: tuple[Whereabouts, ...] = Field(default=(), description="Where the workloads went, just after the drain.")
    timeline: tuple[Moment, ...] = ()
    course: Course = Field(default="", description="Of an unplanned recovery: whether the node came back by itself.")
    gone_boot: str = Field(default="", description="The boot that was proven to have ended: it is back with another.")
    resets: tuple[datetime, ...] = Field(default=(), description="Power resets, each written before it was sent.")

    def done(self, step: str) -> bool:
        """Whether this step is done (and must not be done again)."""
        state = self.steps.get(step)
        return state is not None and state.state == "done"

    @property
    def open(self) -> bool:
        """Whether the node is in downtime."""
        return self.phase != "closed"

    def of_run(self, flow_run: str) -> bool:
        """Whether this flow run had it, now or once."""
        return bool(flow_run) and flow_run in (self.flow_run, *self.earlier_runs)

    @property
    def shut_down_boot(self) -> str:
        """The boot id that the machine was, or was to be, shut down with; empty: it was not, or it is up again."""
        return next((one.value for one in self.changes if one.what == "shutdown" and one.state != "undone"), "")

    @property
    def designated(self) -> str:
        """The node that was, or was to be, made a system node for a while; empty: none is (any more)."""
        return next((one.value for one in self.changes if one.what == DESIGNATED and one.state != "undone"), "")

    @property
    def relies_on(self) -> str:
        """The node that stands in for this one as a system node, or is going to; empty: none."""
        begun = any(one.what in (DESIGNATED, STAYS_DESIGNATED) for one in self.changes)
        return self.designated if begun or self.done("designate") else str(self.options.get("designate") or "")

    def standing(self) -> tuple[str, ...]:
        """What this product changed and did not undo; of a closed downtime without what was to last.

        What it was about to change, and perhaps did, is marked so.
        """
        last = {change.what: change for change in self.changes if self.open or change.what not in LASTING}
        return tuple(
            f"{change.what} {change.value}".strip() + (" (intended)" if change.state == "intended" else "")
            for change in last.values()
            if change.state != "undone"
        )


def step_is(record: Record, step: str, state: Literal["intended", "asked", "done"], proof: str = "") -> Record:
    """The record with a step's state; said in the timeline as well."""
    now = datetime.now(UTC)
    steps = {**record.steps, step: StepState(state=state, at=now, proof=proof)}
    return noted(record.model_copy(update={"steps": steps}), f"{step}: {state}{', ' + proof if proof else ''}")


def change_is(record: Record, what: str, value: str, state: Literal["intended", "made", "undone"]) -> Record:
    """The record with the newest state of one change."""
    change = Change(what=what, value=value, state=state, at=datetime.now(UTC))
    kept = tuple(one for one in record.changes if one.what != what)
    return record.model_copy(update={"changes": (*kept, change)})


def in_phase(record: Record, phase: Phase) -> Record:
    """The record in another phase."""
    return record if record.phase == phase else noted(record.model_copy(update={"phase": phase}), f"phase {phase}")


def aborting(record: Record) -> Record:
    """The record on its way back, by decision; it stays an aborted one for good."""
    return in_phase(record.model_copy(update={"aborted": True}), "aborting")


def approved(record: Record, approval: Approval) -> Record:
    """The record with a person's answer."""
    text = f"{approval.who} answered {approval.answer} ({approval.subject}: {', '.join(approval.items) or 'all'})"
    return noted(record.model_copy(update={"approvals": (*record.approvals, approval)}), text[:1000])


def with_answers(record: Record, approvals: tuple[Approval, ...]) -> Record:
    """The record with those of these answers that it does not hold yet."""
    for one in approvals:
        record = record if one in record.approvals else approved(record, one)
    return record


def continued(record: Record, holder: str) -> Record:
    """The record with who goes on; one line, however often a run came back only to find that it has to wait on."""
    last = record.timeline[-1:]
    if len(record.timeline) > 1 and last[0].text.startswith(_CONTINUED):
        record = record.model_copy(update={"timeline": record.timeline[:-1]})
    return noted(record, f"{_CONTINUED}{holder}")


def noted(record: Record, text: str) -> Record:
    """The record with one more line in its timeline. A write repeated after a lost answer adds no second line."""
    if record.timeline and record.timeline[-1].text == text:
        return record
    first, rest = record.timeline[:1], record.timeline[1:]
    moment = Moment(at=datetime.now(UTC), text=text)
    kept = (*first, *(*rest, moment)[-(TIMELINE_LENGTH - 1) :]) if first else (moment,)
    return record.model_copy(update={"timeline": kept})


def to_json(record: Record) -> str:
    """The document as it lies in the ConfigMap."""
    return record.model_dump_json(by_alias=True, exclude_none=True)


def from_json(text: str, where: str) -> Record:
    """Read a document; ``where`` names it in messages.

    Raises:
        Blocked: it is of a newer schema, or damaged: nothing may be done on its ground.
    """
    import json

    try:
        document = json.loads(text)
        schema = int(document.get("schema", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise _damaged(where, "it is not a JSON object") from error
    if schema > SCHEMA:
        raise Blocked(
            "record-newer",
            f"The record {where} has schema {schema}; this version reads up to {SCHEMA}. Nothing was changed.",
            "Use the version of downtime that wrote it, or a newer one.",
        )
    try:
        return Record.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _damaged(where, f"{place}: {first['msg']}") from error


def _damaged(where: str, why: str) -> Blocked:
    return Blocked(
        "record-damaged",
        f"The record {where} cannot be read: {why}. Nothing was changed.",
        "Look at it ('kubectl get configmap -n runai-downtime -o yaml') and at the node's taints and cordon; "
        "mend it, or delete it once the node is as it should be.",
    )


def in_run(record: Record, flow_run: str) -> Record:
    """The record in the hands of another flow run (empty: of none); the one before is remembered."""
    earlier = tuple(dict.fromkeys((*record.earlier_runs, *([record.flow_run] if record.flow_run else []))))
    kept = tuple(one for one in earlier if one != flow_run)
    return record.model_copy(update={"flow_run": flow_run, "earlier_runs": kept[-_MOST_RUNS:]})
