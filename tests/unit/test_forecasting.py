"""The forecast of a plan is made from pages of nodes and pods, for what moves alone, and never prevents a plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from cluster import forecasting, showing_reports
from cluster.api import Api
from cluster.errors import Unreachable
from cluster.node import Object
from cluster.plan import Forecast, Plan, Workload
from tests.unit.places import GPU_WORKER, asking, place
from tests.unit.planning_cases import observation


class Pages:
    """The collections of an API server, as :meth:`Api.iterate` gives them; None: it does not answer."""

    def __init__(self, collections: dict[str, list[Object]] | None) -> None:
        self.collections = collections
        self.asked: list[str] = []

    def iterate(self, path: str, **_: Any) -> Iterator[Object]:
        self.asked.append(path)
        if self.collections is None:
            raise Unreachable("unreachable", "The API server does not answer", "Wait.")
        yield from self.collections.get(path, [])


def _made(pages: Pages, *pods: Object, **more: Any) -> Plan:
    work = tuple(
        Workload(name=one["metadata"]["name"], namespace="t", kind="training", pods=(one["metadata"]["name"],), **more)
        for one in pods
    )
    plan = Plan(procedure="planned", node="gpu-1", cluster="x", feasible=True, workloads=work)
    return forecasting.of(cast(Api, pages), observation(pods=pods), plan)


def _cluster(*pods: Object) -> Pages:
    nodes = [place(name, role=GPU_WORKER).node for name in ("gpu-1", "gpu-2")]
    return Pages({"/api/v1/nodes": nodes, "/api/v1/pods": list(pods)})


def test_what_moves_has_a_forecast_and_what_does_not_has_none() -> None:
    assert _made(_cluster(), asking("a", namespace="t"), fate="moves").workloads[0].forecast == Forecast(
        says="fits-now"
    )
    pages = _cluster()
    assert _made(pages, asking("a", namespace="t"), fate="lost").workloads[0].forecast is None
    assert pages.asked == []


def test_pods_that_run_and_pods_that_wait_are_counted() -> None:
    running = asking("r", cpu="4", namespace="t", nodeName="gpu-2")
    (told,) = _made(_cluster(running), asking("a", namespace="t"), fate="moves").workloads
    assert told.forecast is not None
    assert "less cpu free" in told.forecast.why
    waiting = asking("w", cpu="4", namespace="t")
    (told,) = _made(_cluster(waiting), asking("a", namespace="t"), fate="moves").workloads
    assert told.forecast is not None
    assert told.forecast.says == "will-wait"


def test_two_that_move_are_judged_together() -> None:
    both = _made(_cluster(), *(asking(name, cpu="3", namespace="t") for name in "ab"), fate="moves").workloads
    assert [one.forecast.says for one in both if one.forecast] == ["will-wait", "will-wait"]


def test_a_cluster_that_cannot_be_read_is_told_of() -> None:
    (told,) = _made(Pages(None), asking("a", namespace="t"), fate="moves").workloads
    assert told.forecast is not None
    assert told.forecast.says == "unknown"
    assert "does not answer" in told.forecast.why


def test_people_see_it_called_a_forecast() -> None:
    made = _made(_cluster(), asking("a", cpu="9", namespace="t"), fate="moves")
    assert "forecast: will wait, because of 1 other node: 1 with less cpu free" in showing_reports.becomes(
        made.workloads[0]
    )
    assert "forecast: will wait" in showing_reports.plan_markdown(made)
