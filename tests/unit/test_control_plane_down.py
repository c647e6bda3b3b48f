"""A control-plane node in the plans: what forbids that it goes down, and what a person may accept in typed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster import api_endpoint, control_plane_blockers, etcd_quorum, planned, unplanned
from cluster.config import PowerCommandSettings, PowerSettings
from cluster.etcd_members import EtcdView, Member
from cluster.inventory import NodeSummary, summary
from cluster.observation import Observation, runs_here
from cluster.options import PlannedOptions, UnplannedOptions
from cluster.plan import Finding
from tests.unit.outage_cases import OTHERS, failed
from tests.unit.planning_cases import node, observation, record, settings

NAMES = ("m1", "m2", "m3", "m4", "m5")


def view(*healthy: bool, **more: Any) -> EtcdView:
    """A member on each node, in order."""
    members = tuple(
        Member(id=f"{number}", node=name, name=name, healthy=well)
        for number, (name, well) in enumerate(zip(NAMES, healthy, strict=False), 1)
    )
    return EtcdView(**{"members": members, "asked": "m2", **more})


def cluster(seen: EtcdView | None, *, down: tuple[str, ...] = (), not_ready: tuple[str, ...] = ()) -> Observation:
    """A cluster with as many control-plane nodes as etcd has members; m1 is to go down."""
    names = [one.node for one in seen.members] if seen is not None else list(NAMES[:3])
    nodes = tuple(
        NodeSummary(name=name, kind="control-plane", ready=name not in not_ready) for name in names or NAMES[:3]
    )
    own = node("m1", role="control-plane")
    return observation(own, nodes=nodes, etcd=seen, down=frozenset(down), server="https://cp.example.org:6443")


def blockers(seen: Observation, typed: str = "") -> list[str]:
    found = planned.plan(seen, PlannedOptions(accept_lost_tolerance=typed), settings(), None)
    return [one.code for one in found.blockers]


@pytest.mark.parametrize(
    ("healthy", "typed", "codes"),
    [
        ((True, True, True, True, True), "", []),
        ((True, True, True), "", ["etcd-no-fault-tolerance"]),
        ((True, True, True), "m2", ["etcd-no-fault-tolerance"]),
        ((True, True, True), "m1", []),
        ((False, True, True), "m1", []),
        ((True, False, True), "m1", ["etcd-quorum"]),
        ((True, True), "m1", ["etcd-quorum"]),
        ((True, True, False, True, True), "", ["etcd-no-fault-tolerance"]),
        ((True, False, False, True, True), "m1", ["etcd-quorum"]),
    ],
)
def test_what_the_quorum_says(healthy: tuple[bool, ...], typed: str, codes: list[str]) -> None:
    assert blockers(cluster(view(*healthy)), typed) == codes


@pytest.mark.parametrize("unseen", [None, EtcdView(problems=("m2: the connection was refused",))])
def test_what_could_not_be_observed_forbids_it_whatever_was_typed(unseen: EtcdView | None) -> None:
    found = planned.plan(cluster(unseen), PlannedOptions(accept_lost_tolerance="m1"), settings(), None)
    assert [one.code for one in found.blockers] == ["etcd-not-observed"]
    assert not unseen or "m2: the connection was refused" in found.blockers[0].message


def test_one_control_plane_node_at_a_time() -> None:
    five = view(*[True] * 5)
    assert blockers(cluster(five, down=("m4",))) == ["control-plane-one-at-a-time"]
    assert blockers(cluster(five, not_ready=("m4",))) == ["control-plane-one-at-a-time"]
    assert blockers(cluster(five, down=("gpu-1",))) == []


def test_the_only_one_is_said_once() -> None:
    assert blockers(observation(node("m1", role="control-plane"))) == ["only-control-plane-node"]


def test_a_node_without_a_voting_member_is_not_taken_down() -> None:
    others = view(True, True, True)
    without = others.model_copy(update={"members": others.members[1:]})
    seen = cluster(view(True, True, True)).model_copy(update={"etcd": without})
    assert blockers(seen, "m1") == ["etcd-member-unknown"]


def test_the_way_back_is_not_judged() -> None:
    gone = record(
        done=("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone", "shut-down"),
        changes=("cordon", "taint", "shutdown"),
        name="m1",
    )
    seen = cluster(view(True, False, False), down=("m2",))
    assert planned.plan(seen, PlannedOptions(), settings(), gone).blockers == ()


def test_what_was_accepted_is_a_warning_of_the_plan() -> None:
    found = planned.plan(cluster(view(True, True, True)), PlannedOptions(accept_lost_tolerance="m1"), settings(), None)
    assert [one.code for one in found.warnings] == ["accept-lost-tolerance"]
    assert "by typing the node's name" in found.warnings[0].message
    # Typed where it was not needed, it changes nothing.
    five = cluster(view(*[True] * 5))
    assert planned.plan(five, PlannedOptions(accept_lost_tolerance="m1"), settings(), None).warnings == ()


def test_the_typed_name_is_wanted_by_name() -> None:
    (found,) = etcd_quorum.objections(view(True, True, True), "m1", "m11")
    assert "'m11' was typed" in found.message
    assert "--accept-lost-tolerance m1" in found.remedy


@pytest.mark.parametrize(
    ("healthy", "said"),
    [
        ((False, True, True), "if one more fails"),
        ((False, True, True, True, True), "1 more may fail"),
        ((False, False, True), "if one more fails"),
    ],
)
def test_a_recovery_tells_how_much_etcd_can_still_lose(healthy: tuple[bool, ...], said: str) -> None:
    (found,) = control_plane_blockers.lost(cluster(view(*healthy)))
    assert found.code == "etcd-members"
    assert said in found.message


def test_a_worker_is_no_concern_of_etcd() -> None:
    seen = observation(etcd=view(False, False, False))
    assert list(control_plane_blockers.of(seen, "", [])) == []
    assert list(control_plane_blockers.lost(seen)) == []
    assert list(control_plane_blockers.warnings(seen, "gpu-1")) == []


@pytest.mark.parametrize(
    ("server", "resolved", "forbidden"),
    [
        ("https://10.0.0.1:6443", ("10.0.0.1",), True),
        ("https://10.0.0.10:6443", ("10.0.0.10",), False),
        ("https://m1:6443", (), True),
        ("https://m1.example.org:6443", ("10.0.0.1",), True),
        ("https://cp.example.org:6443", ("10.0.0.1", "10.0.0.2"), False),
        ("https://cp.example.org:6443", (), False),
        ("https://[fd00::1]:6443", ("fd00::1",), True),
    ],
)
def test_the_session_must_not_go_through_the_node_that_goes_down(
    server: str, resolved: tuple[str, ...], forbidden: bool
) -> None:
    own = node("m1", role="control-plane")
    own["status"]["addresses"] = [{"type": "InternalIP", "address": one} for one in ("10.0.0.1", "fd00::1")]
    found: list[Finding] = api_endpoint.objections(server, resolved, own)
    assert [one.code for one in found] == ["api-server-on-node"] * forbidden


def test_an_address_needs_no_name_service() -> None:
    assert api_endpoint.addresses("https://10.0.0.1:6443") == ("10.0.0.1",)
    assert api_endpoint.addresses("https://[fd00::1]:6443") == ("fd00::1",)
    assert api_endpoint.addresses("https://localhost:6443") != ()
    assert api_endpoint.addresses("nonsense") == ()


@pytest.mark.parametrize(
    ("seen_etcd", "options", "codes"),
    [
        (view(False, True, True), {}, []),
        (view(True, True, True), {}, []),
        (view(True, False, True), {}, []),
        (view(True, True, True), {"resets": 1}, ["etcd-no-fault-tolerance"]),
        (view(True, True, True), {"resets": 1, "accept_lost_tolerance": "m1"}, []),
        (view(True, False, True), {"resets": 1, "accept_lost_tolerance": "m1"}, ["etcd-quorum"]),
        (EtcdView(problems=("m2: silent",)), {}, ["etcd-not-observed"]),
        (None, {}, ["etcd-not-observed"]),
    ],
)
def test_a_recovery_stops_nothing_against_the_quorum(
    seen_etcd: EtcdView | None, options: dict[str, Any], codes: list[str]
) -> None:
    others = tuple(NodeSummary(name=name, kind="control-plane") for name in ("m2", "m3"))
    own = node("m1", role="control-plane", ready=False)
    seen = failed(own, nodes=(summary(own), *others, *OTHERS), etcd=seen_etcd)
    argv = PowerCommandSettings(on=["/bin/true"], status=["/bin/true"], reset=["/bin/true"])
    powered = settings().model_copy(update={"power": PowerSettings(on="command", status="command", command=argv)})
    chosen = UnplannedOptions(power_on="controller", hold=False, **options)
    assert [one.code for one in unplanned.plan(seen, chosen, powered, None).blockers] == codes


def test_a_process_knows_the_machine_that_it_runs_on() -> None:
    own = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert runs_here(own)
    assert not runs_here("2d9ba48e-5f0e-4bd2-a5ff-b2b3b7ff6f10")
    assert not runs_here("")
