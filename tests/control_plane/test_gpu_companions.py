"""What GPUs need (DaemonSets' pods, MIG slices) keeps a node out until it is there, or nobody asks for it any more."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.config import Settings
from cluster.errors import Failed
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import IMAGE
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import cordoned, untouched

JSON = dict[str, Any]
STATE = "nvidia.com/mig.config.state"
# More than any machine has.
NOWHERE = "1000"


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node().node


def settings_with(lab: Lab, **checks: Any) -> Settings:
    return settings_of(lab, drain={"gpu_minutes": 8 * SECOND}, checks=checks)


def exporter(namespace: str, node: str) -> JSON:
    """A DaemonSet with a pod on one node, which the drain evicts."""
    labels = {"app": f"exporter-{node}"}
    container = {"name": "exporter", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["lab-work"]}
    pod = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": f"exporter-{node}", "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def asking_for(api: Api, body: JSON, cpus: str | None) -> None:
    """Let the pods of a DaemonSet ask for so many CPUs: too many, and none finds a place."""
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    container = {"name": "exporter", "resources": {"requests": {"cpu": cpus}}}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    api.patch(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}", change, "strategic-merge")


def is_ready(api: Api, body: JSON) -> bool:
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    status = api.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")["status"]
    return int(status.get("numberReady", 0)) == 1


def set_mig(api: Api, node: str, state: str | None) -> None:
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {STATE: state}}})


def refused(settings: Settings, node: str) -> Failed:
    with pytest.raises(Failed) as error:
        driving.resume(settings, node)
    return error.value


def test_exporter_and_run_ai_s_own_daemonset_that_do_not_come_back_keep_the_node_out_by_name(
    lab: Lab, lab_api: Api, node: str, make_object: MakeObject
) -> None:
    ours, theirs = exporter("runai", node), exporter("default", node)
    for body in (ours, theirs):
        make_object(body)
        until(lambda body=body: is_ready(lab_api, body), seconds=30, what="the exporter to be Ready")  # type: ignore[misc]

    def break_them(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            for body in (ours, theirs):
                asking_for(lab_api, body, NOWHERE)

    settings = settings_with(lab, daemons_also=["default/exporter-*"])
    with pytest.raises(Failed) as error:
        driving.run(settings, node, UNATTENDED, break_them)
    assert error.value.code == "gpu-checks-failed"
    named = f"no Ready pod, although there was one: default/exporter-{node}, runai/exporter-{node} [daemons]"
    assert named in error.value.message
    assert "It stays cordoned" in error.value.message
    assert "daemons = false" in error.value.remedy
    assert cordoned(lab_api, node)

    # Who names no other DaemonSets is held up by Run:ai's alone.
    only = refused(settings_with(lab), node).message
    assert f"there was one: runai/exporter-{node} [daemons]" in only

    asking_for(lab_api, ours, None)
    asking_for(lab_api, theirs, None)
    record = driving.resume(settings, node)
    assert "beside the device plugin are Ready" in record.steps["see-gpus"].proof
    assert untouched(lab_api, node)


def test_daemonset_that_does_not_come_back_is_no_hindrance_where_the_check_is_switched_off(
    lab: Lab, lab_api: Api, node: str, make_object: MakeObject
) -> None:
    theirs = exporter("default", node)
    make_object(theirs)
    until(lambda: is_ready(lab_api, theirs), seconds=30, what="the exporter to be Ready")

    def break_it(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            asking_for(lab_api, theirs, NOWHERE)

    record = driving.run(settings_with(lab, daemons=False, daemons_also=["default/*"]), node, UNATTENDED, break_it)
    assert "DaemonSets" not in record.steps["see-gpus"].proof
    assert not is_ready(lab_api, theirs)
    assert untouched(lab_api, node)


def test_gpus_that_are_not_sliced_yet_keep_the_node_out_unless_the_check_is_switched_off(
    lab: Lab, lab_api: Api, node: str
) -> None:
    def slice_them(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            set_mig(lab_api, node, "pending")

    set_mig(lab_api, node, "success")
    with pytest.raises(Failed) as error:
        driving.run(settings_with(lab), node, UNATTENDED, slice_them)
    assert error.value.code == "gpu-checks-failed"
    assert f"the label {STATE} is 'pending', not 'success'" in error.value.message
    assert "[mig]. It stays cordoned" in error.value.message
    assert f"'downtime resume {node}' looks again" in error.value.remedy
    assert "mig = false under [checks]" in error.value.remedy
    assert cordoned(lab_api, node)

    set_mig(lab_api, node, "failed")
    assert f"the label {STATE} is 'failed', not 'success'" in refused(settings_with(lab), node).message
    assert cordoned(lab_api, node)

    record = driving.resume(settings_with(lab, mig=False), node)
    assert "allocatable as recorded: 8" in record.steps["see-gpus"].proof
    assert untouched(lab_api, node)
