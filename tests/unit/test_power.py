"""Power by commands: only the word "off" of a command that succeeded proves that a machine is off."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cluster.config import PowerSettings
from cluster.errors import Blocked, Failed, Misused, Waiting
from cluster.hosts import Host
from cluster.masking import MASK, Masker
from cluster.power import Power, PowerStatus, controller, wait_for_status

HOST = Host("gpu-1", "10.0.0.7")


def by_shell(script: str, *, timeout: float = 20, masker: Masker | None = None) -> Power:
    """A controller whose four commands are this script; $1 is the action."""
    command = {action: ["sh", "-c", script, "sh", action] for action in ("on", "off", "reset", "status")}
    settings = {"off": "command", "on": "command", "status": "command", "command": {**command, "timeout": timeout}}
    return controller(PowerSettings.model_validate(settings), masker or Masker())


@pytest.mark.parametrize(("printed", "state"), [("on", "on"), ("off", "off"), (" off\n\n", "off")])
def test_the_words_on_and_off_are_understood(printed: str, state: str) -> None:
    assert by_shell(f"printf '{printed}'").status(HOST) == PowerStatus(state)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo OFF", "neither on nor off"),
        ("echo off; echo on", "neither on nor off"),
        ("echo Chassis Power is off", "neither on nor off"),
        ("true", "neither on nor off"),
        ("echo off >&2", "neither on nor off"),
        ("echo off; exit 1", "exited with 1"),
        ("echo off; echo no BMC >&2; exit 3", "no BMC"),
        ("echo off; kill -9 $$", "signal 9"),
        ("printf 'off\\000'", "neither on nor off"),
        ("printf 'off\\377'", "neither on nor off"),
    ],
)
def test_anything_else_is_unknown_and_says_why(script: str, words: str) -> None:
    status = by_shell(script).status(HOST)
    assert status.state == "unknown"
    assert words in status.reason


def test_a_status_command_that_hangs_is_unknown_in_time_and_is_killed_whole(tmp_path: Path) -> None:
    # A child in the background holds the outputs open: waiting for their end would wait for it.
    script = f"sleep 300 & echo $! > {tmp_path / 'child'}; echo off; wait"
    began = time.monotonic()
    status = by_shell(script, timeout=0.5).status(HOST)
    assert (status.state, "within 0.5 s" in status.reason) == ("unknown", True)
    assert time.monotonic() - began < 10
    assert gone(int((tmp_path / "child").read_text()))


def test_a_command_that_leaves_something_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    script = f"sleep 300 & echo $! > {tmp_path / 'child'}; echo off"
    assert by_shell(script, timeout=30).status(HOST).state == "off"
    assert time.monotonic() - began < 10
    os.kill(int((tmp_path / "child").read_text()), 9)


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_status_command_that_cannot_be_started_is_unknown() -> None:
    settings = PowerSettings.model_validate({"status": "command", "command": {"status": ["no-such-program"]}})
    status = controller(settings, Masker()).status(HOST)
    assert (status.state, "could not be started" in status.reason) == ("unknown", True)


def test_without_a_controller_the_state_is_unknown() -> None:
    assert controller(PowerSettings(), Masker()).status(HOST).state == "unknown"


def test_node_and_address_are_put_in_once_and_without_a_shell(tmp_path: Path) -> None:
    items = ["{node}", "x={address};{node}", "$(touch canary)", "{}", "{ node }", "a b", "{{node}}"]
    command = {"on": ["sh", "-c", f'printf "%s\\n" "$@" > {tmp_path / "seen"}', "sh", *items]}
    power = controller(PowerSettings.model_validate({"on": "command", "command": command}), Masker())
    power.on(Host("gpu-1", "{node}"))
    assert (tmp_path / "seen").read_text().splitlines() == [
        "gpu-1", "x={node};gpu-1", "$(touch canary)", "{}", "{ node }", "a b", "{gpu-1}",
    ]  # fmt: skip


def test_each_action_runs_its_own_command(tmp_path: Path) -> None:
    power = by_shell(f'echo "$1" >> {tmp_path / "log"}')
    power.off_command(HOST)
    power.on(HOST)
    power.reset(HOST)
    assert (tmp_path / "log").read_text().split() == ["off", "on", "reset"]


def test_commands_get_no_input() -> None:
    by_shell("read x && exit 1; exit 0", timeout=20).on(HOST)


def test_a_failing_command_is_an_error_that_masks_secrets() -> None:
    masker = Masker()
    masker.register("hunter2")
    with pytest.raises(Failed) as caught:
        by_shell("echo login hunter2 rejected >&2; exit 4", masker=masker).on(HOST)
    assert caught.value.code == "power-command-failed"
    assert f"exited with 4: login {MASK} rejected" in caught.value.message


def test_a_status_that_is_unknown_masks_secrets_in_its_reason() -> None:
    masker = Masker()
    masker.register("hunter2")
    for script in ("echo hunter2", "echo hunter2 >&2; exit 1"):
        assert "hunter2" not in by_shell(script, masker=masker).status(HOST).reason


def test_a_command_that_hangs_is_stopped_and_said_to_be_uncertain() -> None:
    with pytest.raises(Failed, match=r"within 0\.3 s") as caught:
        by_shell("sleep 60", timeout=0.3).reset(HOST)
    assert caught.value.code == "power-command-timeout"


def test_a_command_that_cannot_be_started_changes_nothing() -> None:
    settings = PowerSettings.model_validate({"on": "command", "command": {"on": ["/no/such/program"]}})
    with pytest.raises(Blocked, match="No such file") as caught:
        controller(settings, Masker()).on(HOST)
    assert caught.value.code == "power-command-missing"


def test_a_person_is_waited_for() -> None:
    with pytest.raises(Waiting, match="gpu-1") as caught:
        controller(PowerSettings(), Masker()).on(HOST)
    assert caught.value.code == "power-on-by-person"
    assert "downtime resume gpu-1" in caught.value.remedy


def test_what_is_not_configured_is_refused() -> None:
    power = controller(PowerSettings(), Masker())
    with pytest.raises(Misused) as caught:
        power.off_command(HOST)
    assert caught.value.code == "no-power-off-command"
    with pytest.raises(Misused) as caught:
        power.reset(HOST)
    assert caught.value.code == "no-power-command"


@pytest.mark.parametrize("action", ["off", "on", "status"])
def test_redfish_is_refused_as_not_built(action: str) -> None:
    with pytest.raises(Misused, match="not built yet"):
        controller(PowerSettings.model_validate({action: "redfish"}), Masker())


def test_waiting_for_a_status_ends_as_soon_as_it_is_there(tmp_path: Path) -> None:
    count = tmp_path / "count"
    script = f'echo x >> {count}; [ "$(wc -l < {count})" -ge 3 ] && echo off || echo on'
    assert wait_for_status(by_shell(script), HOST, "off", 30) == PowerStatus("off")
    assert len(count.read_text().split()) == 3


def test_waiting_for_a_status_ends_at_the_deadline_with_what_was_seen_last() -> None:
    began = time.monotonic()
    assert wait_for_status(by_shell("echo on"), HOST, "off", 0.5) == PowerStatus("on")
    assert 0.5 <= time.monotonic() - began < 10
    assert wait_for_status(by_shell("exit 9"), HOST, "off", 0).reason.startswith("the status command exited with 9")
