"""However many pods wait, a forecast looks at each kind of them once, and tries to put them for some seconds in all."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from cluster import rivalry, unrest
from cluster.forecast import Market
from cluster.node import Object
from cluster.room import Claimant, Room, Volumes, claimant, slim_node
from tests.unit.places import asking, place

NODES, KINDS = 40, 40


def _rooms() -> list[Room]:
    """Nodes that are partly free, each in its own way."""
    chance = random.Random(7)
    rooms = []
    for at in range(NODES):
        made = Room(slim_node(place(f"n{at}", gpus="8", cpu="64", memory="512Gi").node))
        for number in range(3):
            requests = {"cpu": str(chance.randint(4, 16)), "nvidia.com/gpu": str(chance.randint(1, 2))}
            run = asking("r", containers=[{"resources": {"requests": requests}}], nodeName=made.name, priority=number)
            made.add(run)
        rooms.append(made)
    return rooms


def _pod(name: str, kind: int, **more: Any) -> Object:
    requests = {"cpu": str(1 + kind), "nvidia.com/gpu": str(1 + kind % 4)}
    return asking(name, containers=[{"resources": {"requests": requests}}], priority=50 * (kind % 2), **more)


def _claimants(waiting: int, *, own_labels: bool) -> list[Claimant]:
    pods = [_pod(f"w{at}", at % KINDS, labels={"job": f"j{at}"} if own_labels else {}) for at in range(waiting)]
    return [claimant(_pod("moves", 2), Volumes(), moving=True), *(claimant(one, Volumes()) for one in pods)]


@pytest.mark.parametrize("own_labels", [False, True], ids=["alike", "each-with-its-own-labels"])
@pytest.mark.parametrize("waiting", [500, 1000])
def test_each_kind_of_the_pods_that_wait_is_held_against_each_node_once(
    waiting: int, own_labels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: Counter[str] = Counter()

    def fits(asks: rivalry.Units, free: rivalry.Units) -> bool:
        counted["fits"] += 1
        return all(amount <= free.get(key, 0) for key, amount in asks.items() if amount > 0)

    monkeypatch.setattr(rivalry, "fits", fits)
    monkeypatch.setattr(unrest, "fits", fits)
    claimants = _claimants(waiting, own_labels=own_labels)
    found = Market(_rooms(), "n0", (), claimants).forecast(claimants[:1])
    assert found.says == "will-wait"
    # To fit there now, with what may be gone at each of three priorities, and when it preempts.
    assert 0 < counted["fits"] <= 6 * NODES * KINDS


def test_a_forecast_has_one_effort_for_all_its_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both rivals can go to the one node only, which only a search finds: without effort left it is not relied on."""
    made: list[rivalry.Effort] = []
    amounts = iter((1000, 0))
    real = rivalry.Effort

    def effort() -> rivalry.Effort:
        made.append(real(next(amounts)))
        return made[-1]

    monkeypatch.setattr(rivalry, "Effort", effort)
    rooms = [Room(slim_node(place(name).node)) for name in ("n", "m")]
    tied = {"kubernetes.io/hostname": "n"}
    mine = [claimant(asking(name, cpu="3"), Volumes(), moving=True) for name in ("a", "b")]
    others = [claimant(asking(name, cpu="2", nodeSelector=tied), Volumes()) for name in ("c", "d")]
    for says in ("fits-now", "will-wait"):
        made.clear()
        market = Market(rooms, "gone", (), [mine[0], *others])
        assert market.forecast(mine[:1]).says == says
        assert len(made) == 1
    assert made[0].left == 0
