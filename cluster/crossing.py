"""One procedure that takes over the open downtime of another: a node that was to return, and is to go for good. Pure.

The record stays the same one: what was found, what was changed, what people answered and the history are kept. The
steps begin anew, since each looks before it acts: a cordon or taint of this downtime that still stands is found, and
one that the return had taken off already is set again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cluster import ownership, remove, unplanned
from cluster import record as records_of
from cluster.api import Object
from cluster.errors import Blocked, Waiting
from cluster.gate import Verdict
from cluster.options import Options, Procedure, RemoveOptions, parse, same_choices
from cluster.record import Record, StepState
from cluster.recovery import summary


def may_take_over(present: Record, procedure: Procedure) -> bool:
    """Whether the procedure may go on with this open downtime of another one."""
    return procedure == "remove" and present.procedure in remove.TAKES_OVER


def require_same(present: Record, procedure: Procedure, options: Options) -> None:
    """Refuse to begin anything else than what the open downtime is.

    Raises:
        Waiting: a node in planned maintenance is down on purpose: it is left to whoever works on it.
        Blocked: it is another procedure, or was begun with other choices. Nothing was changed.
    """
    node = present.node
    if present.procedure == "planned" and procedure == "unplanned":
        found = unplanned.in_downtime(present)
        raise Waiting(found.code, found.message, found.remedy)
    if present.procedure != procedure:
        raise Blocked(
            "in-downtime",
            f"{node} is in downtime already ({present.procedure}, opened {present.opened:%Y-%m-%d %H:%M} UTC)",
            f"'downtime resume {node}' goes on with it; 'downtime abort {node}' backs out.",
        )
    if not same_choices(parse(present.procedure, present.options), options):
        raise Blocked(
            "other-options",
            f"{node} is in {present.procedure} downtime already, opened with other options",
            f"'downtime resume {node}' goes on with those; to choose others, first 'downtime abort {node}'.",
        )


def taken_over(old: Record, options: Options, gate: Verdict | None, epoch: int, who: str, flow_run: str) -> Record:
    """The record as that of a removal."""
    if old.procedure == "remove":
        return old  # a write whose answer was lost, tried again
    now = datetime.now(UTC)
    steps = {"recovery-gate": StepState(state="done", at=now, proof=summary(gate))} if gate is not None else {}
    new = records_of.in_run(old, flow_run).model_copy(
        update={
            "procedure": "remove",
            "epoch": epoch,
            "phase": "admitted",
            "aborted": False,
            "options": options.model_dump(mode="json"),
            "reason": options.reason or old.reason,
            "gate": gate,
            "steps": steps,
            # That it comes back was said then; now it goes for good, and owners are told that.
            "notices": (),
            "asked": None,
            **_still_meant(old),
        }
    )
    text = f"the removal, started by {who}, took this {old.procedure} downtime over in phase {old.phase}"
    return records_of.noted(new, text)


def _still_meant(old: Record) -> dict[str, Any]:
    """Without what was said about interactive work before the node was given work again: that went, and this is new."""
    if not any(name in old.steps for name in ("untaint", "uncordon")):
        return {}
    return {"approvals": tuple(one for one in old.approvals if one.subject != "interactive"), "obstacles": ()}


def marked(node: Object, record: Record, epoch: int) -> Object:
    """The Node with the mark of this epoch.

    An out-of-service taint that a recovery left there when a removal took it over is taken off in the same update: it
    was set with proof that nobody watches any more, and the removal needs proof of its own.
    """
    new = ownership.marked(node, record.id, epoch)
    return ownership.put_in_service(new, record.id, epoch) if record.procedure == "remove" else new


def left_out_of_service(record: Record) -> bool:
    """Whether the record of a removal still says that the out-of-service taint stands."""
    return record.procedure == "remove" and any(
        one.what == "out-of-service" and one.state != "undone" for one in record.changes
    )


def in_service(old: Record) -> Record:
    """The record once that taint is off."""
    value = next((one.value for one in old.changes if one.what == "out-of-service"), "")
    return records_of.change_is(old, "out-of-service", value, "undone") if left_out_of_service(old) else old


def require_confirmed(node: str, options: Options) -> None:
    """Refuse to begin a removal for which nobody typed the node's name.

    Raises:
        Blocked: ``not-confirmed``: nothing was changed.
    """
    if isinstance(options, RemoveOptions) and options.confirmed != node:
        typed = f"{options.confirmed[:60]!r} was typed" if options.confirmed else "its name was not typed"
        raise Blocked(
            "not-confirmed",
            f"{node} is to be removed for good, and {typed} to confirm that. Nothing was changed.",
            f"Look at 'downtime plan remove {node}'; then 'downtime run remove {node} --yes-remove {node}'.",
        )
