"""Unplanned recovery on a real API server: a node that died, one that came back, and a person's part in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from cluster import api as apis
from cluster.config import Settings
from cluster.errors import Blocked, Failed, Misused, Waiting
from cluster.options import PlannedOptions, UnplannedOptions
from cluster.records import Records
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from lab.simulated.control import request
from lab.simulated.host import Host
from tests.command_line import downtime
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import (
    OUT,
    UNATTENDED,
    WHO,
    accept_flapping,
    confirm_off,
    fail,
    is_there,
    notebook,
    on_host,
    opened,
    record_of,
    resume,
    run,
    settings_of,
    taints,
    untouched,
    wait_for_ready,
)

NO_STATUS = {"power": {"status": "none"}}
BY_PERSON = UNATTENDED.model_copy(update={"power_on": "person"})


@pytest.fixture
def host(make_node: MakeNode) -> Host:
    """A GPU node of this test's own."""
    return make_node()


def test_a_dead_node_is_drained_released_with_proof_and_taken_back(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    record = run(settings_of(lab), host.node)
    assert (record.phase, record.course, record.standing()) == ("closed", "down", ())
    assert "the power controller says off" in record.steps["prove-off"].proof
    assert f"runai-team-a/{stuck['metadata']['name']}" in record.steps["prove-off"].proof
    assert record.found.gpus == {"nvidia.com/gpu": 8}
    assert not is_there(lab_api, stuck)
    assert untouched(lab_api, host.node)


def test_a_node_that_came_back_within_the_grace_is_only_looked_at(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    kept = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, settings_of(lab), host.node, UNATTENDED.model_copy(update={"grace_seconds": 60}))
        until(lambda: opened(settings_of(lab), host.node), seconds=20, what="the record")
        power(lab, host.node, "on")
        record = running.result(100)
    assert (record.phase, record.course, record.changes) == ("closed", "returned", ())
    assert "8 nvidia.com/gpu" in record.steps["see-services"].proof
    assert "nvidia-smi lists 8 GPUs; no Xid error" in record.steps["see-services"].proof
    assert record.found.daemons
    assert is_there(lab_api, kept)
    assert untouched(lab_api, host.node)


@pytest.mark.long
def test_a_node_that_came_back_without_all_its_gpus_is_named_and_not_touched(
    lab: Lab, lab_api: Api, host: Host
) -> None:
    options = UNATTENDED.model_copy(update={"said_down": True})
    assert run(settings_of(lab), host.node, options).found.gpus == {"nvidia.com/gpu": 8}
    fail(lab, lab_api, host)
    request(lab, do="fault", node=host.node, fault="gpu-lost", present=True)
    power(lab, host.node, "on")
    wait_for_ready(lab_api, host.node, ready=True)
    settings = settings_of(lab, drain={"gpu_minutes": 0.1})
    with pytest.raises(Failed, match=r"7 of 8 nvidia\.com/gpu") as raised:
        run(settings, host.node, options)
    assert raised.value.code == "services-missing"
    assert not taints(lab_api, host.node)
    request(lab, do="fault", node=host.node, fault="gpu-lost", present=False)
    request(lab, do="fault", node=host.node, fault="gpu-lost-on-host", present=True)
    with pytest.raises(Failed, match="nvidia-smi lists 7 of 8 GPUs") as raised:
        resume(settings_of(lab), host.node)
    assert raised.value.code == "services-missing"
    assert not taints(lab_api, host.node)
    request(lab, do="fault", node=host.node, fault="gpu-lost-on-host", present=False)
    assert resume(settings_of(lab), host.node).phase == "closed"


def test_without_proof_nothing_is_released_and_what_is_stuck_is_named(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    settings = settings_of(lab, **NO_STATUS)
    with pytest.raises(Waiting, match=stuck["metadata"]["name"]) as raised:
        run(settings, host.node, BY_PERSON)
    assert (raised.value.code, raised.value.exit_code) == ("waiting-for-power-off", 4)
    assert taints(lab_api, host.node) == ["runai"]
    assert is_there(lab_api, stuck)

    with pytest.raises(Misused, match="Type exactly"):
        confirm_off(settings, host.node, "gpu-1")
    with pytest.raises(Waiting):
        resume(settings, host.node)
    assert is_there(lab_api, stuck)

    confirm_off(settings, host.node, host.node)
    with pytest.raises(Waiting) as raised:
        resume(settings, host.node)
    assert raised.value.code == "waiting-for-return"
    assert not is_there(lab_api, stuck)
    assert taints(lab_api, host.node) == ["runai"]

    power(lab, host.node, "on")
    assert resume(settings, host.node).phase == "closed"
    assert untouched(lab_api, host.node)


@pytest.mark.long
def test_a_persons_word_is_taken_again_before_it_is_used_and_does_not_hold_for_ever(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    settings = settings_of(lab, **NO_STATUS)
    with pytest.raises(Waiting):
        run(settings, host.node, BY_PERSON)
    confirm_off(settings, host.node, host.node)
    _a_quarter_of_an_hour_passes(settings, host.node, done=("prove-off",))
    with pytest.raises(Waiting) as raised:
        resume(settings, host.node)
    assert raised.value.code == "waiting-for-power-off"
    assert is_there(lab_api, stuck)
    assert OUT not in taints(lab_api, host.node)


def _a_quarter_of_an_hour_passes(settings: Settings, node: str, done: tuple[str, ...]) -> None:
    """Make the answers of a record older, and say that these steps were done before."""
    api = apis.connect(settings.cluster)
    known = record_of(settings, node)
    old = tuple(one.model_copy(update={"at": one.at - timedelta(minutes=16)}) for one in known.approvals)
    steps = {**known.steps, **dict.fromkeys(done, known.steps["taint"])}
    Records(api).update(node, known.epoch, lambda now: now.model_copy(update={"approvals": old, "steps": steps}))


def test_a_machine_that_answers_is_not_off_whoever_says_so(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    settings = settings_of(lab, **NO_STATUS)
    on_host(settings, host, "systemctl", "stop", "kubelet")
    wait_for_ready(lab_api, host.node, ready=False)
    with pytest.raises(Waiting, match="answers over SSH: it is not off") as raised:
        run(settings, host.node, BY_PERSON)
    assert "--dead-kubelet restart" in raised.value.remedy
    confirm_off(settings, host.node, host.node)
    with pytest.raises(Blocked) as refused:
        resume(settings, host.node)
    assert refused.value.code == "power-mismatch"
    with pytest.raises(Waiting, match="answers over SSH: it is not off"):
        resume(settings, host.node)  # the word was wrong, and stands in the way of nothing else
    assert is_there(lab_api, stuck)
    assert OUT not in taints(lab_api, host.node)


@pytest.mark.long
def test_a_dead_kubelet_is_restarted_if_that_is_chosen_and_nothing_else_is_touched(
    lab: Lab, lab_api: Api, host: Host
) -> None:
    settings = settings_of(lab)
    on_host(settings, host, "systemctl", "stop", "kubelet")
    wait_for_ready(lab_api, host.node, ready=False)
    record = run(settings, host.node, UNATTENDED.model_copy(update={"dead_kubelet": "restart"}))
    assert (record.phase, record.course, record.changes) == ("closed", "returned", ())
    assert untouched(lab_api, host.node)


@pytest.mark.long
def test_a_machine_with_a_dead_kubelet_is_shut_down_if_that_is_chosen_and_comes_back(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    settings = settings_of(lab)
    before = lab_api.get(f"/api/v1/nodes/{host.node}")["status"]["nodeInfo"]["bootID"]
    on_host(settings, host, "systemctl", "stop", "kubelet")
    wait_for_ready(lab_api, host.node, ready=False)
    record = run(settings, host.node, UNATTENDED.model_copy(update={"dead_kubelet": "shut-down"}))
    assert (record.phase, record.standing(), record.gone_boot) == ("closed", (), before)
    assert not is_there(lab_api, stuck)
    assert lab_api.get(f"/api/v1/nodes/{host.node}")["status"]["nodeInfo"]["bootID"] != before
    assert untouched(lab_api, host.node)


def test_a_node_in_planned_maintenance_is_left_alone_with_exit_4(lab: Lab, lab_api: Api, host: Host) -> None:
    settings = settings_of(lab)
    with pytest.raises(Waiting):
        run(settings, host.node, PlannedOptions(interactive="evict", power_on="controller", hold=True))
    before = record_of(settings, host.node)
    wait_for_ready(lab_api, host.node, ready=False)
    with pytest.raises(Waiting, match="planned maintenance") as raised:
        run(settings, host.node)
    assert (raised.value.code, raised.value.exit_code) == ("in-downtime-planned", 4)
    assert record_of(settings, host.node) == before
    assert resume(settings, host.node).phase == "closed"


@pytest.mark.long
def test_a_node_that_keeps_failing_stays_out(lab: Lab, lab_api: Api, host: Host) -> None:
    settings = settings_of(lab)
    said = UNATTENDED.model_copy(update={"said_down": True})
    for _ in range(3):
        assert run(settings, host.node, said).course == "returned"
    with pytest.raises(Waiting, match="came back 4 times") as raised:
        run(settings, host.node, said)
    assert (raised.value.code, raised.value.exit_code) == ("flapping", 4)
    found = lab_api.get(f"/api/v1/nodes/{host.node}")
    assert found["spec"]["unschedulable"]
    assert taints(lab_api, host.node) == []
    assert resume(settings, host.node, abort=True).phase == "closed"
    assert untouched(lab_api, host.node)


@pytest.mark.long
def test_a_node_that_keeps_failing_is_let_in_by_a_person_who_names_it_and_only_this_time(
    lab: Lab, lab_api: Api, host: Host, tmp_path: Path
) -> None:
    settings = settings_of(lab)
    said = UNATTENDED.model_copy(update={"said_down": True})
    for _ in range(3):
        assert run(settings, host.node, said).course == "returned"
    with pytest.raises(Waiting, match=f"decide {host.node} --accept-flapping {host.node}"):
        run(settings, host.node, said)
    with pytest.raises(Waiting):
        resume(settings, host.node)
    with pytest.raises(Misused, match="Type exactly"):
        accept_flapping(settings, host.node, "gpu-1")
    with pytest.raises(Waiting):
        resume(settings, host.node)
    words = ("decide", host.node, "--accept-flapping", host.node, "--who", WHO)
    ended = downtime(tmp_path, *words, DOWNTIME_CONFIG=str(lab.config))
    assert (ended.code, f"Now: downtime resume {host.node}" in ended.out) == (0, True), ended
    record = resume(settings, host.node)
    assert (record.phase, record.aborted, record.standing()) == ("closed", False, ())
    assert f"{WHO} answered accept (flapping: {host.node})" in [one.text for one in record.timeline]
    assert untouched(lab_api, host.node)
    with pytest.raises(Waiting, match="came back 5 times"):
        run(settings, host.node, said)
    assert resume(settings, host.node, abort=True).phase == "closed"


@pytest.mark.long
def test_a_machine_that_comes_back_with_the_boot_that_had_ended_is_not_taken_back(
    lab: Lab, lab_api: Api, host: Host
) -> None:
    request(lab, do="fault", node=host.node, fault="same-boot-id", present=True)
    fail(lab, lab_api, host)
    settings = settings_of(lab, drain={"back_minutes": 0.2})
    with pytest.raises(Failed, match="still reports the boot that was proven to have ended") as raised:
        run(settings, host.node)
    assert raised.value.code == "not-back"
    assert taints(lab_api, host.node) == ["runai"]


@pytest.mark.long
def test_backing_out_of_a_recovery_takes_off_what_was_set(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    settings = settings_of(lab, **NO_STATUS)
    with pytest.raises(Waiting):
        run(settings, host.node, BY_PERSON)
    record = resume(settings, host.node, abort=True)
    assert (record.phase, record.aborted, record.standing()) == ("closed", True, ())
    assert untouched(lab_api, host.node)
    assert is_there(lab_api, stuck)


@pytest.mark.long
def test_power_resets_are_counted_before_they_are_sent_and_end(lab: Lab, lab_api: Api, host: Host) -> None:
    request(lab, do="fault", node=host.node, fault="never-boots", present=True)
    wait_for_ready(lab_api, host.node, ready=False)
    settings = settings_of(lab, drain={"back_minutes": 0.1})
    options = UnplannedOptions(grace_seconds=5, resets=2, power_on="person", hold=True)
    with pytest.raises(Waiting):
        run(settings, host.node, options)
    record = record_of(settings, host.node)
    assert len(record.resets) == 2
    assert record.done("reset")
    request(lab, do="fault", node=host.node, fault="never-boots", present=False)
    wait_for_ready(lab_api, host.node, ready=True)
    assert resume(settings_of(lab), host.node).phase == "closed"
    assert untouched(lab_api, host.node)


@pytest.mark.long
def test_a_reset_that_helps_needs_no_person(lab: Lab, lab_api: Api, host: Host) -> None:
    fail(lab, lab_api, host)
    record = run(settings_of(lab), host.node, UNATTENDED.model_copy(update={"resets": 1}))
    assert (record.phase, len(record.resets)) == ("closed", 1)
    assert "the node is back" in record.steps["reset"].proof
    assert untouched(lab_api, host.node)


@pytest.mark.long
def test_volumes_that_stay_attached_are_released_too(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    fail(lab, lab_api, host)
    attached = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": f"csi-{host.node}"},
        "spec": {"attacher": "csi.test", "nodeName": host.node, "source": {"persistentVolumeName": "pv-1"}},
    }
    lab_api.create("/apis/storage.k8s.io/v1/volumeattachments", attached)
    settings = settings_of(lab, **NO_STATUS)
    with pytest.raises(Waiting, match=f"1 volumes: csi-{host.node}"):
        run(settings, host.node, BY_PERSON)
    confirm_off(settings, host.node, host.node)
    pods = f"/api/v1/pods?fieldSelector=spec.nodeName={host.node}"
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(resume, settings, host.node)
        until(lambda: OUT in taints(lab_api, host.node), seconds=30, what="the out-of-service taint")
        until(lambda: len(lab_api.items(pods)) <= 1, seconds=40, what="the pods to be released")
        assert not going_on.done()
        assert OUT in taints(lab_api, host.node)
        lab_api.delete(f"/apis/storage.k8s.io/v1/volumeattachments/csi-{host.node}")
        with pytest.raises(Waiting) as raised:
            going_on.result(60)
    assert raised.value.code == "waiting-for-return"
    assert OUT not in taints(lab_api, host.node)
