"""A pod that is said to find a place finds one: everything that keeps it away is seen beforehand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import placement, pod_requests, taints
from cluster.node import Object
from cluster.placement import Place
from tests.unit.places import GPU_WORKER, SYSTEM, apart_from, asking, node_affinity, place

TAINT = {"key": "team", "value": "a", "effect": "NoSchedule"}


def _why(pod: Object, there: Place, *others: Place) -> str:
    return placement.objection(pod, there, (there, *others))


def test_an_empty_node_takes_it() -> None:
    assert _why(asking("db"), place("n")) == ""


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (place("n", ready=False), "not Ready"),
        (place("n", cordoned=True), "cordoned"),
        (place("n", taints=[TAINT]), "team=a:NoSchedule"),
        (place("n", cpu="900m"), "0.9 cpu free, and it asks for 1"),
        (place("n", asking("x", memory="7.5Gi")), "0.5 GiB memory free, and it asks for 1.0 GiB"),
        (place("n", pods="0"), "0 pods free"),
        (place("n", memory="much"), "cannot be judged"),
        (place("n", asking("x", cpu="some")), "cannot be judged"),
    ],
)
def test_what_keeps_a_pod_away(there: Place, why: str) -> None:
    assert why in _why(asking("db"), there)


def test_pods_that_are_over_take_no_room() -> None:
    assert _why(asking("db", cpu="4"), place("n", asking("old", cpu="4", phase="Succeeded"))) == ""


def test_a_resource_that_the_node_has_not() -> None:
    containers = [{"resources": {"requests": {"nvidia.com/gpu": "1"}}}]
    assert "nvidia.com/gpu" in _why(asking("train", containers=containers), place("n"))
    assert _why(asking("train", containers=containers), place("n", gpus="4")) == ""


@pytest.mark.parametrize(
    ("toleration", "goes"),
    [
        ({"key": "team", "value": "a"}, True),
        ({"key": "team", "operator": "Equal", "value": "b"}, False),
        ({"key": "team", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "team", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "team", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "team", "operator": "Near", "value": "a"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], goes: bool) -> None:
    assert (_why(asking("db", tolerations=[toleration]), place("n", taints=[TAINT])) == "") == goes


def test_what_is_only_preferred_keeps_nobody_away() -> None:
    assert taints.keeping_away(asking("db"), [{**TAINT, "effect": "PreferNoSchedule"}]) == []


@pytest.mark.parametrize(
    ("expression", "goes"),
    [
        ({"key": SYSTEM, "operator": "Exists"}, True),
        ({"key": SYSTEM, "operator": "DoesNotExist"}, False),
        ({"key": SYSTEM, "operator": "In", "values": ["", "true"]}, True),
        ({"key": SYSTEM, "operator": "In", "values": ["yes"]}, False),
        ({"key": SYSTEM, "operator": "NotIn", "values": ["true"]}, False),
        ({"key": "no", "operator": "NotIn", "values": ["true"]}, True),
        ({"key": "gen", "operator": "Gt", "values": ["2"]}, True),
        ({"key": "gen", "operator": "Lt", "values": ["2"]}, False),
        ({"key": "no", "operator": "Gt", "values": ["2"]}, False),
        ({"key": "gen", "operator": "Near", "values": ["2"]}, False),
    ],
)
def test_required_node_affinity(expression: Object, goes: bool) -> None:
    pod = asking("db", affinity=node_affinity(expression))
    assert (_why(pod, place("n", labels={"gen": "3"})) == "") == goes


def test_a_pod_for_one_named_node_and_one_for_nothing() -> None:
    named = node_affinity({"key": "metadata.name", "operator": "In", "values": ["n"]}, fields=True)
    assert _why(asking("db", affinity=named), place("n")) == ""
    assert "labels" in _why(asking("db", affinity=named), place("m"))
    assert "labels" in _why(asking("db", affinity=node_affinity()), place("n"))


def test_a_node_selector() -> None:
    assert _why(asking("db", nodeSelector={SYSTEM: "true"}), place("n")) == ""
    assert "labels" in _why(asking("db", nodeSelector={SYSTEM: "true"}), place("n", role=GPU_WORKER))


def test_replicas_that_must_be_apart_whichever_of_them_says_so() -> None:
    mine = asking("nats-0", labels={"app": "nats"}, affinity=apart_from("nats"))
    plain = asking("nats-1", labels={"app": "nats"})
    assert "together" in _why(mine, place("n", plain))
    assert "together" in _why(plain, place("n", mine))
    assert _why(plain, place("n", plain)) == ""
    assert _why(mine, place("n", asking("nats-1", namespace="other", labels={"app": "nats"}))) == ""
    assert _why(mine, place("n", asking("old", labels={"app": "nats"}, phase="Failed"))) == ""


def test_replicas_that_must_be_in_different_zones() -> None:
    mine = asking("nats-0", labels={"app": "nats"}, affinity=apart_from("nats", "zone"))
    there = place("m", asking("nats-1", labels={"app": "nats"}), labels={"zone": "a"})
    assert "together" in _why(mine, place("n", labels={"zone": "a"}), there)
    assert _why(mine, place("n", labels={"zone": "b"}), there) == ""


def test_several_pods_do_not_share_the_same_room() -> None:
    pods = [asking(f"p{i}", cpu="2") for i in range(3)]
    assert placement.unplaced(pods, [place("a"), place("b")]) == {}
    left = placement.unplaced([*pods, asking("q", cpu="4")], [place("a"), place("b")])
    assert len(left) == 1
    (why,) = left.values()
    assert "a has" in why
    assert "b has" in why
    assert placement.unplaced(pods[:1], []) == {"runai/p0": "there is no node for it"}


def test_the_largest_is_placed_first() -> None:
    pods = [asking("small", memory="2Gi"), asking("large", memory="8Gi")]
    assert placement.unplaced(pods, [place("a"), place("b")]) == {}


def test_two_that_repel_each_other_need_two_nodes() -> None:
    pods = [asking(f"nats-{i}", labels={"app": "nats"}, affinity=apart_from("nats")) for i in range(2)]
    assert placement.unplaced(pods, [place("a"), place("b")]) == {}
    assert len(placement.unplaced(pods, [place("a")])) == 1


SIZES = st.lists(st.integers(1, 5000), max_size=8)


@given(SIZES, st.lists(st.integers(0, 8000), max_size=4))
def test_what_is_placed_fits_together(pods: list[int], rooms: list[int]) -> None:
    asked: list[Any] = [asking(f"p{i}", cpu=f"{size}m", memory="0") for i, size in enumerate(pods)]
    places = [place(f"n{i}", cpu=f"{room}m") for i, room in enumerate(rooms)]
    left = placement.unplaced(asked, places)
    placed = sum(size for i, size in enumerate(pods) if f"runai/p{i}" not in left)
    assert placed <= sum(rooms)
    largest = max(rooms, default=0)
    assert all(f"runai/p{i}" in left for i, size in enumerate(pods) if size > largest)
    total = pod_requests.total(pod_requests.of(one) for one in asked)
    if len(rooms) == 1:
        assert (not left) == (total.get("cpu", Fraction(0)) * 1000 <= rooms[0])
