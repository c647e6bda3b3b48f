"""Which planner makes the plan of which procedure. Pure."""

from __future__ import annotations

from cluster import planned, rejoin, remove, unplanned
from cluster.config import Settings
from cluster.errors import Blocked, DowntimeError, Misused, Waiting
from cluster.observation import Observation
from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from cluster.plan import Plan
from cluster.record import Record


def plan(observation: Observation, options: Options, settings: Settings, record: Record | None) -> Plan:
    """The plan for one node, by the procedure that the options belong to."""
    match options:
        case PlannedOptions():
            return planned.plan(observation, options, settings, record)
        case UnplannedOptions():
            return unplanned.plan(observation, options, settings, record)
        case RemoveOptions():
            return remove.plan(observation, options, settings, record)
        case RejoinOptions():
            return rejoin.plan(observation, options, record)
        case _:
            raise _not_built()


def step_names(options: Options) -> tuple[str, ...]:
    """All steps that a procedure has with these options, in order."""
    match options:
        case PlannedOptions():
            return planned.step_names(options)
        case UnplannedOptions():
            return unplanned.step_names(options)
        case RemoveOptions():
            return remove.step_names(options)
        case RejoinOptions():
            return rejoin.step_names(options)
        case _:
            raise _not_built()


def refusal(made: Plan) -> DowntimeError | None:
    """Why a plan is not performed, with all of its blockers; None: it can be."""
    if not made.blockers:
        return None
    first, *others = made.blockers
    also = "".join(f"; also {one.message} [{one.code}]" for one in others)
    kind = Waiting if first.code == unplanned.IN_PLANNED else Blocked
    return kind(first.code, f"{first.message}{also}", first.remedy)


def _not_built() -> Misused:
    return Misused("not-built", "This version does not know that procedure", "Use a newer version of downtime.")
