"""A forecast never says *fits now* of a pod that the real scheduler does not place; how often it is too careful."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from cluster import forecasting
from cluster.api import connect
from cluster.config import load
from cluster.forecast import Market
from cluster.room import Volumes, claimant
from lab.api import Api as LabApi
from lab.errors import LabError
from lab.layout import Lab
from lab.patience import until
from lab.runai import objects
from tests.control_plane import small_clusters
from tests.control_plane.small_clusters import LABEL, NAMESPACE, World

SEED = 20261124
AT_ONCE = 20
SETTLED_SECONDS = 40


@pytest.fixture
def cleared(lab_api: LabApi) -> Iterator[LabApi]:
    objects.create(lab_api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    yield lab_api
    small_clusters.clear(lab_api)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(20, marks=pytest.mark.timeout(120)),
        pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_what_is_said_to_fit_is_placed_by_the_real_scheduler(
    lab: Lab, cleared: LabApi, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED + count)
    counted: Counter[tuple[str, bool]] = Counter()
    wrong: list[str] = []
    for first in range(0, count, AT_ONCE):
        worlds = [small_clusters.draw(f"w{first + at}", chance) for at in range(AT_ONCE)]
        wrong += _compare(lab, cleared, worlds, chance, counted)
        small_clusters.clear(cleared)
    said = _words(counted)
    with capsys.disabled():
        sys.stdout.write(f"\n{count} clusters, seed {SEED + count}: {said}\n")
    assert counted["fits-now", True], "nothing was said to fit: nothing was tested"
    assert counted["will-wait", False], "nothing waited: nothing was tested"
    assert wrong == []


def _compare(
    lab: Lab, api: LabApi, worlds: list[World], chance: random.Random, counted: Counter[tuple[str, bool]]
) -> list[str]:
    """Forecast what moves in each of the clusters, let it move, and count what was said and what came of it."""
    small_clusters.create(api, [node for world in worlds for node in world.nodes])
    small_clusters.create(api, [pod for world in worlds for pod in world.bound])
    until(lambda: _nodes_taken_in(api), seconds=SETTLED_SECONDS, what="nodes are still tainted as not ready")
    small_clusters.create(api, [pod for world in worlds for pod in world.early])
    until(lambda: _settled(api), seconds=SETTLED_SECONDS, what="the scheduler has not looked at all pods")
    said = _forecasts(lab, api, worlds)
    moving = [pod for world in worlds for pod in world.moving]
    small_clusters.delete(api, moving)
    copies = [small_clusters.again(pod) for pod in moving]
    chance.shuffle(copies)
    small_clusters.create(api, copies)
    until(lambda: _settled(api), seconds=SETTLED_SECONDS, what="the scheduler has not looked at all that moves")
    sure = [f"{name}-again" for name, (says, _) in said.items() if says == "fits-now"]
    # What was turned away at first may be placed a little later; what is not is told by name.
    with contextlib.suppress(LabError):
        until(lambda: set(sure) <= _placed(api), seconds=15, what="something was said to fit and is not placed")
    placed = _placed(api)
    for name, (says, _) in said.items():
        counted[says, f"{name}-again" in placed] += 1
    return [name for name in sure if name not in placed]


def _forecasts(lab: Lab, api: LabApi, worlds: list[World]) -> dict[str, tuple[str, str]]:
    """What is said of each pod that moves, from what the API server has."""
    rooms, waiting = forecasting.gather(connect(load(lab.config).cluster), Volumes())
    real = {one["metadata"]["name"]: one for one in api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")}
    said: dict[str, tuple[str, str]] = {}
    for world in worlds:
        own = [one for one in rooms if one.node["metadata"]["labels"].get(LABEL) == world.name]
        names = [pod["metadata"]["name"] for pod in world.moving]
        # An early one may have preempted it by now.
        moving = {name: claimant(real[name], Volumes()) for name in names if name in real}
        rivals = [one for one in waiting if one.pod["metadata"].get("labels", {}).get(LABEL) == world.name]
        market = Market(own, world.leaving, (), [*moving.values(), *rivals])
        for name, one in moving.items():
            found = market.forecast([one])
            said[name] = (found.says, found.why)
    return said


def _nodes_taken_in(api: LabApi) -> bool:
    return not any(
        taint["key"].startswith("node.kubernetes.io/not-ready")
        for node in api.items(f"/api/v1/nodes?labelSelector={LABEL}")
        for taint in node["spec"].get("taints") or ()
    )


def _settled(api: LabApi) -> bool:
    """Whether each pod is bound, or was turned away and waits."""
    return all(
        pod["spec"].get("nodeName")
        or any(
            one["type"] == "PodScheduled" and one["status"] == "False" for one in pod["status"].get("conditions") or ()
        )
        for pod in api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
    )


def _placed(api: LabApi) -> set[str]:
    found = api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")
    return {pod["metadata"]["name"] for pod in found if pod["spec"].get("nodeName")}


def _words(counted: Counter[tuple[str, bool]]) -> str:
    fits, missed = counted["fits-now", True], counted["fits-now", False]
    careful, waited = counted["will-wait", True], counted["will-wait", False]
    rate = careful / (careful + waited) if careful + waited else 0.0
    found = careful / (careful + fits) if careful + fits else 0.0
    return (
        f"fits now and placed {fits}, fits now and not placed {missed}, will wait and waited {waited}, will wait and "
        f"placed {careful}: {rate:.0%} of all waits were wrong, {found:.0%} of what was placed was said to wait"
    )
