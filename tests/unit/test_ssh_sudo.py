"""Becoming root, and shutting down: over a real SSH server, with scripts in the place of sudo and systemctl.

The sentences are those that sudo 1.9.13 printed in trials; real sudo is used against the lab's hosts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import Blocked, Failed
from cluster.masking import Masker
from cluster.ssh import BOOT_ID, Ssh
from cluster.sudo import refusal, with_password, without_password
from tests.unit import sshd

# Takes the options apart as sudo does; asks for the password PASSWORD unless it is "".
SUDO = """
mode=
while [ "$1" != "--" ]; do
  case "$1" in -n) mode=never;; -S) mode=input;; -p) shift;; -l) list=yes;; esac; shift
done
shift
case "$1" in forbidden) echo "Sorry, user ops is not allowed to execute '/bin/$1' as root on gpu-7." >&2; exit 1;; esac
if [ -n "PASSWORD" ]; then
  [ "$mode" = never ] && { echo "sudo: a password is required" >&2; exit 1; }
  IFS= read -r given
  [ "$given" = "PASSWORD" ] || {
    printf 'Sorry, try again.\\n\\nsudo: no password was provided\\nsudo: 1 incorrect password attempt\\n' >&2; exit 1
  }
fi
[ -n "$list" ] && { command -v "$1"; exit; }
exec "$@"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.started(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def session(server: sshd.Sshd, password: str = "", configured: Path | None = None) -> Ssh:
    server.program("sudo", SUDO.replace("PASSWORD", password))
    reference = {"file": configured} if configured else None
    return Ssh(server.host, server.settings(sudo_password=reference), Masker())


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        ("sudo: a password is required\n", "password"),
        ("sudo: unable to resolve host vm: Name or service not known\nsudo: a password is required\n", "password"),
        ("sudo: a terminal is required to read the password; either use the -S option\n", "password"),
        ("sudo: interactive authentication is required\n", "password"),
        ("Sorry, try again.\n\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n", "wrong-password"),
        ("ops is not in the sudoers file.\n", "not-allowed"),
        ("Sorry, user ops is not allowed to execute '/usr/bin/id' as root on gpu-7.\n", "not-allowed"),
        ("sudo: sorry, you must have a tty to run sudo\n", "tty"),
        ("sudo: you must have a tty to run sudo\n", "tty"),
        ("sudo: nosuch: command not found\n", None),
        ("cat: /srv/x: No such file or directory\n", None),
        ("", None),
    ],
)
def test_sudo_saying_no_is_told_from_the_command_failing(stderr: str, why: str | None) -> None:
    assert refusal(1, stderr) == why
    assert refusal(0, stderr) is None
    assert refusal(2, stderr) is None


@pytest.mark.parametrize(
    "stderr", ["env: ‘sudo’: No such file or directory\n", "env: 'sudo': No such file or directory\n"]
)
def test_a_machine_without_sudo_is_recognised(stderr: str) -> None:
    assert refusal(127, stderr) == "missing"


def test_the_command_comes_after_the_end_of_sudos_options() -> None:
    for argv in (without_password(("-l", "x")), with_password(("-l", "x"))):
        assert argv[-3:] == ("--", "-l", "x")


def test_a_remembered_password_is_not_used_since_the_line_with_it_would_reach_the_command() -> None:
    assert "-k" in with_password(("true",))


def test_without_a_password_the_command_gets_its_own_input(server: sshd.Sshd) -> None:
    with session(server) as ssh:
        assert ssh.run(("cat",), sudo=True, stdin="mine\n").stdout == "mine\n"


