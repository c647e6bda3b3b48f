"""Commands over a real SSH server: what arrives, what comes back, and that nobody waits for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.errors import Blocked, Failed
from cluster.masking import MASK, Masker
from cluster.ssh import Ssh
from tests.unit import sshd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.started(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(server: sshd.Sshd) -> Iterator[Ssh]:
    with Ssh(server.host, server.settings(), Masker()) as ssh:
        yield ssh


@pytest.fixture
def ssh(server: sshd.Sshd) -> Iterator[Ssh]:
    with Ssh(server.host, server.settings(), Masker()) as ssh:
        yield ssh


NASTY = [
    "; touch CANARY",
    "$(touch CANARY)",
    "`touch CANARY`",
    "a && touch CANARY",
    'it\'s "quoted"',
    "two  spaces",
    "",
    "*",
    "~",
    "line\nbreak",
    "\\",
    "!!",
    "-n",
    "ünï•",
]


@pytest.mark.parametrize("argument", NASTY)
def test_an_argument_arrives_literally_and_runs_nothing(shared: Ssh, tmp_path: Path, argument: str) -> None:
    canary = tmp_path / "canary"
    argument = argument.replace("CANARY", str(canary))
    assert shared.run(("printf", "%s|", argument, "end")).stdout == f"{argument}|end|"
    assert not canary.exists()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), min_size=1, max_size=4))
def test_any_arguments_arrive_literally(shared: Ssh, arguments: list[str]) -> None:
    assert shared.run(("printf", "%s\\0", *arguments)).stdout.split("\0")[:-1] == arguments


def test_a_nul_character_is_no_argument(shared: Ssh) -> None:
    with pytest.raises(ValueError, match="NUL"):
        shared.run(("printf", "a\0b"))


def test_exit_code_and_both_outputs_come_back(shared: Ssh) -> None:
    output = shared.run(("sh", "-c", "echo out; echo err >&2; exit 7"), check=False)
    assert (output.exit_code, output.stdout, output.stderr) == (7, "out\n", "err\n")


def test_a_failing_command_is_an_error_with_what_it_said(shared: Ssh) -> None:
    with pytest.raises(Failed, match="exited with 3: no such disk") as caught:
        shared.run(("sh", "-c", "echo no such disk >&2; exit 3"))
    assert caught.value.code == "remote-command-failed"


def test_a_command_that_reads_its_input_sees_its_end(shared: Ssh) -> None:
    assert shared.run(("cat",), timeout=10).stdout == ""
    assert shared.run(("cat",), timeout=10, stdin="one\ntwo").stdout == "one\ntwo"


def test_input_that_nobody_reads_does_no_harm(shared: Ssh) -> None:
    assert shared.run(("true",), stdin="x" * 500_000).exit_code == 0


def test_output_without_end_is_cut_and_characters_stay_whole(shared: Ssh) -> None:
    output = shared.run(("sh", "-c", "yes äöü | head -c 4000000; yes | head -c 4000000 >&2"), timeout=50)
    assert len(output.stdout) == 256 * 1024
    assert set(output.stdout) == set("äöü\n")
    assert len(output.stderr) == 256 * 1024


def test_a_registered_secret_and_a_token_are_masked_in_outputs_and_errors(server: sshd.Sshd) -> None:
    masker = Masker()
    masker.register("hush-hush-42")
    with Ssh(server.host, server.settings(), masker) as ssh:
        output = ssh.run(("sh", "-c", "echo hush-hush-42; echo abcdef.0123456789abcdef >&2"))
        assert (output.stdout, output.stderr) == (f"{MASK}\n", f"{MASK}\n")
        with pytest.raises(Failed) as caught:
            ssh.run(("sh", "-c", "echo wrong hush-hush-42 >&2; exit 1"))
    assert "hush" not in str(caught.value)


def test_a_timeout_stops_waiting_and_the_session_can_still_be_used(ssh: Ssh) -> None:
    began = time.monotonic()
    with pytest.raises(Failed, match=r"did not end within 0\.5 s") as caught:
        ssh.run(("sleep", "30"), timeout=0.5)
    assert caught.value.code == "remote-command-timeout"
    assert time.monotonic() - began < 5
    assert ssh.run(("echo", "again")).stdout == "again\n"


def test_a_command_that_writes_without_end_is_stopped_by_its_timeout(ssh: Ssh) -> None:
    began = time.monotonic()
    with pytest.raises(Failed, match="did not end within"):
        ssh.run(("yes",), timeout=0.5)
    assert time.monotonic() - began < 10


def test_a_machine_that_freezes_does_not_freeze_us(ssh: Ssh) -> None:
    session = int(ssh.run(("sh", "-c", "echo $PPID")).stdout)
    os.kill(session, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Failed, match="did not end within"):
            ssh.run(("true",), timeout=0.5)
        assert time.monotonic() - began < 5
    finally:
        os.kill(session, signal.SIGCONT)


def test_a_connection_that_breaks_meanwhile_is_said_to_be_lost(ssh: Ssh) -> None:
    with pytest.raises(Blocked) as caught:
        ssh.run(("sh", "-c", "kill -9 $PPID; sleep 20"), timeout=10, check=False)
    assert caught.value.code == "ssh-lost"


def test_a_connection_that_broke_before_is_said_to_be_lost(ssh: Ssh) -> None:
    """It is not made again in silence: that might be another boot than the one that was looked at."""
    with pytest.raises(Blocked):
        ssh.run(("sh", "-c", "kill -9 $PPID; sleep 20"), timeout=10)
    with pytest.raises(Blocked) as caught:
        ssh.run(("true",))
    assert caught.value.code == "ssh-lost"


def test_a_command_ended_by_a_signal_is_not_a_lost_connection(ssh: Ssh) -> None:
    assert ssh.run(("sh", "-c", "kill -9 $$"), check=False).exit_code == -1
    with pytest.raises(Failed, match="was ended by a signal"):
        ssh.run(("sh", "-c", "kill -9 $$"))


def test_boot_id_machine_id_and_host_name_are_read_from_the_machine(shared: Ssh) -> None:
    assert shared.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert shared.host_name() == os.uname().nodename
    machine_id = Path("/etc/machine-id")
    if machine_id.exists() and machine_id.read_text().strip():
        assert shared.machine_id() == machine_id.read_text().strip()
    else:
        with pytest.raises(Blocked, match="machine id") as caught:
            shared.machine_id()
        assert caught.value.code == "no-machine-id"


def test_a_short_secret_that_is_part_of_a_boot_id_is_masked_where_it_is_shown_and_keeps_no_machine_unknown(
    server: sshd.Sshd,
) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    masker = Masker()
    masker.register(boot[4:7])
    with Ssh(server.host, server.settings(), masker) as ssh:
        assert ssh.boot_id() == boot
        output = ssh.run(("cat", "/proc/sys/kernel/random/boot_id"))
    assert boot not in output.stdout
    assert MASK in output.stdout
    assert boot not in repr(output)
    assert output.raw.strip() == boot


def test_a_boot_id_that_is_none_is_refused(shared: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, content in enumerate(["", "Welcome to gpu-7\n", "0a1b2c3d\n"]):
        (tmp_path / str(number)).write_text(content)
        monkeypatch.setattr("cluster.ssh.BOOT_ID", str(tmp_path / str(number)))
        printed = f'"{content.strip()}"' if content else "nothing"
        with pytest.raises(
            Blocked, match=f"does not tell its boot id: .* exited with 0 and printed {printed}"
        ) as caught:
            shared.boot_id()
        assert caught.value.code == "no-boot-id"


def test_the_start_files_of_whoever_runs_the_tests_are_not_read(shared: Ssh, server: sshd.Sshd) -> None:
    assert shared.run(("sh", "-c", "echo $HOME")).stdout == f"{server.folder / 'home'}\n"


def test_outside_of_with_nothing_runs(server: sshd.Sshd) -> None:
    with pytest.raises(ValueError, match="with"):
        Ssh(server.host, server.settings(), Masker()).run(("true",))


def test_ssh_is_loaded_only_when_it_is_used() -> None:
    script = (
        "import sys, cluster.ssh, cluster.ssh_probe, cluster.config, cluster.power;"
        "print([name for name in ('fabric', 'paramiko', 'kubernetes', 'prefect') if name in sys.modules])"
    )
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
