"""The machine: what must be proven before it goes down, that it is down, and that it is back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cluster.config import Settings
from cluster.errors import Blocked, Failed, Waiting
from lab.api import Api
from lab.layout import Lab
from lab.power import power
from lab.simulated.control import request
from tests.control_plane import driving, recovering
from tests.control_plane.commands import command
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import (
    cordoned,
    drained,
    ending_of,
    fleet_of,
    machine_of,
    record_of,
    untouched,
)

Say = Callable[[str, str], None]


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node().node


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    """Read after the node was made: its address is in it. What does not come about is given up within seconds."""
    return settings_of(
        lab,
        drain={"off_minutes": 3 * SECOND, "back_minutes": 12 * SECOND, "gpu_minutes": 4 * SECOND},
        hosts={"connect_timeout": 1.0},
    )


def fault(lab: Lab, node: str, name: str, *, present: bool = True) -> None:
    request(lab, do="fault", node=node, fault=name, present=present)


def failing(lab: Lab, node: str, name: str, after: str) -> Say:
    """Sets a fault when a step of the run is done (or, for the last words of a step, has said so)."""

    def say(step: str, text: str) -> None:
        if step == after and text != "begins":
            fault(lab, node, name)

    return say


def step_of(api: Api, node: str, step: str) -> dict[str, Any]:
    record = record_of(api, node)
    assert record is not None
    return dict(record["steps"][step])


def is_back(lab: Lab, api: Api, node: str, offs: int = 1) -> None:
    """The downtime is over, with nothing left of it, and the machine went off so many times."""
    assert untouched(api, node)
    ending = ending_of(lab, api, node)
    assert (ending.phase, ending.in_fleet, ending.holder) == ("closed", False, "")
    assert (ending.power, ending.boot_reported) == ("on", True)
    assert machine_of(lab, node).powered_off == offs


@pytest.mark.parametrize(
    ("present", "code"),
    [
        ("other-machine", "host-identity"),
        ("ssh-refused", "host-unreachable"),
        ("ssh-hangs", "host-unreachable"),
        ("sudo-refused", "sudo-refused"),
        ("host-key-changed", "host-key-changed"),
        ("power-unknown", "power-status-unknown"),
    ],
)
def test_machine_that_could_not_be_shut_down_blocks_before_any_change(
    lab: Lab, lab_api: Api, settings: Settings, node: str, present: str, code: str
) -> None:
    fault(lab, node, present)
    with pytest.raises(Blocked) as error:
        driving.run(settings, node)
    assert (error.value.code, error.value.exit_code) == (code, 3)
    assert node in error.value.message
    assert untouched(lab_api, node)
    assert record_of(lab_api, node) is None
    assert node not in fleet_of(lab_api)


@pytest.mark.parametrize(
    ("present", "code"),
    [("other-machine", "host-identity"), ("sudo-refused", "sudo-refused"), ("ssh-refused", "host-unreachable")],
)
def test_machine_that_changes_under_way_is_left_alone(
    lab: Lab, lab_api: Api, settings: Settings, node: str, present: str, code: str
) -> None:
    with pytest.raises(Blocked) as error:
        driving.run(settings, node, UNATTENDED, failing(lab, node, present, "see-gone"))
    assert error.value.code == code
    assert set(error.value.changed) == {"cordon", "taint runai=drain:NoExecute"}
    assert drained(lab_api, node)
    assert machine_of(lab, node).powered_off == 0
    driving.abort(settings, node)
    is_back(lab, lab_api, node, offs=0)


def test_machine_that_ignores_its_shutdown_is_not_called_off(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    fault(lab, node, "poweroff-ignored")
    with pytest.raises(Failed) as error:
        driving.run(settings, node)
    assert (error.value.code, error.value.exit_code) == ("still-on", 1)
    assert step_of(lab_api, node, "see-off")["state"] == "intended"
    assert drained(lab_api, node)
    power(lab, node, "off")
    driving.resume(settings, node)
    is_back(lab, lab_api, node)


def test_machine_with_the_boot_id_that_was_shut_down_is_not_back(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    fault(lab, node, "same-boot-id")
    with pytest.raises(Failed) as error:
        driving.run(settings, node)
    assert (error.value.code, error.value.exit_code) == ("not-back", 1)
    assert "still reports the boot that was shut down" in error.value.message
    assert drained(lab_api, node)
    assert cordoned(lab_api, node)
    fault(lab, node, "same-boot-id", present=False)
    power(lab, node, "reset")
    driving.resume(settings, node)
    is_back(lab, lab_api, node, offs=2)


def test_node_that_lacks_a_gpu_stays_cordoned_until_it_is_there(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    with pytest.raises(Failed) as error:
        driving.run(settings, node, UNATTENDED, failing(lab, node, "gpu-lost", "see-off"))
    assert (error.value.code, error.value.exit_code) == ("gpus-missing", 1)
    assert "7 of 8 nvidia.com/gpu" in error.value.message
    assert cordoned(lab_api, node)
    assert not drained(lab_api, node)
    fault(lab, node, "gpu-lost", present=False)
    driving.resume(settings, node)
    is_back(lab, lab_api, node)


def test_node_whose_gpu_was_removed_on_purpose_comes_back_once_a_person_accepts_fewer(
    lab: Lab, lab_api: Api, settings: Settings, node: str, tmp_path: Path
) -> None:
    with pytest.raises(Failed) as error:
        driving.run(settings, node, UNATTENDED, failing(lab, node, "gpu-lost", "see-off"))
    assert "--accept-gpus N" in error.value.remedy
    refused = command(lab, tmp_path, "resume", node, "--local", "--accept-gpus", "8")
    assert refused.code == 2
    assert "fewer than were recorded: 8 nvidia.com/gpu" in refused.err
    assert cordoned(lab_api, node)
    accepted = command(lab, tmp_path, "resume", node, "--local", "--accept-gpus", "7", "--output", "json")
    assert accepted.code == 0, accepted.err
    is_back(lab, lab_api, node)
    record = recovering.record_of(settings, node)
    assert "7 of 8 nvidia.com/gpu, which is enough, as" in record.steps["see-gpus"].proof
    assert [(one.subject, one.items) for one in record.approvals] == [("gpus", ("nvidia.com/gpu=7",))]
    events = lab_api.items("/api/v1/namespaces/default/events")
    said = [one["message"] for one in events if one["reason"] == "FewerGPUsAccepted"]
    assert any("nvidia.com/gpu=7" in one and "8 nvidia.com/gpu" in one for one in said)


@pytest.mark.parametrize("on_before", [True, False])
def test_person_switches_the_machine_on_before_or_after_saying_so(
    lab: Lab, lab_api: Api, settings: Settings, node: str, on_before: bool
) -> None:
    by_hand = UNATTENDED.model_copy(update={"power_on": "person"})
    with pytest.raises(Waiting) as waiting:
        driving.run(settings, node, by_hand)
    assert (waiting.value.code, waiting.value.exit_code) == ("waiting-for-return", 4)
    assert machine_of(lab, node).power == "off"
    assert node in fleet_of(lab_api), "it is in downtime with no process alive"

    def switch_on(step: str, text: str) -> None:
        if step == "see-back" and text == "begins":
            power(lab, node, "on")

    if on_before:
        power(lab, node, "on")
    driving.resume(settings, node, switch_on)
    is_back(lab, lab_api, node)
    record = record_of(lab_api, node)
    assert record is not None
    assert [(one["subject"], one["answer"], one["who"]) for one in record["approvals"]] == [
        ("return", "done", driving.WHO)
    ]


def test_held_downtime_waits_for_a_person_and_to_resume_is_the_answer(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    with pytest.raises(Waiting):
        driving.run(settings, node, UNATTENDED.model_copy(update={"hold": True}))
    assert machine_of(lab, node).power == "off"
    assert drained(lab_api, node)
    driving.resume(settings, node)
    is_back(lab, lab_api, node)


def test_abort_after_the_shutdown_brings_the_machine_back(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    with pytest.raises(Waiting):
        driving.run(settings, node, UNATTENDED.model_copy(update={"hold": True}))
    driving.abort(settings, node)
    is_back(lab, lab_api, node)
    record = record_of(lab_api, node)
    assert record is not None
    assert record["aborted"] is True


def test_without_a_power_controller_a_silent_machine_is_presumed_off(lab: Lab, lab_api: Api, node: str) -> None:
    settings = settings_of(lab, power={"status": "none"}, hosts={"connect_timeout": 1.0})
    driving.run(settings, node)
    proof = step_of(lab_api, node, "see-off")["proof"]
    assert proof.startswith("presumed off: SSH is silent")
    is_back(lab, lab_api, node)


def test_without_a_power_controller_a_machine_that_still_answers_is_on(
    lab: Lab, lab_api: Api, settings: Settings, node: str
) -> None:
    fault(lab, node, "poweroff-ignored")
    blind = settings.model_copy(update={"power": settings.power.model_copy(update={"status": "none"})})
    with pytest.raises(Failed) as error:
        driving.run(blind, node)
    assert error.value.code == "still-on"
    assert "SSH still answers" in error.value.message
    assert drained(lab_api, node)
