"""Permanent removal: a node goes for good, and only a machine that was reset or is proven off loses its Node."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import pytest

from cluster import api as apis
from cluster import performing, planning, power_proof, procedures, proven_off
from cluster.downtime import Start, enter, go_on
from cluster.errors import Blocked, Failed, Misused, Waiting
from cluster.question import Answer, Question
from cluster.records import Records
from cluster.step import perform
from lab import power
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane.conftest import MakeNode
from tests.control_plane.removing import (
    WHO,
    fault,
    host,
    lose_power,
    options_of,
    remove,
    resume,
    see_not_ready,
    settings_of,
    there,
    without_power,
)

OUT = {"joined": False, "kubelet_starts": False, "kubelet_runs": False}


def _out(lab: Lab, node: str) -> dict[str, bool]:
    return {key: host(lab, node)[key] for key in OUT}


def test_live_node_is_drained_reset_and_deleted(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    lab_api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {"rack": "7", "runai/node-pool": "default"}}})
    record = remove(settings_of(lab), node)
    assert not there(lab_api, node)
    assert _out(lab, node) == OUT
    assert record.phase == "closed"
    assert record.standing() == ()
    assert record.kept is not None
    assert record.kept.labels["rack"] == "7"
    assert "runai/node-pool" not in record.kept.labels
    assert record.found.machine_id == host(lab, node)["machine_id"]


def test_restart_after_removal_does_not_bring_the_node_back(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    remove(settings_of(lab), node)
    power.power(lab, node, "reset")
    with pytest.raises(Exception, match="nobody"):
        until(lambda: there(lab_api, node), seconds=5, what="nobody came")


def test_nothing_happens_unless_the_name_was_typed(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    for typed in ("", "gpu-1", f"{node}0"):
        with pytest.raises(Blocked, match="confirm"):
            remove(settings_of(lab), node, confirmed=typed)
    assert not lab_api.get(f"/api/v1/nodes/{node}")["spec"].get("unschedulable")
    assert Records(apis.connect(settings_of(lab).cluster)).read(node) is None


@pytest.mark.long
def test_machine_that_is_off_loses_its_node_without_a_reset(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    lose_power(lab, lab_api, node)
    record = remove(settings_of(lab), node)
    assert not there(lab_api, node)
    assert "the power controller says off" in record.steps["reset-host"].proof
    assert host(lab, node)["resets"] == 0


def test_silent_machine_without_proof_keeps_its_node(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    lose_power(lab, lab_api, node)
    with pytest.raises(Waiting) as raised:
        remove(without_power(lab), node)
    assert raised.value.code == "waiting-for-power-off"
    assert there(lab_api, node)
    with pytest.raises(Waiting):
        resume(without_power(lab), node)
    assert there(lab_api, node)


@pytest.mark.long
def test_persons_word_is_proof_for_fifteen_minutes(
    lab: Lab, lab_api: Api, make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, settings = make_node().node, without_power(lab)
    lose_power(lab, lab_api, node)
    with pytest.raises(Waiting):
        remove(settings, node)
    with go_on(apis.connect(settings.cluster), settings, node) as downtime:
        with pytest.raises(Misused):
            proven_off.confirm(downtime, "gpu-1", "ada")
        proven_off.confirm(downtime, node, "ada")
        given = downtime.record.approvals[-1]
    assert proven_off.words_of(downtime.record, given.at + timedelta(minutes=14, seconds=59)) == given
    assert proven_off.words_of(downtime.record, given.at + timedelta(minutes=15, seconds=1)) is None
    monkeypatch.setattr(power_proof, "VALID", timedelta(0))
    with pytest.raises(Waiting):
        resume(settings, node)
    assert there(lab_api, node)
    monkeypatch.undo()
    resume(settings, node)
    assert not there(lab_api, node)


@pytest.mark.long
def test_machine_that_answers_refutes_a_persons_word(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node, settings = make_node().node, without_power(lab)
    lose_power(lab, lab_api, node)

    def says_off_and_switches_on(question: Question) -> Answer:
        power.power(lab, question.node, "on")
        until(lambda: host(lab, node)["power"] == "on", seconds=5, what="it is off")
        _see_answering(lab, node)
        return Answer("off", "ada")

    with pytest.raises(Blocked) as raised:
        remove(settings, node, says_off_and_switches_on)
    assert raised.value.code == "power-mismatch"
    assert there(lab_api, node)


def _see_answering(lab: Lab, node: str) -> None:
    address = host(lab, node)["address"], host(lab, node)["port"]

    def answers() -> bool:
        with socket.create_connection(address, timeout=1) as connection:
            return connection.recv(4) == b"SSH-"

    until(lambda: _quietly(answers), seconds=10, what="it does not answer")


def _quietly(check: object) -> bool:
    assert callable(check)
    try:
        return bool(check())
    except OSError:
        return False


@pytest.mark.long
def test_unreachable_machine_that_has_power_is_blocked(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    fault(lab, node, "never-boots")
    see_not_ready(lab_api, node)
    with pytest.raises(Blocked) as raised:
        remove(settings_of(lab), node)
    assert raised.value.code == "host-unreachable"
    assert there(lab_api, node)


def test_wrong_address_leaves_the_healthy_machine_alone(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node, other = make_node().node, make_node()
    settings = settings_of(lab)
    addresses = {**settings.hosts.addresses, node: other.reached}
    wrong = settings_of(lab, hosts={"addresses": addresses, "connect_timeout": 1.0})
    with pytest.raises(Blocked) as raised:
        remove(wrong, node)
    assert raised.value.code == "host-identity"
    # The address goes wrong after the plan was made: the machine is asked again before it is reset.
    fault(lab, node, "reset-fails")
    with pytest.raises(Failed):
        remove(settings, node)
    with pytest.raises(Blocked) as raised:
        resume(wrong, node)
    assert raised.value.code == "host-identity"
    assert there(lab_api, node)
    assert there(lab_api, other.node)
    healthy = host(lab, other.node)
    assert (healthy["resets"], healthy["joined"], healthy["kubelet_starts"]) == (0, True, True)


@pytest.mark.long
def test_reset_that_failed_is_done_again_even_after_a_restart(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    fault(lab, node, "reset-fails")
    with pytest.raises(Failed) as raised:
        remove(settings_of(lab), node)
    assert raised.value.code == "remote-command-failed"
    assert there(lab_api, node)
    # Its kubelet is disabled, so the Node goes on telling the boot of before: the machine id proves it.
    power.power(lab, node, "reset")
    fault(lab, node, "reset-fails", present=False)
    _see_answering(lab, node)
    resume(settings_of(lab), node)
    assert not there(lab_api, node)
    assert _out(lab, node) == OUT


def test_backing_out_is_refused_once_the_reset_was_begun(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    fault(lab, node, "reset-fails")
    with pytest.raises(Failed):
        remove(settings_of(lab), node)
    with pytest.raises(Blocked) as raised:
        resume(settings_of(lab), node, abort=True)
    assert raised.value.code == "cannot-abort"
    record = Records(apis.connect(settings_of(lab).cluster)).open_of(node)
    assert record is not None
    assert not record.aborted


@pytest.mark.long
def test_backing_out_before_the_reset_undoes_cordon_and_taint(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node, settings = make_node().node, settings_of(lab)
    api, options = apis.connect(settings.cluster), options_of(node)
    _, plan = planning.plan(api, settings, node, options)
    with enter(api, settings, Start("remove", node, options, plan.recovery, WHO)) as downtime:
        for name in ("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone", "save"):
            perform(downtime, procedures.table("remove")[name])
    assert lab_api.get(f"/api/v1/nodes/{node}")["spec"]["unschedulable"]
    record = resume(settings, node, abort=True)
    assert (record.aborted, record.phase) == (True, "closed")
    found = lab_api.get(f"/api/v1/nodes/{node}")
    assert not found["spec"].get("unschedulable")
    assert not [one for one in found["spec"].get("taints") or () if one["key"] == "runai"]
    assert host(lab, node)["resets"] == 0


@pytest.mark.long
def test_reset_that_sudo_forbids_is_said_before_anything_is_changed(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    node = make_node().node
    fault(lab, node, "sudo-refused")
    with pytest.raises(Blocked) as raised:
        remove(settings_of(lab), node)
    assert raised.value.code == "sudo-refused"
    assert not lab_api.get(f"/api/v1/nodes/{node}")["spec"].get("unschedulable")


@pytest.mark.long
def test_node_that_registers_itself_again_is_reset_and_deleted_again(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    node = make_node().node
    lose_power(lab, lab_api, node)
    slow = settings_of(lab, removal={"away_seconds": 60.0, "reset_seconds": 10.0})

    def comes_back(step: str, text: str) -> None:
        if (step, text) == ("see-away", "begins"):
            power.power(lab, node, "on")

    api, options = apis.connect(slow.cluster), options_of(node)
    _, plan = planning.plan(api, slow, node, options)
    with (
        pytest.raises(Failed) as raised,
        enter(api, slow, Start("remove", node, options, plan.recovery, WHO), comes_back) as downtime,
    ):
        performing.perform_all(downtime)
    assert raised.value.code == "came-back"
    assert there(lab_api, node)
    _see_answering(lab, node)
    record = resume(settings_of(lab), node)
    assert record.phase == "closed"
    assert not there(lab_api, node)
    assert _out(lab, node) == OUT


@pytest.mark.long
def test_record_of_a_removal_is_kept_until_the_rejoin(lab: Lab, make_node: MakeNode) -> None:
    node = make_node().node
    remove(settings_of(lab), node)
    records = Records(apis.connect(settings_of(lab).cluster))
    removal = records.closed_of(node)[0]
    for number in range(14):
        one = removal.model_copy(
            update={
                "id": f"2030010100000{number:x}-abcdef",
                "procedure": "planned",
                "phase": "admitted",
                "options": {},
                "kept": None,
                "opened": datetime.now(UTC),
            }
        )
        records.open(one, lambda: None)
        records.update(node, one.epoch, lambda old: old.model_copy(update={"phase": "closed"}))
    kept = records.closed_of(node)
    assert removal.id in {one.id for one in kept}
    assert len(kept) <= 12
