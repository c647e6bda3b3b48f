"""The forecast of a plan is made from pages of nodes and pods, for what moves alone, and never prevents a plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from cluster import forecasting, showing_reports
from cluster.api import Api
from cluster.errors import Unreachable
from cluster.node import Object
from cluster.placement import Place
from cluster.plan import Forecast, Plan, Workload
from tests.unit.places import GPU_WORKER, asking, node_affinity, place
from tests.unit.planning_cases import observation


class Pages:
    """The collections of an API server, as :meth:`Api.iterate` gives them; None: it does not answer."""

    def __init__(self, collections: dict[str, list[Object]] | None) -> None:
        self.collections = collections
        self.asked: list[str] = []

    def iterate(self, path: str, *, read: Callable[[bytes], Object] = json.loads, **_: Any) -> Iterator[Object]:
        self.asked.append(path)
        if self.collections is None:
            raise Unreachable("unreachable", "The API server does not answer", "Wait.")
        yield from read(json.dumps({"metadata": {}, "items": self.collections.get(path, [])}).encode())["items"]


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


DRAIN = {"key": "runai", "value": "drain", "effect": "NoExecute"}
OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


def _beside(other: Object, *running: Object, down: tuple[str, ...] = ()) -> str:
    """What is said of a pod that moves, with one place for it beside another node from which pods may move as well."""
    pages = _cluster(*running)
    assert pages.collections is not None
    pages.collections["/api/v1/nodes"].append(other)
    work = (Workload(name="a", namespace="t", kind="training", pods=("a",), fate="moves"),)
    plan = Plan(procedure="planned", node="gpu-1", cluster="x", feasible=True, workloads=work)
    seen = observation(pods=(asking("a", cpu="3", namespace="t"),), down=frozenset(down))
    (told,) = forecasting.of(cast(Api, pages), seen, plan).workloads
    assert told.forecast is not None
    return told.forecast.says


@pytest.mark.parametrize(
    ("other", "down"),
    [
        (place("gpu-3"), ("gpu-3",)),
        (place("gpu-3", taints=[DRAIN]), ()),
        (place("gpu-3", taints=[OUT_OF_SERVICE]), ()),
        (place("gpu-3", ready=False), ()),
    ],
    ids=["in-downtime", "drained", "out-of-service", "not-ready"],
)
def test_two_nodes_that_lose_their_pods_do_not_each_promise_the_same_room(other: Place, down: tuple[str, ...]) -> None:
    there = asking("b", cpu="3", namespace="t", nodeName="gpu-3")
    assert _beside(other.node, there, down=down) == "will-wait"
    assert _beside(other.node, down=down) == "fits-now"
    stays = asking("b", cpu="3", namespace="t", nodeName="gpu-3", tolerations=[{"operator": "Exists"}])
    assert _beside(other.node, stays, down=down) == "fits-now"


def test_a_daemon_set_of_another_node_in_downtime_takes_no_room_from_what_moves() -> None:
    nodes = [place(f"gpu-{number}", role=GPU_WORKER).node for number in range(1, 6)]
    # As its controller makes it: for its node alone, where it would preempt what is still there.
    here = node_affinity({"key": "metadata.name", "operator": "In", "values": ["gpu-5"]}, fields=True)
    agent = asking("agent", cpu="100m", namespace="t", nodeName="gpu-5", priority=2_000_001_000, affinity=here)
    agent["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "agent", "controller": True}]
    running = [
        asking(f"r-{number}", cpu="100m", namespace="t", nodeName=f"gpu-{number}", priority=100)
        for number in range(2, 6)
    ]
    pages = Pages({"/api/v1/nodes": nodes, "/api/v1/pods": [agent, *running]})
    work = (Workload(name="a", namespace="t", kind="training", pods=("a",), fate="moves"),)
    plan = Plan(procedure="planned", node="gpu-1", cluster="x", feasible=True, workloads=work)
    seen = observation(pods=(asking("a", namespace="t", priority=50),), down=frozenset({"gpu-5"}))
    (told,) = forecasting.of(cast(Api, pages), seen, plan).workloads
    assert told.forecast == Forecast(says="fits-now")


def test_what_runs_on_a_node_that_stays_wants_no_room() -> None:
    there = asking("b", cpu="3", namespace="t", nodeName="gpu-3")
    assert _beside(place("gpu-3", cpu="3").node, there) == "fits-now"


def test_two_that_move_are_judged_together() -> None:
    both = _made(_cluster(), *(asking(name, cpu="3", namespace="t") for name in "ab"), fate="moves").workloads
    assert [one.forecast.says for one in both if one.forecast] == ["will-wait", "will-wait"]


def _with_volume(driver: str) -> tuple[Object, Object]:
    """A pod with a volume of a CSI driver, and the volume."""
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    spec = {"csi": {"driver": driver}, "claimRef": {"namespace": "t", "name": "c"}}
    volume = {"metadata": {"name": "pv"}, "spec": spec, "status": {"phase": "Bound"}}
    return asking("a", namespace="t", volumes=[claim]), volume


def test_limits_of_volumes_are_read_only_where_volumes_move() -> None:
    pod, volume = _with_volume("disks")
    pages = _cluster()
    assert pages.collections is not None
    pages.collections["/api/v1/persistentvolumes"] = [volume]
    there = {"metadata": {"name": "gpu-2"}, "spec": {"drivers": [{"name": "disks"}]}}
    pages.collections["/apis/storage.k8s.io/v1/csinodes"] = [there]
    (told,) = _made(pages, pod, fate="moves").workloads
    assert told.forecast == Forecast(says="fits-now")
    plain = _cluster()
    _made(plain, asking("b", namespace="t"), fate="moves")
    assert "/apis/storage.k8s.io/v1/csinodes" not in plain.asked


def test_what_another_scheduler_goes_by_is_said_once() -> None:
    pods = [asking(name, namespace="t", schedulerName="runai-scheduler-default") for name in "ab"]
    made = _made(_cluster(), *pods, fate="moves")
    (warning,) = made.warnings
    assert "Run:ai's own quotas and gangs are not judged" in warning.message
    assert [one.forecast for one in made.workloads] == [Forecast(says="fits-now")] * 2
    assert not _made(_cluster(), asking("a", namespace="t"), fate="moves").warnings


def test_as_the_drain_begins_it_is_written_down_when_it_was_made() -> None:
    plan = _made(_cluster(), asking("a", namespace="t"), fate="moves")
    seen = observation(pods=(asking("a", namespace="t"),))
    (told,) = forecasting.as_the_drain_begins(cast(Api, _cluster()), seen, plan)
    assert told.forecast is not None
    assert told.forecast.at is not None


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
