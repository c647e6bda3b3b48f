"""What etcdctl prints, read: who is a member, on which node, and that nothing but a good answer is health."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.etcd_members import EtcdView, Member, Unreadable, read

NODES = {"m1": ("10.0.0.1", "m1"), "m2": ("10.0.0.2",), "m3": ("fd00::3",)}


def entry(number: int, **more: Any) -> dict[str, Any]:
    """A member as ``etcdctl member list -w json`` prints it."""
    host = f"10.0.0.{number}"
    urls = {"peerURLs": [f"https://{host}:2380"], "clientURLs": [f"https://{host}:2379"]}
    return {"ID": 10372538179322589801 + number, "name": f"m{number}", **urls, **more}


def told(*numbers: int, sick: tuple[int, ...] = ()) -> str:
    """What ``etcdctl endpoint health --cluster -w json`` prints."""
    answers = [{"endpoint": f"https://10.0.0.{n}:2379", "health": n not in sick, "took": "9ms"} for n in numbers]
    return json.dumps(answers)


def members(*entries: dict[str, Any]) -> str:
    return json.dumps({"header": {"cluster_id": 1, "member_id": 2, "raft_term": 3}, "members": list(entries)})


def seen(listed: str, health: str) -> EtcdView:
    return EtcdView(members=read(listed, health, NODES), asked="m1")


def test_all_members_by_the_names_of_their_nodes() -> None:
    view = seen(members(entry(1), entry(2), entry(3)), told(1, 2, 3, sick=(2,)))
    assert view.voting == {"m1": True, "m2": False, "m3": True}
    own = view.of("m1")
    assert own is not None
    # As 'etcdctl member remove' takes it.
    assert own.id == f"{10372538179322589802:x}"
    assert own.addresses == ("10.0.0.1",)


def test_the_address_tells_the_node_and_not_the_name() -> None:
    view = seen(members(entry(1, name="default"), entry(2, name="m1")), told(1, 2))
    assert [(one.node, one.name) for one in view.members] == [("m1", "default"), ("m2", "m1")]


def test_an_address_of_version_6() -> None:
    urls = {"peerURLs": ["https://[fd00::3]:2380"], "clientURLs": ["https://[fd00::3]:2379"]}
    health = json.dumps([{"endpoint": "https://[fd00::3]:2379", "health": True}])
    assert seen(members(entry(7, name="other", **urls)), health).voting == {"m3": True}


def test_a_member_on_no_node_counts_under_its_own_name() -> None:
    assert seen(members(entry(1), entry(9, name="lost")), told(1)).voting == {"lost": False, "m1": True}


def test_a_member_that_never_started_counts_and_is_not_healthy() -> None:
    late = entry(2, name="", clientURLs=[])
    del late["clientURLs"]
    view = seen(members(entry(1), late), told(1, 2))
    assert view.voting == {"m1": True, "m2": False}
    assert [one.started for one in view.members] == [True, False]


def test_a_learner_has_no_vote() -> None:
    view = seen(members(entry(1), entry(2, isLearner=True)), told(1, 2))
    assert view.voting == {"m1": True}
    assert view.of("m2") == Member(
        id=f"{10372538179322589803:x}", node="m2", name="m2", healthy=True, learner=True, addresses=("10.0.0.2",)
    )


def test_two_members_of_one_node_both_count() -> None:
    view = seen(members(entry(1), entry(4, name="m1")), told(1))
    assert sorted(view.voting.values()) == [False, True]
    assert len(view.voting) == 2


@pytest.mark.parametrize(
    "health",
    [
        "[]",
        told(2),
        json.dumps([{"endpoint": "https://10.0.0.1:2379", "health": "true"}]),
        json.dumps([{"endpoint": "https://10.0.0.1:2379"}]),
        json.dumps([{"endpoint": "https://10.0.0.1:23790", "health": True}]),
        json.dumps([{"endpoint": "https://10.0.0.1:2379", "health": one} for one in (True, False)]),
    ],
)
def test_what_did_not_clearly_answer_is_not_healthy(health: str) -> None:
    assert seen(members(entry(1)), health).voting == {"m1": False}


def test_each_address_for_clients_must_answer() -> None:
    both = ["https://10.0.0.1:2379", "https://10.0.0.1:12379"]
    assert seen(members(entry(1, clientURLs=both)), told(1)).voting == {"m1": False}


def test_ids_in_hexadecimal_are_read_as_well() -> None:
    view = seen(members(entry(1, ID="8e9e05c52164694d")), told(1))
    assert [one.id for one in view.members] == ["8e9e05c52164694d"]


@pytest.mark.parametrize(
    ("listed", "health"),
    [
        ("", told(1)),
        ("Error: context deadline exceeded", told(1)),
        ("[]", told(1)),
        (members(), told(1)),
        (json.dumps({"header": {}}), told(1)),
        (json.dumps({"members": ["m1"]}), told(1)),
        (members(entry(1, ID=None)), told(1)),
        (members(entry(1, ID="no")), told(1)),
        (members(entry(1, ID=-1)), told(1)),
        (members(entry(1)), ""),
        (members(entry(1)), "Error: unhealthy cluster"),
        (members(entry(1)), "{}"),
        (members(entry(1)), "[1]"),
    ],
)
def test_anything_else_is_no_answer(listed: str, health: str) -> None:
    with pytest.raises(Unreadable):
        read(listed, health, NODES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ID", "members", "name", "health",
        "endpoint", "peerURLs", "clientURLs", "isLearner"]) | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON)
def test_no_answer_whatever_makes_a_healthy_member_out_of_nothing(listed: Any, health: Any) -> None:
    try:
        found = read(json.dumps(listed), json.dumps(health), NODES)
    except Unreadable:
        return
    for one in found:
        assert not one.healthy or "true" in json.dumps(health)
    assert len({one.node for one in found}) == len(found)
