"""Control-plane nodes that are removed for good: their member of etcd goes, and nobody else's, and never blindly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from cluster import api as apis
from cluster import limits, performing, planning, procedures, rejoin_limits
from cluster.admission import Others
from cluster.downtime import Start, enter, go_on
from cluster.errors import Blocked, DowntimeError, Waiting
from cluster.options import PlannedOptions, RejoinOptions, RemoveOptions, Role
from cluster.record import Record
from cluster.remove import STEPS
from cluster.step import perform
from lab.simulated import cluster
from lab.simulated.host import Host
from tests.control_plane import removing
from tests.control_plane.conftest import COUNTER
from tests.control_plane.kill_ground import Ground, When
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.masters import NAMES, Masters
from tests.control_plane.protocol_states import fleet_of, machine_of, record_of
from tests.control_plane.removing import host, there
from tests.control_plane.test_removal_killed import QUICK, killed_again_and_again

_NO_QUORUM = ("etcd-no-quorum", "etcd-quorum", "etcd-not-observed")
SICK = ("etcd-unhealthy", "etcd-mute", "member-stays")


@pytest.fixture
def masters(three: Masters) -> Iterator[Masters]:
    yield three
    for node in NAMES:
        for name in SICK:
            three.fault(node, name, present=False)


@pytest.fixture
def fourth(masters: Masters) -> Iterator[Host]:
    """A control-plane node that may go: etcd can do without its member and one more."""
    name = f"master-x{next(COUNTER)}"
    yield cluster.add_node(masters.lab, name, "control-plane")
    record = record_of(masters.api, name)
    assert record is None or record["phase"] == "closed" or there(masters.api, name), "half-removed"
    cluster.remove_node(masters.lab, name)


def members(masters: Masters) -> dict[str, bool]:
    return masters.etcd().voting


def remove(masters: Masters, node: str, **options: object) -> Record:
    return removing.remove(removing.settings_of(masters.lab), node, **options)


def refused(masters: Masters, node: str, **options: object) -> DowntimeError:
    """The refusal of a removal; nothing was changed."""
    with pytest.raises(Blocked) as raised:
        remove(masters, node, **options)
    assert there(masters.api, node)
    assert host(masters.lab, node)["joined"]
    assert node in members(masters)
    assert node not in fleet_of(masters.api)
    return raised.value


def change(record: Record, what: str) -> tuple[str, str]:
    found = next((one for one in record.changes if one.what == what), None)
    return (found.state, found.value) if found is not None else ("", "")


def test_reset_takes_the_member_out_and_that_is_seen(masters: Masters, fourth: Host) -> None:
    record = remove(masters, fourth.node)
    assert record.phase == "closed"
    assert record.member is not None
    assert (record.member.id, record.member.name) == (fourth.etcd, fourth.node)
    assert change(record, "etcd-member-removed") == ("made", fourth.etcd)
    assert set(members(masters)) == set(NAMES)
    assert not there(masters.api, fourth.node)
    order = list(record.steps)
    assert order.index("reset-host") < order.index("remove-member") < order.index("delete-node")


def test_member_that_the_reset_could_not_take_out_is_removed_through_another_host(
    masters: Masters, fourth: Host
) -> None:
    masters.fault(fourth.node, "member-stays")
    record = remove(masters, fourth.node)
    assert change(record, "etcd-member-removed") == ("made", fourth.etcd)
    assert members(masters) == dict.fromkeys(NAMES, True)


@pytest.mark.long
def test_member_of_a_machine_that_is_off_goes_only_with_proof(masters: Masters, fourth: Host) -> None:
    removing.lose_power(masters.lab, masters.api, fourth.node)
    with pytest.raises(Waiting):
        removing.remove(removing.without_power(masters.lab), fourth.node)
    assert fourth.node in members(masters)
    assert there(masters.api, fourth.node)
    record = removing.resume(removing.settings_of(masters.lab), fourth.node)
    assert change(record, "machine-reset") == ("", "")
    assert change(record, "etcd-member-removed") == ("made", fourth.etcd)
    assert members(masters) == dict.fromkeys(NAMES, True)
    assert not there(masters.api, fourth.node)


def test_nobody_is_removed_whose_member_etcd_needs(masters: Masters, fourth: Host) -> None:
    for node in NAMES[:2]:
        masters.fault(node, "etcd-unhealthy")
    codes = refused_codes(masters, fourth.node)
    assert codes <= {"etcd-no-quorum", "etcd-quorum", "etcd-not-observed"}
    assert codes


def refused_codes(masters: Masters, node: str) -> set[str]:
    api, settings = apis.connect(removing.settings_of(masters.lab).cluster), removing.settings_of(masters.lab)
    _, plan = planning.plan(api, settings, node, removing.options_of(node, accept_lost_tolerance=node))
    return {one.code for one in plan.blockers}


def test_last_spare_member_goes_only_when_the_name_was_typed(masters: Masters) -> None:
    refusal = refused(masters, NAMES[2])
    assert refusal.code == "etcd-no-fault-tolerance"
    assert f"--accept-lost-tolerance {NAMES[2]}" in str(refusal)
    assert refused(masters, NAMES[2], accept_lost_tolerance=NAMES[1]).code == "etcd-no-fault-tolerance"


def test_member_that_fails_during_the_drain_keeps_the_machine_from_being_reset(masters: Masters, fourth: Host) -> None:
    settings, options = removing.settings_of(masters.lab), removing.options_of(fourth.node)
    api = apis.connect(settings.cluster)
    _, plan = planning.plan(api, settings, fourth.node, options, depth="checksums")
    assert plan.feasible, plan.blockers

    def fails(step: str, _text: str) -> None:
        if step == "save":
            for node in NAMES[:2]:
                masters.fault(node, "etcd-unhealthy")

    start = Start("remove", fourth.node, options, plan.recovery, removing.WHO)
    with pytest.raises(Blocked) as raised, enter(api, settings, start, fails) as downtime:
        performing.perform_all(downtime)
    assert raised.value.code in ("etcd-no-quorum", "etcd-quorum", "etcd-not-observed")
    machine = machine_of(masters.lab, fourth.node)
    assert (machine.joined, machine.kubelet_starts, machine.etcd) == (True, True, fourth.etcd)
    for node in NAMES[:2]:
        masters.fault(node, "etcd-unhealthy", present=False)
    assert removing.resume(settings, fourth.node, abort=True).phase == "closed"
    assert there(masters.api, fourth.node)


def test_removal_that_takes_over_a_downtime_asks_etcd_in_its_admission(masters: Masters, fourth: Host) -> None:
    """The plan was feasible; a member failed since. What was accepted for the maintenance was not for the removal."""
    node, settings = fourth.node, removing.settings_of(masters.lab)
    api, options = apis.connect(settings.cluster), removing.options_of(fourth.node)
    maintenance = PlannedOptions(reason="test", interactive="evict", accept_lost_tolerance=node)
    _, plan = planning.plan(api, settings, node, maintenance, depth="checksums")
    with enter(api, settings, Start("planned", node, maintenance, plan.recovery, removing.WHO)):
        pass
    _, plan = planning.plan(api, settings, node, options, depth="checksums")
    assert plan.feasible, plan.blockers
    start = Start("remove", node, options, plan.recovery, removing.WHO)
    for sick, codes in ((NAMES[:1], ("etcd-no-fault-tolerance",)), (NAMES[:2], _NO_QUORUM)):
        for one in sick:
            masters.fault(one, "etcd-unhealthy")
        with pytest.raises(Blocked) as raised, enter(api, settings, start):
            pass
        assert raised.value.code in codes
        record = record_of(masters.api, node)
        assert record is not None
        assert record["procedure"] == "planned"
    for one in NAMES:
        masters.fault(one, "etcd-unhealthy", present=False)
    with enter(api, settings, start) as downtime:
        assert downtime.record.procedure == "remove"
    assert removing.resume(settings, node, abort=True).phase == "closed"


@pytest.mark.long
def test_member_that_another_machine_has_by_now_is_left_alone(masters: Masters, fourth: Host) -> None:
    """Between the reset and the removal of the member somebody else was made a member of that name."""
    masters.fault(fourth.node, "member-stays")
    settings, options = removing.settings_of(masters.lab), removing.options_of(fourth.node)
    api = apis.connect(settings.cluster)
    _, plan = planning.plan(api, settings, fourth.node, options, depth="checksums")
    with enter(api, settings, Start("remove", fourth.node, options, plan.recovery, removing.WHO)) as downtime:
        for name in STEPS[: STEPS.index("remove-member")]:
            perform(downtime, procedures.table("remove")[name])
        recorded = downtime.record.member
        assert recorded is not None
        # As if another one had been there when the removal began.
        earlier = recorded.model_copy(update={"id": "abc"})
        downtime.write(lambda old: old.model_copy(update={"member": earlier}))
    with pytest.raises(Blocked) as raised:
        removing.resume(settings, fourth.node)
    assert raised.value.code == "etcd-member-unclear"
    assert fourth.node in members(masters)
    assert there(masters.api, fourth.node)
    with go_on(api, settings, fourth.node) as downtime:
        downtime.write(lambda old: old.model_copy(update={"member": recorded}))
        performing.perform_all(downtime)
    assert fourth.node not in members(masters)


def test_one_control_plane_node_joins_at_a_time_and_none_while_another_is_down(masters: Masters) -> None:
    api = apis.connect(removing.settings_of(masters.lab).cluster)

    def codes(down: str, role: Role = "control-plane") -> list[str]:
        judge = rejoin_limits.judge_of(api, "master-9", RejoinOptions(role=role), {})
        return [one.code for one in judge(Others(frozenset({down}), {}))]

    assert codes("master-1") == ["control-plane-one-at-a-time"]
    assert codes("just-being-admitted") == ["control-plane-one-at-a-time"]
    assert codes("gpu-1") == []
    assert codes("master-1", "gpu-worker") == []
    going = limits.judge_of(api, "master-1", removing.settings_of(masters.lab).limits, RemoveOptions())
    assert [one.code for one in going(Others(frozenset({"just-being-admitted"}), {}))] == [
        "control-plane-one-at-a-time"
    ]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_at_every_journal_write_its_member_goes_and_nobody_elses(
    masters: Masters, relay: Relay, tmp_path: Path
) -> None:
    """In one chain the reset takes the member out, in the other one it must be removed through another host."""
    ground = Ground(masters.lab, masters.api, relay, tmp_path, {**QUICK})
    whens: tuple[When, ...] = get_args(When)
    for when in whens:
        made = cluster.add_node(masters.lab, f"master-x{next(COUNTER)}", "control-plane")
        try:
            masters.fault(made.node, "member-stays", present=when == "after")
            killed = killed_again_and_again(ground, made.node, when)
            assert len(killed) >= 20, f"{when}: {killed}"
            record = record_of(masters.api, made.node)
            assert record is not None
            assert record["phase"] == "closed"
            states = {one["what"]: (one["state"], one["value"]) for one in record["changes"]}
            assert states["etcd-member-removed"] == ("made", made.etcd)
            assert states["node-deleted"][0] == "made"
            assert members(masters) == dict.fromkeys(NAMES, True)
            assert not there(masters.api, made.node)
            assert made.node not in fleet_of(masters.api)
        finally:
            cluster.remove_node(masters.lab, made.node)
