"""GPUs that can all be allocated are not yet well: the machine is looked at, and the node stays out until it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import smoke_pod
from cluster.config import ChecksSettings, Settings
from cluster.downtime import Say
from cluster.errors import Blocked, Failed
from lab.api import Api
from lab.layout import Lab
from lab.simulated.control import request
from tests.control_plane import driving, recovering
from tests.control_plane.commands import command
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import cordoned, drained, machine_of, mark_of, untouched

PODS = "/api/v1/namespaces/runai-downtime/pods"


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node().node


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    return settings_of(lab, drain={"gpu_minutes": 5 * SECOND}, hosts={"connect_timeout": 1.0})


def fault(lab: Lab, node: str, name: str, *, present: bool = True) -> None:
    request(lab, do="fault", node=node, fault=name, present=present)


def refused(settings: Settings, node: str) -> Failed:
    with pytest.raises(Failed) as error:
        driving.resume(settings, node)
    return error.value


def test_node_whose_machine_itself_is_not_well_stays_out_although_all_gpus_can_be_allocated(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    def lose(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            fault(lab, node, "gpu-lost-on-host")

    with pytest.raises(Failed) as error:
        driving.run(settings, node, UNATTENDED, lose)
    assert (error.value.code, error.value.exit_code) == ("gpu-checks-failed", 1)
    third = f"GPU 3 (GPU-{machine_of(lab, node).machine_id[:8]}-0003, PCI 00000000:1B:00.0)"
    assert f"nvidia-smi lists 7 of 8 GPUs; missing: {third} [gpu_count]" in error.value.message
    assert "gpu_count = false" in error.value.remedy
    assert cordoned(lab_api, node)
    assert not drained(lab_api, node)

    fault(lab, node, "gpu-lost-on-host", present=False)
    fault(lab, node, "xid")
    assert f"Xid 79 (GPU has fallen off the bus.) of {third} [xid]" in refused(settings, node).message
    fault(lab, node, "xid", present=False)
    fault(lab, node, "driver-mismatch")
    assert "Driver/library version mismatch" in refused(settings, node).message
    assert cordoned(lab_api, node)

    fault(lab, node, "driver-mismatch", present=False)
    record = driving.resume(settings, node)
    assert untouched(lab_api, node)
    assert record.phase == "closed"
    proof = record.steps["see-gpus"].proof
    for part in ("allocatable as recorded: 8", "beside the device plugin are Ready", "lists 8 GPUs", "no Xid error"):
        assert part in proof


def test_return_of_a_machine_without_nvidia_smi_says_that_it_was_not_looked_at(
    lab: Lab, lab_api: Api, settings: Settings, node: str, tmp_path: Path
) -> None:
    fault(lab, node, "no-nvidia-smi")
    doctor = command(lab, tmp_path, "doctor", "--node", node, "--output", "json")
    assert doctor.code == 0
    said = [line for line in doctor.document["lines"] if line["check"] == f"{node} gpus"]
    assert [line["level"] for line in said] == ["PASS"]
    assert "no nvidia-smi" in said[0]["reason"]
    record = driving.run(settings, node)
    assert untouched(lab_api, node)
    assert "there is no nvidia-smi on the machine: it was not looked at" in record.steps["see-gpus"].proof


def test_node_that_somebody_uncordons_before_its_gpus_were_seen_is_cordoned_again(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    def refuse(step: str, text: str) -> None:
        if step == "see-gone" and text != "begins":
            fault(lab, node, "sudo-refused")
            fault(lab, node, "gpu-lost")

    def uncordon(step: str, text: str) -> None:
        if step == "see-gpus" and text == "begins":
            lab_api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None}})
            # As a process leaves it that was killed, before somebody switched it off.
            of_then = ChecksSettings(smoke_pod="localhost/kube/smoke-waits:1")
            lab_api.create(PODS, smoke_pod.body(node, "killed", 1, "nvidia.com/gpu", of_then))

    with pytest.raises(Blocked):
        driving.run(settings, node, UNATTENDED, refuse)
    with pytest.raises(Failed) as error:
        driving.abort(settings, node, uncordon)
    assert error.value.code == "gpus-missing"
    assert cordoned(lab_api, node)
    assert node in [pod["spec"]["nodeName"] for pod in lab_api.items(PODS)]
    fault(lab, node, "gpu-lost", present=False)
    driving.resume(settings, node)
    assert untouched(lab_api, node)
    assert node not in [pod["spec"]["nodeName"] for pod in lab_api.items(PODS)]
    record = recovering.record_of(settings, node)
    assert "the machine was not restarted: it was not looked at" in record.steps["see-gpus"].proof
    again = f"{node} was uncordoned by somebody else before its GPUs were seen: it was cordoned again"
    assert again in [moment.text for moment in record.timeline]
    events = lab_api.items("/api/v1/namespaces/default/events")
    assert again in [one["message"] for one in events if one["reason"] == "CordonedAgain"]


def uncordoned_by(lab_api: Api, node: str) -> Say:
    """What the GPU operator's driver manager does once it is back: it takes off a cordon that it did not set."""

    def say(step: str, text: str) -> None:
        if step == "see-gpus" and text == "begins":
            lab_api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": None}})

    return say


