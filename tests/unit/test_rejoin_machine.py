"""A machine that is not the one that is meant is never reset and never joins: every way in which it may be another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import rejoin_machine
from cluster.formerly import Former
from cluster.joining import Joining
from cluster.membership import KUBELET_CONF, Membership
from cluster.plan import Finding
from cluster.record import Found
from tests.unit.rejoin_cases import (
    FORMER,
    MACHINE,
    OTHER_CA,
    OTHER_MACHINE,
    OUR_CA,
    UNKNOWN,
    joining,
    member,
    membership,
)


def codes(seen: Joining, confirmed: str = "") -> list[str]:
    return [one.code for one in rejoin_machine.objections("gpu-1", seen, confirmed)]


def test_the_recorded_machine_may_join_with_nothing_on_it() -> None:
    assert codes(joining()) == []


def test_the_recorded_machine_may_be_reset_when_its_kubelet_still_lives() -> None:
    assert codes(joining(member())) == []


def test_a_healthy_member_of_another_name_is_left_alone_even_when_confirmed() -> None:
    other = member(node_name="gpu-2", machine_id=OTHER_MACHINE)
    assert codes(joining(other, others=("gpu-2",)), "gpu-1") == ["other-node"]
    assert codes(joining(other), "gpu-1") == ["other-node"]


def test_a_member_of_another_cluster_is_left_alone_even_with_the_recorded_machine_id() -> None:
    assert codes(joining(member(authorities=(OTHER_CA,))), "gpu-1") == ["other-cluster"]


def test_a_member_whose_cluster_cannot_be_told_is_left_alone() -> None:
    assert codes(joining(member(authorities=())), "gpu-1") == ["other-cluster"]
    assert codes(joining(member(), authorities=()), "gpu-1") == ["other-cluster"]


def test_a_machine_that_another_node_reports_is_left_alone_whatever_is_on_it() -> None:
    assert codes(joining(membership(), others=("system-1",)), "gpu-1") == ["other-node"]


@pytest.mark.parametrize("path", ["/etc/kubernetes/admin.conf", "/var/lib/etcd/member"])
def test_a_control_plane_host_is_left_alone(path: str) -> None:
    assert codes(joining(membership(control_plane=(path,))), "gpu-1") == ["control-plane-host"]


def test_a_joined_machine_without_a_recorded_machine_id_is_left_alone_even_when_confirmed() -> None:
    assert codes(joining(member(), former=UNKNOWN), "gpu-1") == ["host-identity"]
    assert codes(joining(member(machine_id=OTHER_MACHINE)), "gpu-1") == ["host-identity"]


def test_a_clean_machine_that_is_not_recorded_needs_its_name_typed() -> None:
    for seen in (joining(former=UNKNOWN), joining(membership(machine_id=OTHER_MACHINE))):
        assert codes(seen) == ["unconfirmed-machine"]
        assert codes(seen, "gpu-2") == ["unconfirmed-machine"]
        assert codes(seen, "gpu-1") == []


def test_a_join_that_was_cut_before_the_kubelet_had_a_name_may_be_reset_by_its_machine_id_alone() -> None:
    half = member(node_name="", traces=("/etc/kubernetes/bootstrap-kubelet.conf",))
    assert codes(joining(half)) == []
    assert codes(joining(half, former=UNKNOWN)) == ["other-node"]
    assert codes(joining(half.model_copy(update={"machine_id": OTHER_MACHINE}))) == ["other-node"]


def test_a_machine_that_was_not_asked_is_not_touched() -> None:
    assert codes(joining().model_copy(update={"membership": None})) == ["host-unreachable"]
    problem = Finding(code="host-key-changed", message="It has changed", remedy="Look.")
    assert codes(joining(problem=problem), "gpu-1") == ["host-key-changed"]


@given(
    found=st.builds(
        Membership,
        machine_id=st.sampled_from([MACHINE, OTHER_MACHINE]),
        traces=st.sampled_from([(), (KUBELET_CONF,), ("/etc/kubernetes/bootstrap-kubelet.conf",)]),
        control_plane=st.sampled_from([(), ("/etc/kubernetes/admin.conf",)]),
        kubelet_active=st.booleans(),
        node_name=st.sampled_from(["", "gpu-1", "gpu-2"]),
        authorities=st.sampled_from([(), (OUR_CA,), (OTHER_CA,)]),
    ),
    former=st.sampled_from([FORMER, UNKNOWN, Former(found=Found(machine_id=OTHER_MACHINE))]),
    others=st.sampled_from([(), ("gpu-2",)]),
    confirmed=st.sampled_from(["", "gpu-1", "gpu-2"]),
)
def test_whoever_may_be_touched_is_proven_or_clean_and_confirmed(
    found: Membership, former: Former, others: tuple[str, ...], confirmed: str
) -> None:
    if codes(joining(found, former=former, others=others), confirmed):
        return
    assert not others
    assert not found.control_plane
    recorded = found.machine_id == former.machine_id
    if found.joined:
        assert recorded
        assert found.authorities == (OUR_CA,)
        assert found.node_name in ("", "gpu-1")
    else:
        assert recorded or confirmed == "gpu-1"