def test_a_configured_password_that_is_not_asked_for_never_reaches_the_command(
    server: sshd.Sshd, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("hush hush\n")
    with session(server, "", tmp_path / "password") as ssh:
        assert ssh.run(("cat",), sudo=True, stdin="mine\n").stdout == "mine\n"


def test_a_password_goes_through_the_input_and_the_rest_to_the_command(server: sshd.Sshd, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush hush\n")
    with session(server, "hush hush", tmp_path / "password") as ssh:
        assert ssh.run(("cat",), sudo=True, stdin="mine\n").stdout == "mine\n"
        shown = ssh.run(("sh", "-c", "cat /proc/$$/cmdline /proc/$PPID/cmdline; echo hush hush"), sudo=True).stdout
        assert "hush hush" not in shown.replace("echo •••", "")
        ssh.sudo_works(("true",))


def test_a_password_that_is_asked_for_and_not_configured_is_refused(server: sshd.Sshd) -> None:
    with session(server, "hush") as ssh, pytest.raises(Blocked) as caught:
        ssh.run(("true",), sudo=True)
    assert caught.value.code == "sudo-refused"
    assert "NOPASSWD" in caught.value.remedy
    assert "sudo_password" in caught.value.remedy


def test_a_wrong_password_is_refused_and_not_shown(server: sshd.Sshd, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong-one\n")
    with session(server, "right-one", tmp_path / "password") as ssh, pytest.raises(Blocked) as caught:
        ssh.run(("true",), sudo=True, timeout=10)
    assert (caught.value.code, "was not accepted" in caught.value.message) == ("sudo-refused", True)
    assert "one" not in caught.value.message


def test_a_command_that_sudoers_does_not_allow_is_refused_even_unchecked(server: sshd.Sshd) -> None:
    with session(server) as ssh, pytest.raises(Blocked) as caught:
        ssh.run(("forbidden",), sudo=True, check=False)
    assert caught.value.code == "sudo-refused"


def test_asking_whether_sudo_works_runs_nothing(server: sshd.Sshd, tmp_path: Path) -> None:
    server.program("systemctl", f"echo called > {tmp_path / 'called'}")
    with session(server) as ssh:
        ssh.sudo_works()
        with pytest.raises(Blocked) as caught:
            ssh.sudo_works(("forbidden",))
    assert caught.value.code == "sudo-refused"
    assert not (tmp_path / "called").exists()


def boot_id() -> str:
    return Path(BOOT_ID).read_text().strip()


def test_the_machine_is_told_to_power_off(server: sshd.Sshd, tmp_path: Path) -> None:
    server.program("systemctl", f'echo "$@" > {tmp_path / "called"}')
    with session(server) as ssh:
        assert ssh.power_off(boot_id()) == "accepted"
    assert (tmp_path / "called").read_text() == "poweroff\n"


def test_another_boot_is_never_powered_off(server: sshd.Sshd, tmp_path: Path) -> None:
    server.program("systemctl", f"echo called > {tmp_path / 'called'}")
    with session(server) as ssh:
        for other in (str(uuid.uuid4()), "", "x; systemctl poweroff"):
            with pytest.raises(Blocked) as caught:
                ssh.power_off(other)
            assert caught.value.code == "other-boot"
    assert not (tmp_path / "called").exists()


def test_a_connection_that_dies_while_powering_off_counts_as_sent(server: sshd.Sshd) -> None:
    # The session's own sshd process is the parent of the shell: sh, (env, sudo and) systemctl replace each other.
    server.program("systemctl", "kill -9 $PPID; sleep 20")
    with session(server) as ssh:
        assert ssh.power_off(boot_id()) == "connection-lost"


def test_a_connection_that_was_dead_before_is_not_taken_as_sent(server: sshd.Sshd, tmp_path: Path) -> None:
    server.program("systemctl", f"echo called > {tmp_path / 'called'}")
    with session(server) as ssh:
        with pytest.raises(Blocked):
            ssh.run(("sh", "-c", "kill -9 $PPID; sleep 20"))
        with pytest.raises(Blocked) as caught:
            ssh.power_off(boot_id())
    assert caught.value.code == "ssh-lost"
    assert not (tmp_path / "called").exists()


def test_sudo_refusing_to_power_off_is_not_taken_as_sent(server: sshd.Sshd) -> None:
    with session(server, "hush") as ssh, pytest.raises(Blocked) as caught:
        ssh.power_off(boot_id())
    assert caught.value.code == "sudo-refused"


def test_systemd_refusing_to_power_off_is_an_error(server: sshd.Sshd) -> None:
    server.program("systemctl", "echo Operation inhibited by backup >&2; exit 1")
    with session(server) as ssh, pytest.raises(Failed, match="inhibited by backup") as caught:
        ssh.power_off(boot_id())
    assert caught.value.code == "power-off-refused"
