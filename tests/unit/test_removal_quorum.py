"""The plan of a control-plane node's removal: etcd must be able to do without its member, now and afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import procedures, remove
from cluster.etcd_members import EtcdView
from cluster.inventory import NodeSummary
from cluster.observation import HostFacts, Observation
from cluster.options import RemoveOptions
from cluster.plan import Plan
from tests.unit import planning_cases as cases
from tests.unit.etcd_cases import member, view

NAME = "master-3"
THREE = view(member(1), member(2), member(3))
FOUR = view(member(1), member(2), member(3), member(4))


def seen(etcd: EtcdView | None = FOUR, *, ready: bool = True, **more: Any) -> Observation:
    own = cases.node(NAME, role="control-plane", ready=ready)
    others = tuple(NodeSummary(name=f"master-{number}", kind="control-plane") for number in (1, 2))
    given: dict[str, Any] = {"nodes": (NodeSummary(name=NAME, kind="control-plane", ready=ready), *others)}
    return cases.observation(own, etcd=etcd, **{**given, **more})


def made(what: Observation, **options: Any) -> Plan:
    chosen = RemoveOptions(interactive="evict", confirmed=NAME, **options)
    return remove.plan(what, chosen, cases.settings(), None)


def codes(plan: Plan) -> list[str]:
    return [one.code for one in plan.blockers]


def test_its_member_is_seen_gone_between_the_reset_and_the_deletion() -> None:
    names = [one.name for one in made(seen()).steps]
    assert names == [one for one in remove.STEPS if one != "designate"]
    assert names[names.index("reset-host") : names.index("see-away")] == ["reset-host", "remove-member", "delete-node"]
    record = cases.record(procedure="remove", name=NAME)
    found = record.found.model_copy(update={"labels": {"node-role.kubernetes.io/control-plane": ""}})
    for options in (RemoveOptions(), RemoveOptions(designate="gpu-2")):
        begun = record.model_copy(update={"found": found, "options": options.model_dump(mode="json")})
        assert procedures.steps_of(begun) == remove.steps_for(options, found.labels) == remove.step_names(options)
        assert "remove-member" not in remove.steps_for(options, {})


def test_lost_tolerance_must_be_accepted_by_typing_the_name() -> None:
    assert codes(made(seen(THREE))) == ["etcd-no-fault-tolerance"]
    assert codes(made(seen(THREE), accept_lost_tolerance="master-2")) == ["etcd-no-fault-tolerance"]
    plan = made(seen(THREE), accept_lost_tolerance=NAME)
    assert plan.feasible
    assert "accept-lost-tolerance" in [one.code for one in plan.warnings]


@pytest.mark.parametrize(
    ("etcd", "code"),
    [
        (view(member(1), member(2, healthy=False), member(3)), "etcd-quorum"),
        (view(member(1, healthy=False), member(2, healthy=False), member(3)), "etcd-no-quorum"),
        (EtcdView(problems=("master-1: no answer",)), "etcd-not-observed"),
        (None, "etcd-not-observed"),
    ],
)
def test_blocked_whatever_is_accepted(etcd: EtcdView | None, code: str) -> None:
    assert code in codes(made(seen(etcd), accept_lost_tolerance=NAME))


def test_one_that_failed_can_be_removed_while_the_others_work() -> None:
    dead = view(member(1), member(2), member(3, healthy=False))
    what = seen(dead, ready=False, host=HostFacts(), power_status="off")
    assert made(what, accept_lost_tolerance=NAME).feasible


def test_one_whose_member_has_gone_already_takes_nothing_away() -> None:
    assert made(seen(view(member(1), member(2)))).feasible
    sick = view(member(1), member(2, healthy=False))
    assert "etcd-no-quorum" in codes(made(seen(sick)))


def test_only_one_control_plane_node_at_a_time() -> None:
    assert "control-plane-one-at-a-time" in codes(made(seen(down=frozenset({"master-1"}))))


def test_api_server_of_the_node_itself_is_no_way_to_remove_it() -> None:
    what = seen().model_copy(update={"server": f"https://{NAME}:6443"})
    assert "api-server-on-node" in codes(made(what))


def test_only_control_plane_node_is_never_removed() -> None:
    alone = seen(view(member(3)), nodes=(NodeSummary(name=NAME, kind="control-plane"),))
    assert codes(made(alone, accept_lost_tolerance=NAME)) == ["only-control-plane-node"]
