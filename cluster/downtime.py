"""A node's downtime, entered: the session, the lock that is held, and the record that is written.

``enter`` opens a downtime or goes on with one; whatever ends the ``with`` (the end, a suspension, a signal, an
error) releases the lock. The record, not the lock, says that the node is in downtime.
"""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cluster import (
    admission,
    announcing,
    at_the_opening,
    crossing,
    etcd_quorum,
    formerly,
    gpus_before,
    limits,
    lost_tolerance,
    names,
    nodes,
    outage,
    ownership,
    procedures,
    recovery,
    rejoin_limits,
    stand_in,
)
from cluster import node as node_
from cluster import record as records_of
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import Blocked, Misused
from cluster.gate import Verdict
from cluster.lock import Lock
from cluster.options import Options, Procedure, RejoinOptions, parse
from cluster.question import Answer, Question
from cluster.record import Approval, Record, StepState, aborting, continued, noted
from cluster.records import Mutation, Records

# The API's address may be away for as long as a load balancer needs to see that a control-plane node is down.
_MASTER = 4
_MOMENT_SECONDS = 60.0

Say = Callable[[str, str], None]
Ask = Callable[[Question], Answer]


def silent(_step: str, _text: str) -> None:
    """Says nothing."""


class Downtime:
    """What the steps of a procedure work with.

    A plain class on purpose: Prefect walks through dataclasses and models that it is given as parameters.

    Attributes:
        steps: steps that are not named here do not happen.
        say: is told, for a person, how far it is: a step's name and a sentence.
        ask: asks a person, and returns the answer; None: there is nobody who could be asked.
    """

    def __init__(
        self, api: Api, settings: Settings, node: str, lock: Lock, record: Record, say: Say, ask: Ask | None
    ) -> None:
        self.api = api
        self.settings = settings
        self.node = node
        self.lock = lock
        self.record = record
        self.say = say
        self.ask = ask

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, in order, as far as is known now: an abort may find that nothing was shut down."""
        return procedures.steps_of(self.record) if self.record.open else ()

    @property
    def options(self) -> Options:
        """The choices that were made when the downtime was opened."""
        return parse(self.record.procedure, self.record.options)

    def write(self, mutate: Mutation) -> Record:
        """Write the record, as the holder of the lock.

        Raises:
            LockLost: somebody else goes on with this downtime: this process must stop.
        """
        self.lock.check()
        self.record = Records(self.api).update(self.node, self.lock.epoch, mutate)
        return self.record

    def change_node(self, change: Callable[[Object], Object]) -> Object:
        """Change the Node, fenced by the epoch of the lock."""
        return nodes.update(self.api, self.node, self.lock, change)

    def see_node(self) -> Object:
        """The Node, as it is now.

        Raises:
            Blocked: there is none (any more).
        """
        return nodes.get(self.api, self.node)

    def find_node(self) -> Object | None:
        """The Node, as it is now; None: there is none (any more)."""
        return nodes.find(self.api, self.node)


@dataclass(frozen=True)
class Start:
    """How a downtime is to begin, if it does not exist yet."""

    procedure: Procedure
    node: str
    options: Options
    gate: Verdict | None
    who: str
    flow_run: str = ""
    approvals: tuple[Approval, ...] = ()


@contextmanager
def enter(api: Api, settings: Settings, start: Start, say: Say = silent, ask: Ask | None = None) -> Iterator[Downtime]:
    """Open the downtime of a node, or go on with the one that is open.

    Order: lock, admission, record, mark on the Node. Until the record is written nothing that lasts was changed.

    Raises:
        Blocked: somebody else acts on the node now, it is in another downtime, or a limit forbids it.
    """
    crossing.require_confirmed(start.node, start.options)
    names.node_name(start.node)
    before = Records(api).open_of(start.node) if start.flow_run else None
    # A run that comes back to what it began finds somebody, who decides or looks, for a moment only.
    patience = _MOMENT_SECONDS if before is not None and before.of_run(start.flow_run) else 0.0
    with _locked(api, settings, start.node, patience) as lock:
        record = _begin(api, settings, start, Records(api).open_of(start.node), lock)
        yield _marked(Downtime(api, settings, start.node, lock, record, say, ask))


@contextmanager
def go_on(
    api: Api, settings: Settings, name: str, say: Say = silent, ask: Ask | None = None, *, abort: bool = False
) -> Iterator[Downtime]:
    """Go on with the open downtime of a node, with the options that were chosen at its start.

    Args:
        abort: back out: what was changed is undone as far as it can be.

    Raises:
        Blocked: the node is not in downtime, or somebody else acts on it now.
    """
    with _locked(api, settings, name) as lock:
        record = _continue(api, name, Records(api).open_of(name), lock, abort)
        downtime = Downtime(api, settings, name, lock, record, say, ask)
        if record.aborted and _gone(api, name):
            # Imported here: it builds on this module.
            from cluster import closing_without_node

            closing_without_node.close(downtime)
            yield downtime
        else:
            yield _marked(downtime)


@contextmanager
def _locked(api: Api, settings: Settings, name: str, patience: float = 0.0) -> Iterator[Lock]:
    names.node_name(name)
    require_cluster(api, settings)
    found = nodes.find(api, name) or {"metadata": {}}
    lock = Lock(api, name, settings.cluster.lock_seconds, _MASTER if node_.kind(found) == "control-plane" else 1)
    above = max(_epoch(Records(api).read(name)), _epoch_on(found))
    try:
        # Inside: a signal that comes just after it was taken must not leave it to run out.
        lock.acquire(above, patience)
        yield lock
    finally:
        lock.release()


def _marked(downtime: Downtime) -> Downtime:
    # The new epoch on the Node itself: the update of a holder that was overtaken now meets another version.
    record, epoch = downtime.record, downtime.lock.epoch
    # A node that is removed, or not joined yet, carries nothing.
    gone = _gone(downtime.api, downtime.node)
    if gone and record.procedure not in ("remove", "rejoin"):
        raise Blocked(
            "node-gone",
            f"The Node {downtime.node} was deleted while it was in downtime. Nothing was changed by this command",
            f"If it comes back by itself, 'downtime resume {downtime.node}' goes on then; "
            f"'downtime abort {downtime.node}' closes its record.",
        )
    if not record.done("close"):
        if not gone:
            downtime.change_node(lambda old: crossing.marked(old, record, epoch))
            if crossing.left_out_of_service(record):
                downtime.write(crossing.in_service)
        stand_in.fence(downtime)
    return downtime


def _gone(api: Api, name: str) -> bool:
    return api.get(f"{nodes.NODES}/{name}") is None


def require_cluster(api: Api, settings: Settings) -> str:
    """The uid of the cluster, which must be the configured one.

    Raises:
        Misused: no uid is configured, or it is another cluster's: nothing was changed.
    """
    uid = cluster_uid(api)
    if uid != settings.cluster.uid:
        configured = settings.cluster.uid or "not set"
        raise Misused(
            "wrong-cluster",
            f"The cluster at {api.server} has the uid {uid}, but [cluster] uid is {configured}. Nothing was changed.",
            "Check which cluster the kubeconfig names. If it is the right one, set [cluster] uid to its uid.",
        )
    return uid


def cluster_uid(api: Api) -> str:
    """What identifies a cluster: the uid of its namespace kube-system."""
    found = api.get("/api/v1/namespaces/kube-system")
    return str(found["metadata"]["uid"]) if found else ""


def _epoch(record: Record | None) -> int:
    return record.epoch if record is not None else 0


def _epoch_on(found: Object) -> int:
    # The mark outlives a namespace that was deleted, or a backup of the cluster that was restored.
    mark = ownership.read(found)
    return mark.epoch if mark is not None else 0


def _begin(api: Api, settings: Settings, start: Start, present: Record | None, lock: Lock) -> Record:
    _require_first(api, start, present)
    if present is not None and crossing.may_take_over(present, start.procedure):
        return _cross(api, settings, present, start, lock)
    if present is not None:
        crossing.require_same(present, start.procedure, start.options)
        return _take_over(api, start.node, lock, start.flow_run, _answering(start))
    new = _new_record(api, settings, start, lock)
    judge = _judge_of(api, settings, start, new)
    admission.admit(api, start.node, new.id, start.procedure, judge, lock.check, start.options.designate)
    Records(api).open(new, lock.check)
    announcing.announce(api, new)
    return new


def _judge_of(api: Api, settings: Settings, start: Start, new: Record) -> admission.Judge:
    node, options = start.node, start.options
    if isinstance(options, RejoinOptions):
        # Nothing speaks against the way back into service, but that control-plane nodes come one at a time.
        return rejoin_limits.judge_of(api, node, options, new.found.labels)
    return limits.judge_of(api, node, settings.limits, options, etcd=etcd_quorum.asking(api, settings, node, options))


def _cross(api: Api, settings: Settings, present: Record, start: Start, lock: Lock) -> Record:
    # What was asked for the downtime that is taken over was whether the node may be down for a while.
    etcd = etcd_quorum.asking(api, settings, start.node, start.options)
    judge = limits.judge_of(api, start.node, settings.limits, start.options, recorded=True, etcd=etcd)
    designates = present.designated or start.options.designate
    admission.admit(api, start.node, present.id, start.procedure, judge, lock.check, designates)
    answered = _answering(start)

    def taken(old: Record) -> Record:
        return answered(crossing.taken_over(old, start.options, start.gate, lock.epoch, start.who, start.flow_run))

    new = Records(api).update(start.node, lock.epoch, taken)
    announcing.announce(api, new)
    return new


def _continue(api: Api, name: str, present: Record | None, lock: Lock, abort: bool) -> Record:
    if present is None:
        raise not_in_downtime(name)
    record = _take_over(api, name, lock, "")
    if not abort:
        return record
    procedures.require_abortable(record)
    return Records(api).update(name, lock.epoch, aborting)


def not_in_downtime(name: str) -> Blocked:
    """The error for a node without an open record."""
    return Blocked(
        "not-in-downtime",
        f"{name} is not in downtime: there is nothing to go on with. Nothing was changed.",
        f"'downtime status {name}' shows its last downtimes; 'downtime plan planned {name}' plans a new one.",
    )


def _require_first(api: Api, start: Start, present: Record | None) -> None:
    # A suspended run goes through the flow from its top when somebody answers it at last. Its downtime may have been
    # brought to an end by others meanwhile, and its old answers would consent to a new one.
    if not start.flow_run or (present is not None and present.of_run(start.flow_run)):
        return
    over = next((one for one in Records(api).closed_of(start.node) if one.of_run(start.flow_run)), None)
    if over is not None:
        raise Blocked(
            "run-is-over",
            f"The downtime of {start.node} that this run opened was closed at {over.updated:%Y-%m-%d %H:%M} UTC. "
            "Nothing was changed",
            "If the node shall go down once more, start a new run.",
        )


def _answering(start: Start) -> Mutation:
    """Adds to a record what was answered before it, and what was typed to start this run."""
    at = datetime.now(UTC)

    def answered(old: Record) -> Record:
        new = records_of.with_answers(old, start.approvals)
        return lost_tolerance.with_acceptance(new, start.options, start.who, at)

    return answered


def _as_it_is(old: Record) -> Record:
    return old


def _take_over(api: Api, name: str, lock: Lock, flow_run: str, answered: Mutation = _as_it_is) -> Record:
    def taken(old: Record) -> Record:
        new = records_of.in_run(old, flow_run) if flow_run else old
        new = new.model_copy(update={"epoch": lock.epoch})
        return answered(continued(new, lock.holder))

    return Records(api).update(name, lock.epoch, taken)


def _new_record(api: Api, settings: Settings, start: Start, lock: Lock) -> Record:
    # Of a machine that is to join again there may be no Node, and what it was is told by its records.
    found = nodes.find(api, start.node) if start.procedure == "rejoin" else nodes.get(api, start.node)
    former = formerly.of(found, Records(api).closed_of(start.node)) if start.procedure == "rejoin" else None
    now = datetime.now(UTC)
    gated = start.gate if start.procedure != "unplanned" else None
    gate = {"recovery-gate": StepState(state="done", at=now, proof=recovery.summary(gated))} if gated else {}
    before = former.found if former is not None else at_the_opening.found_of(found or {}, api, settings)
    if start.procedure == "unplanned" and found is not None:
        before = outage.found_of(api, found, before, Records(api).read(start.node))
    if start.procedure in ("planned", "remove") and found is not None:
        before = gpus_before.of(api, settings, found, before)
    opened = noted(
        Record(
            id=f"{now:%Y%m%d%H%M%S}-{uuid.uuid4().hex[:6]}",
            epoch=lock.epoch,
            procedure=start.procedure,
            node=start.node,
            node_uid=found["metadata"]["uid"] if found is not None else "",
            reason=start.options.reason,
            who=start.who,
            opened=now,
            updated=now,
            options=start.options.model_dump(mode="json"),
            flow_run=start.flow_run,
            found=before,
            kept=former.kept if former is not None else None,
            member=former.member if former is not None else None,
            gate=start.gate,
            steps=gate,
        ),
        f"opened by {start.who}",
    )
    return _answering(start)(opened)


def who() -> str:
    """The person (or service) that this process acts for: ``name@host``, as far as the machine knows."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
