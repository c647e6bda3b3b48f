"""What can happen between the drain and the shutdown: the machine goes down only drained, and is told to once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster import config
from cluster.config import DrainSettings, Settings
from cluster.errors import Blocked, DowntimeError
from cluster.options import PlannedOptions
from cluster.ssh import Ssh
from lab.api import Api
from lab.layout import Lab
from lab.runai.workloads import Work, bare_pod
from lab.simulated.control import request
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.protocol_states import machine_of, node_of, record_of, untouched

SETTLED_MINUTES = 0.15


@pytest.fixture
def node(make_node: MakeNode) -> str:
    """A node with a machine of its own."""
    return make_node().node


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    """The lab's configuration, which names the node's address, with short deadlines."""
    short = DrainSettings(off_minutes=SETTLED_MINUTES, back_minutes=1, gpu_minutes=1, eviction_minutes=1)
    return config.load(lab.config).model_copy(update={"drain": short})


def at(step: str, act: Callable[[], Any], *, text: str = "") -> Callable[[str, str], None]:
    """Interferes once, when this step tells something that contains the text."""
    left = [act]

    def say(told: str, what: str) -> None:
        if told == step and text in what and left:
            left.pop()()

    return say


def state_of(record: dict[str, Any] | None, step: str) -> str:
    assert record is not None
    return str(record["steps"].get(step, {}).get("state", ""))


def shutdown_of(record: dict[str, Any] | None) -> str:
    assert record is not None
    return next((str(one["state"]) for one in record.get("changes", ()) if one["what"] == "shutdown"), "")


def test_a_node_that_was_put_back_into_service_by_hand_is_not_shut_down(
    lab: Lab, lab_api: Api, settings: Settings, node: str, make_object: MakeObject
) -> None:
    def interfere() -> None:
        body = {"spec": {"taints": None, "unschedulable": None}}
        lab_api.patch(f"/api/v1/nodes/{node}", body)
        pod = bare_pod(f"late-{node}", Work(gpus=0))
        pod["spec"]["nodeName"] = node
        make_object(pod)

    with pytest.raises(Blocked) as caught:
        driving.run(settings, node, say=at("see-gone", interfere, text="no pod left that must go;"))
    assert caught.value.code == "taint-changed"
    assert machine_of(lab, node).powered_off == 0
    assert shutdown_of(record_of(lab_api, node)) == ""


def test_pods_bound_after_the_drain_are_seen_gone_before_the_shutdown(
    lab: Lab, lab_api: Api, settings: Settings, node: str, make_object: MakeObject
) -> None:
    left: list[list[str]] = []

    def pods() -> list[str]:
        here = lab_api.items(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}")
        return [one["metadata"]["name"] for one in here if one["metadata"]["name"].startswith("late-")]

    def interfere() -> None:
        pod = bare_pod(f"late-{node}", Work(gpus=0, grace_seconds=2))
        pod["spec"]["nodeName"] = node
        pod["spec"]["tolerations"] = [
            {"key": "runai", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
        ]
        make_object(pod)
        assert pods()

    late = at("see-gone", interfere, text="no pod left that must go;")

    def say(step: str, what: str) -> None:
        late(step, what)
        if step == "shut-down" and what != "begins":
            left.append(pods())

    driving.run(settings, node, say=say)
    assert left == [[]], "the machine was told to shut down while a pod was on it"


def test_a_node_that_was_made_anew_is_not_shut_down(lab: Lab, lab_api: Api, settings: Settings, node: str) -> None:
    def interfere() -> None:
        old = node_of(lab_api, node)
        lab_api.delete(f"/api/v1/nodes/{node}")
        kept = {key: old["metadata"][key] for key in ("name", "labels", "annotations")}
        lab_api.create("/api/v1/nodes", {**old, "metadata": kept})

    with pytest.raises(Blocked) as caught:
        driving.run(settings, node, say=at("see-gone", interfere, text="no pod left that must go;"))
    assert caught.value.code == "node-recreated"
    assert machine_of(lab, node).powered_off == 0


def test_a_machine_that_restarts_right_before_the_shutdown_is_not_called_shut_down(
    lab: Lab, lab_api: Api, settings: Settings, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Ssh.power_off

    def restarted_first(ssh: Ssh, boot_id: str, timeout: float = 30) -> Any:
        return send(ssh, "00000000-0000-4000-8000-000000000000", timeout)

    with monkeypatch.context() as patch:
        patch.setattr(Ssh, "power_off", restarted_first)
        with pytest.raises(Blocked) as caught:
            driving.run(settings, node)
    assert caught.value.code == "other-boot"
    assert shutdown_of(record_of(lab_api, node)) == "undone", "nothing was sent, and the record says so"
    driving.resume(settings, node)
    assert machine_of(lab, node).powered_off == 1
    assert untouched(lab_api, node)


def test_abort_of_a_shutdown_that_was_refused_needs_no_restart(
    lab: Lab, lab_api: Api, settings: Settings, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Ssh.power_off

    def refused(ssh: Ssh, boot_id: str, timeout: float = 30) -> Any:
        request(lab, do="fault", node=node, fault="sudo-refused", present=True)
        return send(ssh, boot_id, timeout)

    monkeypatch.setattr(Ssh, "power_off", refused)
    with pytest.raises(Blocked) as caught:
        driving.run(settings, node)
    assert caught.value.code == "sudo-refused"
    driving.abort(settings, node)
    assert machine_of(lab, node).powered_off == 0
    assert untouched(lab_api, node)


@pytest.mark.timeout(120)
def test_abort_after_a_crash_before_the_shutdown_was_sent_ends_without_a_restart(
    lab: Lab, lab_api: Api, settings: Settings, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_ssh: Ssh, _boot_id: str, _timeout: float = 30) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Ssh, "power_off", killed)
    with pytest.raises(KeyboardInterrupt):
        driving.run(settings, node, PlannedOptions(interactive="evict", power_on="person", hold=True))
    assert shutdown_of(record_of(lab_api, node)) == "intended"
    final = driving.abort(settings, node)
    assert final.aborted
    assert machine_of(lab, node).powered_off == 0
    assert untouched(lab_api, node)


def test_a_power_controller_that_says_off_of_a_machine_that_answers_is_not_believed(
    lab: Lab, lab_api: Api, settings: Settings, node: str, tmp_path: Path
) -> None:
    word = tmp_path / "word"
    word.write_text("on\n")
    status = [sys.executable, "-c", f"print(open({str(word)!r}).read())"]
    command = settings.power.command.model_copy(update={"status": status})
    lying = settings.model_copy(update={"power": settings.power.model_copy(update={"command": command})})

    def lie() -> None:
        word.write_text("off\n")

    with pytest.raises(DowntimeError) as caught:
        driving.run(lying, node, say=at("see-gone", lie, text="no pod left that must go;"))
    assert caught.value.code == "power-mismatch"
    assert state_of(record_of(lab_api, node), "shut-down") != "done"
    assert machine_of(lab, node).powered_off == 0
