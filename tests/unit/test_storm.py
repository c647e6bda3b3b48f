"""A broken network is not taken for many broken machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import storm
from cluster.inventory import NodeSummary


def _nodes(ready: int, silent: int) -> list[NodeSummary]:
    return [
        *(NodeSummary(name=f"up-{i}") for i in range(ready)),
        *(NodeSummary(name=f"silent-{i}", ready=False) for i in range(silent)),
    ]


def _codes(nodes: list[NodeSummary], records: tuple[str, ...] = (), ssh: tuple[int, int] = (0, 0)) -> list[str]:
    return [one.code for one in storm.judge(nodes, records, True, ssh)]


@pytest.mark.parametrize(
    ("ready", "silent", "is_storm"),
    [
        (2, 1, False),
        (1, 2, True),
        (3, 2, False),
        (5, 4, True),
        (6, 4, False),
        (0, 3, True),
        (59, 41, True),
        (60, 40, False),
    ],
)
def test_over_forty_per_cent_is_a_storm_and_exactly_forty_is_none(ready: int, silent: int, is_storm: bool) -> None:
    assert (_codes(_nodes(ready, silent)) == ["storm"]) == is_storm


@pytest.mark.parametrize(("ready", "silent"), [(1, 1), (0, 1), (0, 2)])
def test_in_a_cluster_of_one_or_two_nodes_per_cents_mean_nothing(ready: int, silent: int) -> None:
    assert _codes(_nodes(ready, silent), ssh=(2, 2)) == []


def test_nodes_in_downtime_are_down_on_purpose() -> None:
    nodes = _nodes(3, 3)
    assert _codes(nodes) == ["storm"]
    assert _codes(nodes, ("silent-0", "silent-1")) == []
    assert _codes(_nodes(0, 3), ("silent-0", "silent-1", "silent-2")) == []


def test_a_node_in_downtime_that_is_up_hides_no_storm() -> None:
    assert _codes(_nodes(3, 2), ("up-0", "up-1")) == ["storm"]


@pytest.mark.parametrize(
    ("answering", "asked", "is_storm"),
    [(0, 0, False), (1, 1, False), (1, 2, False), (2, 2, True), (2, 3, True), (2, 4, False), (3, 4, True)],
)
def test_most_silent_hosts_answering_is_a_storm_and_one_alone_a_dead_kubelet(
    answering: int, asked: int, is_storm: bool
) -> None:
    assert (_codes(_nodes(9, 1), ssh=(answering, asked)) == ["storm-hosts-answer"]) == is_storm


@pytest.mark.parametrize("said", [False, None])
def test_an_api_server_that_is_not_ready_is_believed_nothing(said: bool | None) -> None:
    for nodes in (_nodes(9, 0), _nodes(1, 1), []):
        (found,) = storm.judge(nodes, (), said)
        assert found.code == "storm-api"
        assert "--override-storm" in found.remedy


def test_who_is_silent_is_named() -> None:
    (found,) = storm.judge(_nodes(1, 8), (), True)
    assert "silent-0" in found.message
    assert "and 3 more" in found.message


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 10))
def test_one_more_silent_node_never_ends_a_storm(ready: int, silent: int, recorded: int) -> None:
    records = tuple(f"up-{i}" for i in range(recorded))
    if _codes(_nodes(ready + 1, silent), records):
        worse = [*_nodes(ready, silent), NodeSummary(name=f"up-{ready}", ready=False)]
        assert _codes(worse, records) or f"up-{ready}" in records
