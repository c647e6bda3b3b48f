"""A forecast never says *fits now* of what the real scheduler does not place; how often it is too careful."""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from cluster import forecasting
from cluster.api import connect
from cluster.attachable import limits_of
from cluster.config import load
from cluster.forecast import Market
from cluster.plan import Forecast
from cluster.room import claimant, volumes_of
from lab.api import Api as LabApi
from lab.errors import LabError
from lab.layout import Lab
from lab.patience import until
from lab.runai import objects
from tests.control_plane import small_cluster_pods, small_cluster_volumes, small_clusters
from tests.control_plane.small_cluster_pods import LABEL, NAMESPACE, RUNTIME
from tests.control_plane.small_cluster_volumes import CSI_NODES, VOLUMES
from tests.control_plane.small_clusters import Heart, World

SEED = 20261125
AT_ONCE = 25
TRIES = 3
# Names are not used again: volumes stay for a while after those that used them.
COUNTER = itertools.count()
SETTLED_SECONDS = 40
# What was turned away at first is tried again after one to ten seconds (the scheduler's own back-off).
PLACED_SECONDS = 20
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"


@dataclass
class Tally:
    """What was said of workloads, and what came of it.

    Attributes:
        counted: by what was said, and whether all pods of the workload were placed.
        wrong: what was said to fit and was not placed, with what the scheduler said.
        reasons: why something was said to wait that was placed, and how often.
    """

    counted: Counter[tuple[str, bool]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def words(self) -> str:
        fits, missed = self.counted["fits-now", True], self.counted["fits-now", False]
        careful, waited = self.counted["will-wait", True], self.counted["will-wait", False]
        rate = careful / (careful + waited) if careful + waited else 0.0
        found = careful / (careful + fits) if careful + fits else 0.0
        return (
            f"fits now and placed {fits}, fits now and not placed {missed}, will wait and waited {waited}, will wait "
            f"and placed {careful}: {rate:.0%} of all waits were wrong, {found:.0%} of what was placed was said to wait"
        )


@pytest.fixture
def cleared(lab_api: LabApi) -> Iterator[LabApi]:
    objects.create_all(lab_api, small_cluster_pods.ground())
    lab_api.delete(f"{RUNTIMES}/{RUNTIME}")
    lab_api.create(RUNTIMES, small_cluster_pods.runtime_class())
    yield lab_api
    small_clusters.clear(lab_api)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(75, marks=pytest.mark.timeout(240)),
        pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_what_is_said_to_fit_is_placed_by_the_real_scheduler(
    lab: Lab, cleared: LabApi, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = compare(lab, cleared, count, SEED + count)
    with capsys.disabled():
        sys.stdout.write(f"\n{count} clusters, seed {SEED + count}: {tally.words()}\n")
    assert tally.counted["fits-now", True], "nothing was said to fit: nothing was tested"
    assert tally.counted["will-wait", False], "nothing waited: nothing was tested"
    assert tally.wrong == []


def compare(lab: Lab, api: LabApi, count: int, seed: int) -> Tally:
    """Draw so many clusters, forecast what moves in each, let it move, and see what comes of it."""
    chance, tally = random.Random(seed), Tally()
    for first in range(0, count, AT_ONCE):
        # On a machine that is very busy it may not succeed to keep so many nodes alive.
        if not any(_compare(lab, api, min(AT_ONCE, count - first), chance, tally) for _ in range(TRIES)):
            raise AssertionError("nodes were lost again and again: what was seen says nothing of the forecast")
    return tally


def _compare(lab: Lab, api: LabApi, count: int, chance: random.Random, tally: Tally) -> bool:
    """Whether it was seen what comes of the forecasts: not if nodes were lost meanwhile."""
    worlds = [small_clusters.draw(f"w{next(COUNTER)}", chance) for _ in range(count)]
    try:
        with Heart(LabApi(lab.kubeconfig)).beating(worlds):
            said, placed = _seen(lab, api, worlds, chance)
            if small_clusters.lost(api):
                return False
            _count(api, said, placed, tally)
            return True
    finally:
        small_clusters.clear(api)


def _seen(
    lab: Lab, api: LabApi, worlds: list[World], chance: random.Random
) -> tuple[dict[tuple[str, ...], Forecast], set[str]]:
    """What was said of each workload that moved, and which pods were placed."""
    storage = [one for world in worlds for one in world.storage]
    claims = [one for one in storage if one["kind"] == "PersistentVolumeClaim"]
    small_clusters.create(api, [one for one in storage if one not in claims])
    small_clusters.create(api, [node for world in worlds for node in world.nodes])
    # A claim that comes before its volume is looked at again only after 15 s.
    small_clusters.create(api, claims)
    small_cluster_volumes.await_bound(api)
    small_clusters.create(api, [pod for world in worlds for pod in world.bound])
    until(lambda: small_clusters.taken_in(api), seconds=SETTLED_SECONDS, what="nodes are still tainted as not ready")
    small_clusters.create(api, [pod for world in worlds for pod in world.early])
    until(lambda: _settled(api), seconds=SETTLED_SECONDS, what="the scheduler has not looked at all pods")
    said = _forecasts(lab, api, worlds)
    moving = [pod for world in worlds for pod in world.moving]
    small_clusters.delete(api, moving)
    copies = [small_cluster_pods.again(pod) for pod in moving]
    chance.shuffle(copies)
    small_clusters.create(api, copies)
    until(lambda: _settled(api), seconds=SETTLED_SECONDS, what="the scheduler has not looked at all that moves")
    sure = {name for gang, one in said.items() if one.says == "fits-now" for name in gang}
    with contextlib.suppress(LabError):
        until(lambda: sure <= _placed(api), seconds=PLACED_SECONDS, what="something was said to fit and is not placed")
    return said, _placed(api)


def _count(api: LabApi, said: dict[tuple[str, ...], Forecast], placed: set[str], tally: Tally) -> None:
    for gang, one in said.items():
        tally.counted[one.says, set(gang) <= placed] += 1
        missing = [name for name in gang if name not in placed]
        if one.says == "fits-now" and missing:
            tally.wrong += [f"{name}: {_scheduler_said(api, name)}" for name in missing]
        elif one.says == "will-wait" and not missing:
            tally.reasons[one.why] += 1


def _forecasts(lab: Lab, api: LabApi, worlds: list[World]) -> dict[tuple[str, ...], Forecast]:
    """What is said of each workload that moves (by the pods that will be made anew), from what the API server has."""
    real = {one["metadata"]["name"]: one for one in api.items(PODS)}
    going = [real[name] for world in worlds for pod in world.moving if (name := pod["metadata"]["name"]) in real]
    product = connect(load(lab.config).cluster)
    volumes, limits = volumes_of(product.iterate(VOLUMES)), limits_of(product.iterate(CSI_NODES), [])
    rooms, waiting = forecasting.gather(product, volumes, going)
    said: dict[tuple[str, ...], Forecast] = {}
    for world in worlds:
        own = [one for one in rooms if one.node["metadata"]["labels"].get(LABEL) == world.name]
        names = [pod["metadata"]["name"] for pod in world.moving]
        # An early one may have preempted it by now.
        moving = {name: claimant(real[name], volumes, moving=True) for name in names if name in real}
        rivals = [one for one in waiting if one.pod["metadata"].get("labels", {}).get(LABEL) == world.name]
        market = Market(own, world.leaving, (), [*moving.values(), *rivals], limits)
        for gang in world.gangs:
            pods = {name: moving[name] for name in gang if name in moving}
            if pods:
                said[tuple(f"{name}-again" for name in pods)] = market.forecast(list(pods.values()))
    return said


def _settled(api: LabApi) -> bool:
    """Whether each pod is bound, or was turned away and waits."""
    return all(
        pod["spec"].get("nodeName")
        or any(
            one["type"] == "PodScheduled" and one["status"] == "False" for one in pod["status"].get("conditions") or ()
        )
        for pod in api.items(PODS)
    )


def _placed(api: LabApi) -> set[str]:
    return {pod["metadata"]["name"] for pod in api.items(PODS) if pod["spec"].get("nodeName")}


def _scheduler_said(api: LabApi, name: str) -> str:
    found = api.find(f"{PODS}/{name}")
    if found is None:
        return "it was preempted"
    conditions = found["status"].get("conditions") or []
    return next((str(one.get("message")) for one in conditions if one["type"] == "PodScheduled"), "nothing")
