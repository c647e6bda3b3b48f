"""Which steps a downtime has, in order, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cluster import planned, planners, rejoin, remove, suspensions, unplanned
from cluster.errors import Blocked
from cluster.options import Options, PlannedOptions, Procedure, RejoinOptions, RemoveOptions, UnplannedOptions, parse
from cluster.record import DELETED, RESET, Record

if TYPE_CHECKING:
    from cluster.step import Step

# What backs out of a downtime whose machine was not shut down.
UNDO = ("untaint", "see-gpus", "uncordon", "undesignate", "see-service", "close")


def steps_of(record: Record) -> tuple[str, ...]:
    """All steps of this downtime, done ones included, in order. Pure."""
    options = parse(record.procedure, record.options)
    if isinstance(options, UnplannedOptions):
        return unplanned.steps_of(record, options)
    if record.aborted and isinstance(options, RemoveOptions):
        return _undo_removal(record)
    if record.aborted and isinstance(options, RejoinOptions):
        # Only before it joins: the machine stays outside, and what it was stays in the record.
        return ("delete-token", "close")
    if record.aborted and not _machine_touched(record):
        return _undo(record)
    names = _names(record, options)
    if record.aborted:
        # Who backs out wants the machine back: only one who must switch it on by hand is still waited for.
        unneeded = "approve-return" if "power-on" in names else ""
        return tuple(name for name in names[names.index("see-off") :] if name != unneeded)
    return names


def _names(record: Record, options: Options) -> tuple[str, ...]:
    if isinstance(options, RemoveOptions):
        return remove.steps_for(options, record.found.labels, record.found.csi, record.found.runai)
    if isinstance(options, PlannedOptions):
        return planned.step_names(options, record.found.csi, record.found.runai)
    if isinstance(options, RejoinOptions):
        return rejoin.steps_for(options.role, record.found.labels)
    return planners.step_names(options)


def _undo(record: Record, *, gpus: bool = False) -> tuple[str, ...]:
    # Nothing was evicted before the taint: there is nothing to verify about GPUs.
    left_out = set() if gpus or "taint" in record.steps else {"see-gpus"}
    if "designate" not in record.steps and not record.designated:
        left_out.add("undesignate")
    return tuple(name for name in suspensions.ordered(UNDO, record.found.runai) if name not in left_out)


def _undo_removal(record: Record) -> tuple[str, ...]:
    """Backing out of a removal whose machine was not reset. What it took over may have done more than it did itself."""
    clear = ("clear-out-of-service",) if any(one.what == "out-of-service" for one in record.changes) else ()
    if _machine_touched(record):
        return (*clear, "see-off", "approve-return", "see-back", *_undo(record, gpus=True))
    if record.gone_boot:
        # Who backs out leaves a dead machine as it is: nothing of it could be verified.
        return (*clear, *(name for name in _undo(record) if name not in ("see-gpus", "see-service")))
    return (*clear, *_undo(record))


def left(record: Record) -> tuple[str, ...]:
    """The steps that are not done yet."""
    return tuple(name for name in steps_of(record) if not record.done(name))


def _machine_touched(record: Record) -> bool:
    return bool(record.shut_down_boot)


def require_abortable(record: Record) -> None:
    """Refuse to back out of what cannot be undone.

    Raises:
        Blocked: the node was reset or deleted.
    """
    if record.procedure == "remove":
        _require_not_removed(record)
    if record.procedure == "rejoin" and any(change.what == "joined" for change in record.changes):
        raise Blocked(
            "cannot-abort",
            f"The machine of {record.node} has joined, or its join was begun: that is not undone half-way",
            f"'downtime resume {record.node}' goes on; afterwards 'downtime plan remove {record.node}' takes it out.",
        )


def _require_not_removed(record: Record) -> None:
    done = [one for one in record.changes if one.what in (RESET, DELETED) and one.state != "undone"]
    if done:
        said = "deleted" if any(one.what == DELETED for one in done) else "reset (or its reset was begun)"
        raise Blocked(
            "cannot-abort",
            f"{record.node} was {said}: that cannot be undone",
            f"'downtime resume {record.node}' removes it wholly; afterwards 'downtime plan rejoin {record.node}'.",
        )


def table(procedure: Procedure = "planned") -> Mapping[str, Step]:
    """Every step of a procedure by its name."""
    if procedure == "unplanned":
        from cluster import unplanned_table

        return {step.name: step for step in unplanned_table.STEPS}
    if procedure == "remove":
        from cluster import removal_table

        return {step.name: step for step in removal_table.STEPS}
    if procedure == "rejoin":
        from cluster import rejoin_table

        return {step.name: step for step in rejoin_table.STEPS}
    from cluster import (
        approving,
        closing,
        designating,
        evicting,
        eviction,
        gpus,
        machine,
        recovery,
        resuming,
        scheduling,
        service_check,
        undesignating,
        waiting,
    )

    steps = (
        recovery.RECOVERY_GATE,
        designating.DESIGNATE,
        scheduling.CORDON,
        approving.APPROVE_WORKLOADS,
        evicting.EVICT,
        scheduling.TAINT,
        eviction.SEE_GONE,
        machine.SHUT_DOWN,
        machine.SEE_OFF,
        waiting.APPROVE_RETURN,
        machine.POWER_ON,
        machine.SEE_BACK,
        scheduling.UNTAINT,
        gpus.SEE_GPUS,
        scheduling.UNCORDON,
        resuming.RESUME_WORKLOADS,
        undesignating.UNDESIGNATE,
        service_check.SEE_SERVICE,
        closing.CLOSE,
    )
    return {step.name: step for step in steps}
