"""The forecast of a large cluster reads raw pages, keeps none of them, and makes no models of pods."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from kubernetes import client

from cluster import api as apis
from cluster import forecasting
from cluster.api import Api
from cluster.node import Object
from cluster.plan import Plan, Workload
from tests.unit import pages_server
from tests.unit.places import asking, place
from tests.unit.planning_cases import observation

NODES, PODS, PAGE = 100, 1200, 60


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis, "PAGE", PAGE)


def forecast(api: Api) -> Plan:
    """Of one pod that leaves ``n0``."""
    leaves = asking("leaves", namespace="t", nodeName="n0")
    work = Workload(name="leaves", namespace="t", kind="training", pods=("leaves",), fate="moves")
    seen = observation(pods=(leaves,)).model_copy(update={"node_name": "n0", "node": place("n0").node})
    return forecasting.of(
        api, seen, Plan(procedure="planned", node="n0", cluster="x", feasible=True, workloads=(work,))
    )


def _peak(act: Any) -> float:
    """Peak of the memory that was taken meanwhile, in MiB."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()


def test_no_page_is_kept_and_no_pod_becomes_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a model of a pod was made")

    monkeypatch.setattr(client.V1Pod, "__init__", refused)
    monkeypatch.setattr(client.V1PodList, "__init__", refused)
    with pages_server.serving(NODES, PODS) as (_, api):
        made: list[Plan] = []
        peak = _peak(lambda: made.append(forecast(api)))
        kept: list[list[Object]] = []
        all_of_it = _peak(lambda: kept.append(api.list("/api/v1/pods")))
    (told,) = made[0].workloads
    assert told.forecast is not None
    assert told.forecast.says == "fits-now"
    # What it would be if all pages were held: the measure is shown to see that.
    assert peak < all_of_it / 4, f"{peak:.0f} MiB of {all_of_it:.0f} MiB"


def test_pods_are_read_once_a_page_at_a_time_and_finished_ones_not_at_all() -> None:
    with pages_server.serving(NODES, PODS) as (server, api):
        forecast(api)
    pages = [query for path, query in server.asked if path == "/api/v1/pods"]
    assert len(pages) == PODS / PAGE
    assert {query["limit"] for query in pages} == {str(PAGE)}
    assert {query["fieldSelector"] for query in pages} == {"status.phase!=Succeeded,status.phase!=Failed"}
