"""A flow goes through exactly the steps of its planner, in their order: what is not in the plan does not happen."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from cluster import planners, procedures, suspensions, unplanned, unplanned_table
from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from cluster.planned import STEPS as PLANNED
from flows import permanent_removal, planned_maintenance, rejoin, unplanned_recovery
from tests.unit import planning_cases as cases
from tests.unit.outage_cases import recovery


class _Downtime(NamedTuple):
    names: list[str]


def _modules() -> list[ModuleType]:
    """All modules whose tasks perform steps, by the mark that they have in common."""
    import tasks

    found = [importlib.import_module(f"tasks.{one.name}") for one in pkgutil.iter_modules(tasks.__path__)]
    return [one for one in found if hasattr(one, "perform")]


def _watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the steps that are performed, in order; nothing else happens."""
    from tasks import approval

    names: list[str] = []
    for module in _modules():
        monkeypatch.setattr(module, "perform", lambda _downtime, step: names.append(step.name))
    monkeypatch.setattr(approval, "of_power_off", lambda _downtime: None)
    monkeypatch.setattr(approval, "of_release", lambda _downtime: None)
    return names


def _through(monkeypatch: pytest.MonkeyPatch, through: Any) -> list[str]:
    from tasks import downtimes

    names = _watched(monkeypatch)
    for module in _modules():
        for name, one in list(vars(module).items()):
            if hasattr(one, "fn") and hasattr(one, "retries"):
                monkeypatch.setattr(module, name, one.fn)
    monkeypatch.setattr(downtimes, "close", lambda _downtime: names.append("close"))
    through(_Downtime(names))
    return names


@pytest.mark.parametrize(
    ("through", "options", "runai"),
    [
        (planned_maintenance.through, PlannedOptions(power_on="controller", designate="gpu-2", eviction=True), True),
        (permanent_removal.through, RemoveOptions(designate="gpu-2", eviction=True), True),
        (rejoin.through, RejoinOptions(), False),
    ],
)
def test_flow_has_the_steps_of_its_planner(
    monkeypatch: pytest.MonkeyPatch, through: Any, options: Options, runai: bool
) -> None:
    assert tuple(_through(monkeypatch, through)) == suspensions.ordered(planners.step_names(options), runai)


def test_flow_of_a_recovery_has_the_steps_of_either_course(monkeypatch: pytest.MonkeyPatch) -> None:
    gone_through = tuple(_through(monkeypatch, unplanned_recovery.through))
    assert gone_through == unplanned.STEPS == tuple(step.name for step in unplanned_table.STEPS)
    options = UnplannedOptions(power_on="controller", resets=1, designate="gpu-2")
    for course in ("down", "returned"):
        record = recovery(options, course=course)
        assert set(unplanned.steps_of(record, options)) <= set(gone_through)


def test_way_back_from_a_removal_has_the_steps_that_back_out(monkeypatch: pytest.MonkeyPatch) -> None:
    record = cases.record(
        procedure="remove",
        changes=("shutdown", "taint", "cordon", "out-of-service"),
        done=("designate", "taint"),
        aborted=True,
    )
    found = record.found.model_copy(update={"runai": True})
    record = record.model_copy(update={"options": RemoveOptions().model_dump(mode="json"), "found": found})
    assert tuple(_through(monkeypatch, permanent_removal.back)) == procedures.steps_of(record)


def test_every_step_of_every_procedure_can_be_performed() -> None:
    assert {*PLANNED, "evict", suspensions.STEP} <= set(procedures.table("planned"))
    removal = planners.step_names(RemoveOptions(designate="gpu-2", eviction=True))
    assert {*removal, suspensions.STEP} <= set(procedures.table("remove"))
    assert set(planners.step_names(RejoinOptions())) <= set(procedures.table("rejoin"))