def test_administrator_s_cordon_that_somebody_takes_off_lets_no_work_onto_a_node_that_lacks_a_gpu(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    def lose(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            fault(lab, node, "gpu-lost")
        uncordoned_by(lab_api, node)(step, text)

    lab_api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})
    with pytest.raises(Failed) as error:
        driving.run(settings, node, UNATTENDED, lose)
    assert error.value.code == "gpus-missing"
    assert "7 of 8 nvidia.com/gpu can be allocated. It stays cordoned" in error.value.message
    assert cordoned(lab_api, node)
    mark = mark_of(lab_api, node)
    assert mark is not None
    assert mark["owns"] == ["cordon"]
    assert "cordon" in error.value.changed
    again = (
        f"{node} was uncordoned by somebody else before its GPUs were seen: it was cordoned again. The cordon before"
    )
    assert any(moment.text.startswith(again) for moment in recovering.record_of(settings, node).timeline)

    fault(lab, node, "gpu-lost", present=False)
    record = driving.resume(settings, node)
    assert untouched(lab_api, node)
    assert {change.what: change.state for change in record.changes}["cordon"] == "undone"
    assert record.steps["uncordon"].proof == "cordon taken off"


def test_error_does_not_say_cordoned_of_a_node_that_somebody_uncordoned_where_the_check_is_switched_off(
    lab: Lab, lab_api: Api, node: str
) -> None:
    settings = settings_of(lab, drain={"gpu_minutes": 4 * SECOND}, checks={"cordon": False})

    def lose(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            fault(lab, node, "gpu-lost")
        uncordoned_by(lab_api, node)(step, text)

    with pytest.raises(Failed) as error:
        driving.run(settings, node, UNATTENDED, lose)
    assert "It is NOT cordoned: somebody took the cordon off, and 'cordon = false' under [checks]" in str(error.value)
    assert "stays cordoned" not in str(error.value)
    assert not cordoned(lab_api, node)
    fault(lab, node, "gpu-lost", present=False)
    driving.resume(settings, node)
    assert untouched(lab_api, node)


def test_smoke_pod_that_fails_keeps_the_node_out_and_says_how_and_none_is_ever_left(
    lab: Lab, lab_api: Api, node: str
) -> None:
    def using(image: str, **more: float) -> Settings:
        return settings_of(lab, checks={"smoke_pod": f"localhost/kube/{image}:1", **more})

    def ours() -> list[str]:
        return [pod["metadata"]["name"] for pod in lab_api.items(PODS) if pod["spec"]["nodeName"] == node]

    made: list[str] = []

    def say(step: str, text: str) -> None:
        if step == "see-gpus" and text.startswith("a pod of"):
            made.append(text)

    with pytest.raises(Failed) as error:
        driving.run(using("smoke-fails"), node, UNATTENDED, say)
    assert error.value.code == "gpu-checks-failed"
    said = "a pod that asks for one nvidia.com/gpu failed: exit code 15, Unable to determine the device handle for GPU0"
    assert said in error.value.message
    assert 'smoke_pod = ""' in error.value.remedy
    assert made == ["a pod of localhost/kube/smoke-fails:1 that asks for one nvidia.com/gpu"]
    assert ours() == []
    assert cordoned(lab_api, node)

    late = refused(using("smoke-waits", smoke_seconds=5.0), node)
    assert "did not end within 5 s: it runs still" in late.message
    assert ours() == []
    assert cordoned(lab_api, node)

    record = driving.resume(using("smoke-ends"), node)
    assert "a pod that asks for one nvidia.com/gpu could use it" in record.steps["see-gpus"].proof
    assert ours() == []
    assert untouched(lab_api, node)
