"""etcd must never lose its quorum by our doing: every state of up to seven members."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from cluster import quorum
from cluster.inventory import NodeSummary

STATES = [
    dict(zip((f"m{i}" for i in range(size)), healths, strict=True))
    for size in range(1, 8)
    for healths in itertools.product((True, False), repeat=size)
]


def _works(members: dict[str, bool]) -> bool:
    """etcd's own rule, said without any arithmetic of ours: the healthy outnumber the others."""
    healthy = [name for name, well in members.items() if well]
    return len(healthy) > len(members) - len(healthy)


def _every_case() -> Iterator[tuple[dict[str, bool], str]]:
    return ((state, one) for state in STATES for one in state)


def _after_failure_of_any(members: dict[str, bool]) -> bool:
    """Whether it still works whichever healthy member fails next."""
    return all(_works({**members, name: False}) for name, well in members.items() if well)


def test_a_majority() -> None:
    assert [quorum.quorum(n) for n in range(1, 8)] == [1, 2, 2, 3, 3, 4, 4]
    assert [quorum.tolerance(n, n) for n in range(1, 8)] == [0, 0, 1, 1, 2, 2, 3]


def test_a_node_may_go_down_exactly_when_etcd_works_without_it() -> None:
    for members, one in _every_case():
        judged = quorum.may_go_down(members, one)
        assert (not judged.blockers) == _works({**members, one: False}), (members, one)


def test_healthy_less_one_must_be_a_quorum_where_the_one_is_healthy() -> None:
    for members, one in _every_case():
        if members[one]:
            allowed = sum(members.values()) - 1 >= quorum.quorum(len(members))
            assert (not quorum.may_go_down(members, one).blockers) == allowed, (members, one)


def test_a_member_may_be_removed_exactly_when_etcd_works_now_and_after() -> None:
    for members, one in _every_case():
        judged = quorum.may_be_removed(members, one)
        rest = {name: well for name, well in members.items() if name != one}
        assert (not judged.blockers) == (bool(rest) and _works(members) and _works(rest)), (members, one)


def test_what_leaves_no_room_for_a_failure_must_be_confirmed_and_nothing_else() -> None:
    for members, one in _every_case():
        down, removed = quorum.may_go_down(members, one), quorum.may_be_removed(members, one)
        rest = {name: well for name, well in members.items() if name != one}
        if not down.blockers:
            assert bool(down.confirmations) != _after_failure_of_any({**members, one: False}), (members, one)
        if not removed.blockers:
            assert bool(removed.confirmations) != _after_failure_of_any(rest), (members, one)


def test_what_is_forbidden_is_never_offered_for_confirmation() -> None:
    for members, one in _every_case():
        for judged in (quorum.may_go_down(members, one), quorum.may_be_removed(members, one)):
            assert not (judged.blockers and judged.confirmations)


def test_nothing_joins_while_a_member_is_unhealthy() -> None:
    for members in STATES:
        assert (not quorum.may_join(members).blockers) == all(members.values()), members


@pytest.mark.parametrize(
    ("members", "one", "codes"),
    [
        ({"a": True}, "a", ["only-control-plane-node"]),
        ({"a": True, "b": True}, "a", ["etcd-quorum"]),
        ({"a": True, "b": True, "c": False}, "a", ["etcd-quorum"]),
        ({"a": True, "b": True, "c": False}, "c", []),
        ({"a": True, "b": True}, "z", ["etcd-member-unknown"]),
        ({}, "a", ["etcd-not-observed"]),
    ],
)
def test_going_down(members: dict[str, bool], one: str, codes: list[str]) -> None:
    found = quorum.may_go_down(members, one)
    assert [each.code for each in found.blockers] == codes
    assert all(each.remedy for each in found.blockers)


def test_one_of_three_may_go_down_only_once_it_is_confirmed_by_name() -> None:
    judged = quorum.may_go_down({"a": True, "b": True, "c": True}, "a")
    assert [one.code for one in judged.confirmations] == ["etcd-no-fault-tolerance"]
    assert "a" in judged.confirmations[0].remedy
    assert quorum.may_go_down(dict.fromkeys("abcde", True), "a") == quorum.Judgement()


def test_a_dead_member_of_two_cannot_be_removed_since_nothing_can_be_committed() -> None:
    found = quorum.may_be_removed({"a": True, "b": False}, "b").blockers
    assert [one.code for one in found] == ["etcd-no-quorum"]


def test_the_unhealthy_one_is_named() -> None:
    assert "c is unhealthy" in quorum.may_go_down({"a": True, "b": True, "c": False}, "a").blockers[0].message
    assert "c" in quorum.may_join({"a": True, "c": False}).blockers[0].message


def test_without_an_observation_nothing_joins_or_is_removed() -> None:
    assert [one.code for one in quorum.may_join({}).blockers] == ["etcd-not-observed"]
    assert [one.code for one in quorum.may_be_removed({}, "a").blockers] == ["etcd-not-observed"]


def test_one_control_plane_node_at_a_time_for_whatever_reason_the_other_is_down() -> None:
    masters = [NodeSummary(name=f"master-{i}", kind="control-plane") for i in (1, 2, 3)]
    worker = NodeSummary(name="gpu-1", kind="gpu-worker", ready=False)
    assert quorum.one_at_a_time([*masters, worker], "master-1", ["gpu-1"]) == []
    (found,) = quorum.one_at_a_time(masters, "master-1", ["master-2"])
    assert found.code == "control-plane-one-at-a-time"
    assert "master-2 is in downtime" in found.message
    dead = masters[2].model_copy(update={"ready": False})
    assert "master-3 is not Ready" in quorum.one_at_a_time([*masters[:2], dead], "master-1", [])[0].message
    assert quorum.one_at_a_time([*masters[:2], dead], "master-3", ["master-3"]) == []
    assert quorum.one_at_a_time([*masters, worker], "gpu-1", ["master-1"]) == []
