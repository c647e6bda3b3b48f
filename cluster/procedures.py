"""Which steps a downtime has, in order, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cluster import planners, unplanned
from cluster.errors import Blocked
from cluster.options import Procedure, UnplannedOptions, parse
from cluster.record import Record

if TYPE_CHECKING:
    from cluster.step import Step

# What backs out of a downtime whose machine was not shut down.
UNDO = ("untaint", "see-gpus", "uncordon", "see-service", "close")


def steps_of(record: Record) -> tuple[str, ...]:
    """All steps of this downtime, done ones included, in order. Pure."""
    options = parse(record.procedure, record.options)
    if isinstance(options, UnplannedOptions):
        return unplanned.steps_of(record, options)
    if record.aborted and not _machine_touched(record):
        # Nothing was evicted before the taint: there is nothing to verify about GPUs.
        return UNDO if "taint" in record.steps else tuple(name for name in UNDO if name != "see-gpus")
    names = planners.step_names(options)
    if record.aborted:
        return names[names.index("see-off") :]
    return names


def left(record: Record) -> tuple[str, ...]:
    """The steps that are not done yet."""
    return tuple(name for name in steps_of(record) if not record.done(name))


def _machine_touched(record: Record) -> bool:
    return any(change.what == "shutdown" for change in record.changes)


def require_abortable(record: Record) -> None:
    """Refuse to back out of what cannot be undone.

    Raises:
        Blocked: the node was reset or deleted.
    """
    if record.procedure in ("remove", "rejoin"):
        raise Blocked(
            "cannot-abort",
            f"The {record.procedure} of {record.node} cannot be undone by this version",
            f"'downtime status {record.node}' shows how far it is.",
        )


def table(procedure: Procedure = "planned") -> Mapping[str, Step]:
    """Every step of a procedure by its name."""
    if procedure == "unplanned":
        from cluster import unplanned_table

        return {step.name: step for step in unplanned_table.STEPS}
    if procedure == "rejoin":
        from cluster import rejoin_table

        return {step.name: step for step in rejoin_table.STEPS}
    from cluster import closing, eviction, gpus, machine, recovery, scheduling, service_check, waiting

    steps = (
        recovery.RECOVERY_GATE,
        scheduling.CORDON,
        waiting.APPROVE_WORKLOADS,
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
        service_check.SEE_SERVICE,
        closing.CLOSE,
    )
    return {step.name: step for step in steps}
