"""Which member of etcd is a node's: by name and address, and never another one's."""

from __future__ import annotations

import pytest

from cluster import own_member
from cluster.errors import Blocked
from cluster.etcd_members import Member
from tests.unit.etcd_cases import member

MEMBERS = (member(1), member(2), member(3))


def test_member_of_a_node_is_found_by_name_and_address() -> None:
    assert own_member.of_node(MEMBERS, "master-3", ("10.0.0.3", "master-3"), ("10.0.0.1", "10.0.0.2")) == MEMBERS[2]


def test_member_that_is_gone_is_none() -> None:
    assert own_member.of_node(MEMBERS[:2], "master-3", ("10.0.0.3",), ("10.0.0.1", "10.0.0.2")) is None


def test_member_that_never_started_is_known_by_its_address() -> None:
    new = member(3, name="", started=False, learner=True)
    assert own_member.of_node((*MEMBERS[:2], new), "master-3", ("10.0.0.3",), ("10.0.0.1", "10.0.0.2")) == new


@pytest.mark.parametrize(
    ("members", "addresses", "others"),
    [
        ((member(3, name="other"),), ("10.0.0.3",), ()),
        ((member(3),), ("10.0.0.9",), ()),
        ((member(3),), (), ()),
        ((member(3),), ("10.0.0.3",), ("10.0.0.3",)),
        ((member(3), member(4, name="", started=False)), ("10.0.0.3", "10.0.0.4"), ()),
        ((member(3), member(4, name="master-3")), ("10.0.0.3",), ()),
    ],
    ids=[
        "the address alone",
        "the name alone",
        "no address is known",
        "another node's address as well",
        "two by their addresses",
        "two of its name",
    ],
)
def test_member_that_may_be_another_nodes_is_never_taken(
    members: tuple[Member, ...], addresses: tuple[str, ...], others: tuple[str, ...]
) -> None:
    with pytest.raises(Blocked) as raised:
        own_member.of_node(members, "master-3", addresses, others)
    assert raised.value.code == "etcd-member-unclear"
    assert "None was removed" in raised.value.message


def test_member_that_was_added_anew_is_not_the_recorded_one() -> None:
    assert own_member.same(MEMBERS[2], MEMBERS[2].model_copy(update={"healthy": False}))
    for more in ({"id": "9"}, {"name": "x"}, {"addresses": ("10.0.0.9",)}):
        assert not own_member.same(MEMBERS[2], MEMBERS[2].model_copy(update=more))


def test_without_a_majority_no_member_can_be_removed_not_even_one_without_a_vote() -> None:
    learner = member(4, learner=True)
    sick = tuple(one.model_copy(update={"healthy": False}) for one in MEMBERS[:2])
    for own in (MEMBERS[2], learner):
        codes = {one.code for one in own_member.objections((*sick, MEMBERS[2], learner), own)}
        assert "etcd-no-quorum" in codes
    assert own_member.objections((*MEMBERS, learner), learner) == ()
    assert own_member.objections(MEMBERS, MEMBERS[2]) == ()


def test_dead_member_of_two_can_not_be_removed_and_one_of_three_can() -> None:
    dead = MEMBERS[2].model_copy(update={"healthy": False})
    assert own_member.objections((*MEMBERS[:2], dead), dead) == ()
    assert own_member.objections((MEMBERS[0], dead), dead) != ()
