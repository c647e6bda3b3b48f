"""Never more nodes down at once than the limits allow, for whatever reason they are down."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cluster import capacity, inventory
from cluster.inventory import NodeSummary
from cluster.max_unavailable import Limits, allowed


def _node(name: str, **more: Any) -> NodeSummary:
    return NodeSummary(name=name, **{"kind": "gpu-worker", "pool": "default", **more})


GPUS = [_node(f"gpu-{i}") for i in range(1, 5)]
SYSTEMS = [_node(f"system-{i}", kind="system", pool="") for i in (1, 2)]
ONE_GPU = Limits(roles={"gpu-worker": 1})


def _codes(name: str, nodes: list[NodeSummary], limits: Limits, *down: str) -> list[str]:
    return [one.code for one in capacity.judge(name, nodes, down, limits)]


@pytest.mark.parametrize(
    ("limit", "total", "most"),
    [(0, 4, 0), (3, 2, 3), ("10%", 4, 1), ("25%", 4, 1), ("50%", 5, 2), ("99%", 5, 4), ("100%", 5, 5), ("0%", 50, 0)],
)
def test_a_share_is_rounded_down_but_to_no_less_than_one(limit: int | str, total: int, most: int) -> None:
    assert allowed(limit, total) == most


@given(st.integers(1, 100), st.integers(1, 1000))
def test_a_share_is_never_exceeded_by_more_than_the_one_node(share: int, total: int) -> None:
    most = allowed(f"{share}%", total)
    assert 1 <= most <= total
    assert most == 1 or most * 100 <= share * total


@pytest.mark.parametrize("limit", ["ten", "-1%", "101%", "1.5%", "%", "-1", "", -1, 1.5, True, None])
def test_a_limit_that_is_none_is_refused_not_taken_for_no_limit(limit: Any) -> None:
    with pytest.raises(ValidationError):
        Limits(roles={"gpu-worker": limit})


def test_a_number_in_a_variable_of_the_environment_is_a_number() -> None:
    assert Limits(max_unavailable=" 2 ").max_unavailable == 2


@pytest.mark.parametrize("given_", [{"rolls": {}}, {"roles": {"gpu": 1}}, {"max_unavailable": "many"}])
def test_a_misspelt_limit_is_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Limits.model_validate(given_)


def test_without_limits_nothing_is_said() -> None:
    assert _codes("gpu-1", [_node("gpu-2", ready=False), *GPUS], Limits(), "gpu-3") == []


@pytest.mark.parametrize(
    ("other", "down"),
    [
        (_node("gpu-2"), ("gpu-2",)),
        (_node("gpu-2", ready=False), ()),
        (_node("gpu-2", drained_by_taint=True), ()),
    ],
)
def test_a_node_that_is_down_for_whatever_reason_counts(other: NodeSummary, down: tuple[str, ...]) -> None:
    nodes = [GPUS[0], other, *GPUS[2:]]
    assert _codes("gpu-1", nodes, ONE_GPU, *down) == ["max-unavailable"]
    assert _codes("gpu-1", nodes, Limits(roles={"gpu-worker": 2}), *down) == []


def test_a_cordoned_node_is_not_down() -> None:
    assert _codes("gpu-1", [GPUS[0], _node("gpu-2", unschedulable=True)], ONE_GPU) == []


def test_nodes_of_other_kinds_and_pools_do_not_count() -> None:
    nodes = [*GPUS, *SYSTEMS, _node("big-1", pool="big", ready=False)]
    assert _codes("gpu-1", nodes, ONE_GPU, "system-1") == ["max-unavailable"]
    assert _codes("gpu-1", nodes, Limits(pools={"default": 1}), "system-1") == []
    assert _codes("system-1", nodes, ONE_GPU, "gpu-1") == []


def test_the_limit_of_every_pool_is_for_those_that_are_not_named() -> None:
    nodes = [*GPUS, _node("big-1", pool="big"), _node("big-2", pool="big"), *SYSTEMS]
    limits = Limits(pools={"*": 1, "big": 2})
    assert _codes("gpu-1", nodes, limits, "gpu-2") == ["max-unavailable"]
    assert _codes("big-1", nodes, limits, "big-2") == []
    assert _codes("system-1", nodes, limits, "system-2") == []


def test_each_limit_is_asked() -> None:
    limits = Limits(max_unavailable=1, roles={"gpu-worker": "25%"}, pools={"default": 1})
    assert _codes("gpu-1", GPUS, limits, "gpu-2") == ["max-unavailable"] * 3


def test_the_node_itself_counts_once_and_one_that_failed_already_makes_it_no_worse() -> None:
    assert _codes("gpu-1", GPUS, ONE_GPU, "gpu-1") == []
    dead = [_node("gpu-1", ready=False), *GPUS[1:]]
    assert _codes("gpu-1", dead, ONE_GPU, "gpu-2") == []
    assert _codes("gone", GPUS, Limits(max_unavailable=0)) == []


def test_none_at_all() -> None:
    (found,) = capacity.judge("gpu-1", GPUS, (), Limits(max_unavailable=0))
    assert "none may go down" in found.message


def test_it_says_who_is_down_and_how() -> None:
    nodes = [GPUS[0], _node("gpu-2", ready=False), _node("gpu-3", drained_by_taint=True), GPUS[3]]
    (found,) = capacity.judge("gpu-1", nodes, ["gpu-4"], Limits(pools={"default": "50%"}))
    assert "At most 2 nodes of node pool default" in found.message
    assert "(50% of 4)" in found.message
    for said in ("gpu-2 is not Ready", "gpu-3 is drained", "gpu-4 is in downtime"):
        assert said in found.message


def test_the_pool_is_what_run_ai_labels_it() -> None:
    node = {"metadata": {"name": "gpu-1", "labels": {"runai/node-pool": "a100"}}}
    assert inventory.summary(node).pool == "a100"
    assert inventory.summary({"metadata": {"name": "gpu-1"}}).pool == ""


STATES = st.fixed_dictionaries(
    {
        "ready": st.booleans(),
        "drained_by_taint": st.booleans(),
        "kind": st.sampled_from(["gpu-worker", "system"]),
        "pool": st.sampled_from(["", "a", "b"]),
    }
)


@given(st.lists(STATES, min_size=1, max_size=8), st.integers(0, 4), st.integers(0, 100))
def test_whatever_order_nodes_ask_in_no_more_go_down_than_allowed(
    states: list[dict[str, Any]], number: int, share: int
) -> None:
    nodes = [_node(f"n{i}", **state) for i, state in enumerate(states)]
    limits = Limits(max_unavailable=f"{share}%", roles={"gpu-worker": number}, pools={"*": number})
    down: set[str] = set()
    for one in nodes:
        if one.ready and not capacity.judge(one.name, nodes, down, limits):
            down.add(one.name)
    for group, most in (
        (nodes, allowed(f"{share}%", len(nodes))),
        ([one for one in nodes if one.kind == "gpu-worker"], number),
        ([one for one in nodes if one.pool == "a"], number),
    ):
        by_decision = [one for one in group if one.name in down]
        assert not by_decision or sum(capacity.is_down(one, down) for one in group) <= most
