"""Control-plane nodes: one at a time, never below etcd's quorum, and never with etcd's health taken for granted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import api as apis
from cluster import performing, planning, report, showing_reports
from cluster.downtime import Downtime, Start, enter
from cluster.errors import Blocked, DowntimeError, Failed, Waiting
from lab.power import power
from tests.control_plane import driving, recovering
from tests.control_plane.masters import ACCEPTED, HELD, NAMES, Masters
from tests.control_plane.protocol_states import drained, fleet_of, machine_of, untouched
from tests.control_plane.terminal import at_a_terminal
from tests.control_plane.test_two_at_once import race

ROUNDS = 50


@pytest.fixture
def masters(three: Masters) -> Iterator[Masters]:
    yield three
    three.put_right()


def blocked(masters: Masters, node: str, **options: object) -> DowntimeError:
    """The refusal of a planned maintenance; nothing was changed."""
    with pytest.raises(Blocked) as raised:
        driving.run(masters.settings, node, ACCEPTED[node].model_copy(update=options))
    assert raised.value.exit_code == 3
    assert untouched(masters.api, node)
    assert node not in fleet_of(masters.api)
    return raised.value


def test_a_master_is_maintained_once_its_name_was_typed(masters: Masters) -> None:
    node, boot = "master-2", machine_of(masters.lab, "master-2").boot_id
    for typed in ("", "master-3"):
        refusal = blocked(masters, node, accept_lost_tolerance=typed)
        assert refusal.code == "etcd-no-fault-tolerance"
        assert f"--accept-lost-tolerance {node}" in str(refusal)
    record = driving.run(masters.settings, node, ACCEPTED[node])
    assert record.phase == "closed"
    assert "its member of etcd is healthy (3 of 3 are)" in record.steps["see-back"].proof
    assert machine_of(masters.lab, node).boot_id != boot
    assert untouched(masters.api, node)
    # It was recorded, as other overrides are: in the record and in an Event.
    assert record.options["accept_lost_tolerance"] == node
    assert "LostToleranceAccepted" in masters.events(node)
    assert [(one.subject, one.answer, one.items) for one in record.approvals] == [("lost-tolerance", "accept", (node,))]
    assert (
        "about the loss of etcd's fault tolerance: master-2" in showing_reports.decisions(report.of_record(record))[0]
    )


def test_a_person_at_the_terminal_types_the_name(masters: Masters, tmp_path: Path) -> None:
    words, question = ("run", "planned", "master-2", "--local", "--no-hold"), "Node that goes down all the same: "
    code, text = at_a_terminal(masters.lab, tmp_path, words, ((question, "master-3"),))
    assert code == 3
    assert "etcd-no-fault-tolerance" in text
    code, text = at_a_terminal(masters.lab, tmp_path, words, ((question, "master-2"), ("Go on? [y/N] ", "n")))
    assert code == 3
    assert "The plan was not confirmed" in text
    assert untouched(masters.api, "master-2")


def test_while_a_master_is_down_no_other_one_may_go(masters: Masters) -> None:
    with pytest.raises(Waiting):
        driving.run(masters.settings, "master-1", HELD["master-1"])
    refusal = blocked(masters, "master-2")
    assert refusal.code == "control-plane-one-at-a-time"
    assert "master-1 is in downtime" in refusal.message
    driving.abort(masters.settings, "master-1")
    assert (
        driving.run(masters.settings, "master-2", HELD["master-2"].model_copy(update={"hold": False})).phase == "closed"
    )


def test_an_unhealthy_member_forbids_that_another_one_goes_down(masters: Masters) -> None:
    masters.fault("master-3", "etcd-unhealthy")
    refusal = blocked(masters, "master-1")
    assert refusal.code == "etcd-quorum"
    assert "master-3 is unhealthy" in refusal.message


@pytest.mark.long
def test_a_sick_member_s_own_node_may_go_down_or_it_could_never_be_mended(masters: Masters) -> None:
    masters.fault("master-3", "etcd-unhealthy")

    def mended(step: str, _text: str) -> None:
        if step == "see-off":
            masters.fault("master-3", "etcd-unhealthy", present=False)

    assert driving.run(masters.settings, "master-3", ACCEPTED["master-3"], mended).phase == "closed"


def test_a_member_that_fails_during_the_drain_keeps_the_machine_up(masters: Masters) -> None:
    def fails(step: str, _text: str) -> None:
        if step == "see-gone":
            masters.fault("master-1", "etcd-down")

    boot = machine_of(masters.lab, "master-2").boot_id
    with pytest.raises(Blocked) as raised:
        driving.run(masters.settings, "master-2", ACCEPTED["master-2"], fails)
    assert raised.value.code == "etcd-quorum"
    machine = machine_of(masters.lab, "master-2")
    assert (machine.power, machine.boot_id) == ("on", boot)
    assert drained(masters.api, "master-2"), "the record says what stands; the way back is an abort"
    driving.abort(masters.settings, "master-2")
    assert untouched(masters.api, "master-2")


def test_a_member_that_fails_after_the_last_plan_is_still_seen(
    masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = planning.look_again

    def fails_after(downtime: Downtime) -> object:
        made = real(downtime)
        if "shut-down" in downtime.record.steps:
            masters.fault("master-3", "etcd-unhealthy")
        return made

    monkeypatch.setattr(planning, "look_again", fails_after)
    with pytest.raises(Blocked) as raised:
        driving.run(masters.settings, "master-2", ACCEPTED["master-2"])
    assert raised.value.code == "etcd-quorum"
    assert "was left alone" in raised.value.message
    assert machine_of(masters.lab, "master-2").power == "on"


def test_health_that_nobody_tells_is_no_health(masters: Masters) -> None:
    for node in NAMES:
        masters.fault(node, "etcd-mute")
    refusal = blocked(masters, "master-1")
    assert refusal.code == "etcd-not-observed"
    assert all(node in refusal.message for node in NAMES), "each one's reason"


@pytest.mark.parametrize(
    ("faults", "asked"),
    [
        ({"master-1": "etcd-mute"}, "master-2"),
        ({"master-1": "ssh-refused"}, "master-2"),
        ({"master-1": "other-machine", "master-2": "etcd-down"}, "master-3"),
        ({"master-1": "crictl-missing"}, "master-1"),
    ],
)
def test_another_host_is_asked_when_one_cannot_be(masters: Masters, faults: dict[str, str], asked: str) -> None:
    for node, fault in faults.items():
        masters.fault(node, fault)
    view = masters.etcd()
    assert view.asked == asked
    assert view.voting == {node: faults.get(node) != "etcd-down" for node in NAMES}
    assert len(view.problems) == NAMES.index(asked)


@pytest.mark.long
def test_a_master_whose_member_does_not_come_back_stays_out(masters: Masters) -> None:
    def fails(step: str, _text: str) -> None:
        if step == "power-on":
            masters.fault("master-1", "etcd-down")

    with pytest.raises(Failed) as raised:
        driving.run(masters.settings, "master-1", ACCEPTED["master-1"], fails)
    assert raised.value.code == "etcd-member-not-back"
    assert "does not answer" in raised.value.message
    assert drained(masters.api, "master-1")
    assert blocked(masters, "master-2").code == "control-plane-one-at-a-time"
    masters.fault("master-1", "etcd-down", present=False)
    assert driving.resume(masters.settings, "master-1").phase == "closed"


@pytest.mark.parametrize("rounds", [5, pytest.param(ROUNDS, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_of_two_masters_that_start_in_the_same_instant_one_goes_ahead(masters: Masters, rounds: int) -> None:
    for number in range(rounds):
        both = [NAMES[number % 3], NAMES[(number + 1) % 3]]
        errors = race([(masters.settings, node) for node in both], [ACCEPTED[node] for node in both])
        refused = [error for error in errors if error is not None]
        assert [error.code for error in refused] == ["control-plane-one-at-a-time"], f"round {number}: {errors}"
        ahead = both[errors.index(None)]
        assert list(fleet_of(masters.api)) == [ahead]
        driving.abort(masters.settings, ahead)


@pytest.mark.long
def test_a_master_that_failed_is_recovered(masters: Masters) -> None:
    power(masters.lab, "master-3", "off")
    recovering.wait_for_ready(masters.api, "master-3", ready=False)
    api = apis.connect(masters.settings.cluster)
    _, plan = planning.plan(api, masters.settings, "master-3", recovering.UNATTENDED)
    assert [one.message for one in plan.warnings if one.code == "etcd-members"] == [
        "2 of 3 members of etcd are healthy, 2 are needed: if one more fails, the cluster's API stops"
    ]
    assert blocked(masters, "master-1").code == "control-plane-one-at-a-time"
    record = recovering.run(masters.settings, "master-3")
    assert record.phase == "closed"
    assert "its member of etcd is healthy (3 of 3 are)" in record.steps["see-back"].proof


@pytest.mark.long
def test_a_master_with_a_dead_kubelet_is_not_shut_down_against_the_quorum(masters: Masters) -> None:
    host = machine_of(masters.lab, "master-1")
    recovering.on_host(masters.settings, host, "systemctl", "stop", "kubelet")
    recovering.wait_for_ready(masters.api, "master-1", ready=False)
    masters.fault("master-2", "etcd-unhealthy")
    stopping = recovering.UNATTENDED.model_copy(
        update={"dead_kubelet": "shut-down", "accept_lost_tolerance": "master-1"}
    )
    with pytest.raises(Blocked) as raised:
        recovering.run(masters.settings, "master-1", stopping)
    assert raised.value.code == "etcd-quorum"
    masters.fault("master-2", "etcd-unhealthy", present=False)

    def fails(step: str, _text: str) -> None:
        if step == "judge-down":
            masters.fault("master-2", "etcd-unhealthy")

    # A member fails once the recovery has begun: asked again right before the machine would be stopped.
    api = apis.connect(masters.settings.cluster)
    start = Start(
        "unplanned",
        "master-1",
        stopping,
        planning.plan(api, masters.settings, "master-1", stopping)[1].recovery,
        driving.WHO,
    )
    with pytest.raises(Blocked) as raised, enter(api, masters.settings, start, fails) as downtime:
        performing.perform_all(downtime)
    assert raised.value.code == "etcd-quorum"
    assert machine_of(masters.lab, "master-1").power == "on"
    recovering.on_host(masters.settings, host, "systemctl", "start", "kubelet")
    recovering.wait_for_ready(masters.api, "master-1", ready=True)
