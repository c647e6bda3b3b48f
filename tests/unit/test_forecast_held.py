"""A forecast is held against how long the new pods waited for a place, and a mismatch is marked wherever it is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster import forecast_held
from cluster.node import Object
from cluster.plan import Forecast, Held, Whereabouts
from cluster.report import of_record
from cluster.showing_reports import report_markdown, where_rows
from tests.unit import planning_cases

DRAIN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LATER = DRAIN + timedelta(hours=3)


def said(says: Any) -> Forecast:
    return Forecast(says=says, at=DRAIN)


def made(after: int, placed: int | None = None, node: str = "gpu-3", **metadata: Any) -> Object:
    """A pod made so many seconds after the drain began, and placed so many after that; None: turned away."""
    created = DRAIN + timedelta(seconds=after)
    condition = {"type": "PodScheduled", "status": "False"}
    if placed is not None:
        condition = {**condition, "status": "True", "lastTransitionTime": _text(created + timedelta(seconds=placed))}
    return {
        "metadata": {"name": "a", "namespace": "t", "creationTimestamp": _text(created), **metadata},
        "spec": {"nodeName": node} if placed is not None else {},
        "status": {"phase": "Pending" if placed is None else "Running", "conditions": [condition]},
    }


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("says", "pods", "held"),
    [
        ("fits-now", [made(5, 1)], "as-forecast"),
        ("fits-now", [made(5, 20 * 60)], "worse"),
        ("fits-now", [made(5)], "worse"),
        ("will-wait", [made(5)], "as-forecast"),
        ("will-wait", [made(5, 20 * 60)], "as-forecast"),
        ("will-wait", [made(5, 1)], "better"),
        ("unknown", [made(5, 1)], "open"),
        # Nothing was made in its place yet, or only something that is being deleted.
        ("fits-now", [], "open"),
        ("fits-now", [made(5, 1, deletionTimestamp=_text(LATER))], "open"),
        # Those that ran elsewhere all the time tell nothing.
        ("will-wait", [made(-3600, 1)], "open"),
        ("fits-now", [made(-3600), made(5, 1)], "as-forecast"),
        ("fits-now", [made(5, 1), made(6)], "worse"),
        # An object without its times.
        ("fits-now", [{"metadata": {"name": "a"}}, {}], "open"),
    ],
)
def test_what_happened_is_told_by_how_long_the_new_pods_waited(says: str, pods: list[Object], held: Held) -> None:
    assert forecast_held.held(said(says), pods, 1, LATER) == held


def test_it_is_left_open_while_it_is_too_early_to_tell() -> None:
    soon = DRAIN + timedelta(seconds=20)
    assert forecast_held.held(said("fits-now"), [made(5)], 1, soon) == "open"
    assert forecast_held.held(said("fits-now"), [made(5, 1)], 2, soon) == "open"
    assert forecast_held.held(Forecast(says="fits-now"), [made(5)], 1, LATER) == "open"
    assert forecast_held.held(None, [made(5)], 1, LATER) == "open"


def _went(says: Any, held: Any, **more: Any) -> Whereabouts:
    found = {"workload": "w", "namespace": "t", "kind": "training", "now": "running", "detail": "on gpu-3", **more}
    return Whereabouts(forecast=Forecast(says=says, why="of 3 other nodes: 3 cordoned"), held=held, **found)


def test_the_report_shows_the_forecast_beside_what_happened_and_marks_what_is_not_as_forecast() -> None:
    record = planning_cases.record().model_copy(update={"went": (_went("will-wait", "better"),)})
    report = of_record(record, (_went("will-wait", "better"),))
    (row,) = where_rows(report)
    assert "will wait, because of 3 other nodes: 3 cordoned" in row
    assert "runs: on gpu-3 (NOT AS FORECAST: it did not have to wait)" in row
    assert "NOT AS FORECAST" in report_markdown(report)
    worse = _went("fits-now", "worse", now="waiting", detail="0/4 nodes are available")
    (row,) = where_rows(of_record(record, (worse,)))
    assert row[-1] == "waits: 0/4 nodes are available (NOT AS FORECAST: it did not fit)"
    as_said = of_record(record.model_copy(update={"went": (_went("fits-now", "as-forecast"),)}))
    assert "NOT AS FORECAST" not in report_markdown(as_said)


def test_it_is_in_the_data_as_well() -> None:
    report = of_record(planning_cases.record(), (_went("fits-now", "as-forecast"),))
    (one,) = json.loads(report.model_dump_json())["workloads"]
    assert one["forecast"]["says"] == "fits-now"
    assert one["held"] == "as-forecast"
