"""Commands on the machines, over SSH: strict host keys, argument lists, a deadline for everything, secrets masked.

    with Ssh(host, settings.hosts, masker) as ssh:
        ssh.boot_id()
        ssh.run(("systemctl", "is-active", "kubelet"), check=False)

The machine's host name is not the node's name; the node is whatever ``host`` says.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from cluster import sudo as sudoing
from cluster.config import HostsSettings
from cluster.errors import Blocked, Failed, Misused
from cluster.hosts import Host
from cluster.masking import Masker
from cluster.secret_refs import ReadSecret, resolve
from cluster.secret_text import Secret

if TYPE_CHECKING:
    from fabric import Connection

    from cluster.ssh_connection import Ended

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_READ_SECONDS = 15

# "$1" is the boot id that is meant; the rest is the command. Checked on the machine, so that a restart between looking
# and switching off cannot slip in. 79 is an exit code that neither sudo, systemctl nor a shell uses.
_ONLY_THIS_BOOT = f'test "$(cat {BOOT_ID})" = "$1" || exit 79; shift; exec "$@"'
_OTHER_BOOT = 79

_SUDO: dict[sudoing.Refusal, tuple[str, str]] = {
    "password": (
        "it asks for a password",
        'Allow it without one in sudoers ("{user} ALL=(root) NOPASSWD: ALL"), or set sudo_password in [hosts].',
    ),
    "wrong-password": ("the password was not accepted", "Correct what sudo_password in [hosts] refers to."),
    "not-allowed": (
        "sudoers does not allow it, or there is no such program",
        'Allow it in sudoers: "{user} ALL=(root) NOPASSWD: ALL".',
    ),
    "tty": ("it wants a terminal", 'Take "requiretty" out of sudoers for {user}.'),
    "missing": ("it is not installed", "Install sudo on the machine."),
}


@dataclass(frozen=True)
class Output:
    """What a command left: masked, and cut after 256 Ki characters each.

    ``raw`` and ``raw_errors`` are the same without masks, for what decides: a secret as short as "abc" is part of many
    an id. Of their texts a person sees what has passed ``Ssh.masked``; ids and versions that match their form, as is.
    """

    exit_code: int
    stdout: str
    stderr: str
    raw: str = field(repr=False)
    raw_errors: str = field(repr=False)


class Ssh:
    """A session on one machine. Open between ``with`` and its end; not for several threads at once."""

    def __init__(
        self, host: Host, settings: HostsSettings, masker: Masker, read_secret: ReadSecret | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            host: the machine.
            settings: section [hosts].
            masker: masks outputs; learns the sudo password.
            read_secret: for a sudo password in a Kubernetes Secret.

        Raises:
            Misused: ``hosts-not-configured``: user, key_file or known_hosts is missing.
        """
        if settings.user is None or settings.key_file is None or settings.known_hosts is None:
            raise Misused(
                "hosts-not-configured",
                f"{host} cannot be reached over SSH: user, key_file and known_hosts are not all configured",
                "Write them under [hosts] in the configuration.",
            )
        self.host = host
        self._user: str = settings.user
        self._key_file: Path = settings.key_file
        self._known_hosts: Path = settings.known_hosts
        self._settings = settings
        self._masker = masker
        self._read_secret = read_secret
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Connects, at most about seven times ``connect_timeout`` in the worst case.

        Raises:
            Blocked: ``host-key-unknown``, ``host-key-changed``, ``no-known-hosts``, ``ssh-key-file``, ``ssh-auth``,
                ``host-unreachable``.
        """
        from cluster import ssh_connection

        self._connection = ssh_connection.connect(
            self.host, self._user, self._key_file, self._known_hosts, self._settings.connect_timeout
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.client.close()

    def run(
        self,
        argv: Sequence[str],
        timeout: float | None = None,
        *,
        sudo: bool = False,
        check: bool = True,
        stdin: str = "",
    ) -> Output:
        """Runs a command and waits for its end.

        Args:
            argv: program and arguments; each arrives literally.
            timeout: seconds; None: ``command_timeout``. Afterwards nobody waits, but the command may still run.
            sudo: as root.
            check: a non-zero exit code is an error.
            stdin: its whole input.

        Raises:
            Failed: ``remote-command-failed``, ``remote-command-timeout``.
            Blocked: ``sudo-refused``, ``ssh-lost``.
        """
        timeout = self._settings.command_timeout if timeout is None else timeout
        ended = self._as_root(argv, timeout, stdin) if sudo else self._execute(argv, timeout, stdin)
        if ended.exit_code == -1 and not ended.alive:
            raise self._lost()
        output = Output(
            ended.exit_code, self.masked(ended.stdout), self.masked(ended.stderr), ended.stdout, ended.stderr
        )
        if check and output.exit_code != 0:
            said = " ".join((output.stderr.strip() or output.stdout.strip() or "it printed nothing").split())[:500]
            raise Failed(
                "remote-command-failed",
                f"{self._shown(argv)} on {self.host} {_how(output.exit_code)}: {said}",
                "See on the machine why.",
            )
        return output

    def run_secret(self, argv: Sequence[str], timeout: float | None = None) -> Secret:
        """Runs a command as root whose output is a secret: what it printed, unmasked, and in memory alone.

        Args:
            argv: as for ``run``.
            timeout: as for ``run``.

        Raises:
            Failed: ``remote-command-failed``, with its error output masked and without its output;
                ``remote-command-timeout``.
            Blocked: ``sudo-refused``, ``ssh-lost``.
        """
        ended = self._as_root(argv, self._settings.command_timeout if timeout is None else timeout, "")
        if ended.exit_code == -1 and not ended.alive:
            raise self._lost()
        if ended.exit_code != 0:
            said = " ".join(self.masked(ended.stderr).split())[:500] or "it printed no error"
            raise Failed(
                "remote-command-failed",
                f"{self._shown(argv)} on {self.host} {_how(ended.exit_code)}: {said}",
                "See on the machine why.",
            )
        return Secret(ended.stdout)

    def masked(self, text: str) -> str:
        """A text that a person is to see, without secrets."""
        return self._masker.mask(text)

    def boot_id(self) -> str:
        """The id of the machine's present boot, as in ``nodeInfo.bootID``.

        Raises:
            Blocked: ``no-boot-id``: the machine does not say it; and what ``run`` raises.
        """
        return self._read("no-boot-id", "boot id", ("cat", BOOT_ID), r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

    def machine_id(self) -> str:
        """The id of the machine's installation, as in ``nodeInfo.machineID``.

        Raises:
            Blocked: ``no-machine-id``; and what ``run`` raises.
        """
        return self._read("no-machine-id", "machine id", ("cat", "/etc/machine-id"), r"[0-9a-f]{32}")

    def host_name(self) -> str:
        """What the machine calls itself; need not be the node's name.

        Raises:
            Blocked: ``no-host-name``; and what ``run`` raises.
        """
        return self._read("no-host-name", "host name", ("uname", "-n"), r"\S+")

    def sudo_works(self, argv: Sequence[str] = ("systemctl", "poweroff")) -> None:
        """Makes sure that sudo would run the command, without running it.

        Raises:
            Blocked: ``sudo-refused``.
        """
        if self._as_root(argv, _READ_SECONDS, "", listing=True).exit_code != 0:
            raise self._sudo_refused("not-allowed", argv)

    def power_off(self, boot_id: str, timeout: float = 30) -> Literal["accepted", "connection-lost"]:
        """Tells the machine to shut down in an orderly way, if it still runs the boot that is meant.

        That the connection dies meanwhile is what a shutdown looks like: sent, and to be seen off like any other.

        Raises:
            Blocked: ``other-boot``: it was restarted since (nothing was done); ``sudo-refused``; ``ssh-lost`` before
                the command was handed over.
            Failed: ``power-off-refused``: systemctl said no; ``remote-command-timeout``.
        """
        argv = ("systemctl", "poweroff")
        ended = self._as_root(argv, timeout, "", before=("sh", "-c", _ONLY_THIS_BOOT, "sh", boot_id))
        if ended.exit_code == -1:
            return "connection-lost"
        if ended.exit_code == _OTHER_BOOT:
            raise Blocked(
                "other-boot",
                f"{self.host} does not run the boot {boot_id} any more: it was restarted meanwhile, and was not shut "
                "down",
                "Look at the machine and the node, then plan again.",
            )
        if ended.exit_code != 0:
            said = " ".join(self.masked(ended.stderr).split())[:500]
            raise Failed(
                "power-off-refused",
                f"{self.host} did not accept 'systemctl poweroff' ({_how(ended.exit_code)}): {said}",
                "See on the machine why: 'systemctl list-jobs', 'systemd-inhibit --list'.",
            )
        return "accepted"

    def _read(self, code: str, what: str, argv: Sequence[str], pattern: str) -> str:
        try:
            output = self.run(argv, _READ_SECONDS, check=False)
        except Failed as error:
            raise Blocked(code, error.message, error.remedy) from None
        value = output.raw.strip()
        if output.exit_code == 0 and re.fullmatch(pattern, value):
            return value
        said = " ".join((output.stdout or output.stderr).split())[:100]
        raise Blocked(
            code,
            f"{self.host} does not tell its {what}: {self._shown(argv)} {_how(output.exit_code)} and printed "
            f"{json.dumps(said, ensure_ascii=False) if said else 'nothing'}",
            f"Run it on the machine as {self._user}, and see what it prints.",
        )

    def _as_root(
        self, argv: Sequence[str], timeout: float, stdin: str, *, listing: bool = False, before: Sequence[str] = ()
    ) -> Ended:
        """Without a password first: sudo reads one from the input only if it needs it, else the command would."""
        ended = self._execute((*before, *sudoing.without_password(argv, listing=listing)), timeout, stdin)
        refusal = sudoing.refusal(ended.exit_code, ended.stderr)
        if refusal == "password" and self._settings.sudo_password is not None:
            password = resolve(self._settings.sudo_password, self._masker, self._read_secret)
            given = f"{password}\n{stdin}"
            ended = self._execute((*before, *sudoing.with_password(argv, listing=listing)), timeout, given)
            refusal = sudoing.refusal(ended.exit_code, ended.stderr)
        if refusal is not None:
            raise self._sudo_refused(refusal, argv)
        return ended

    def _execute(self, argv: Sequence[str], timeout: float, stdin: str) -> Ended:
        """The command as it ended. Exit code -1 and not alive: it had been handed over when the connection broke."""
        from cluster import ssh_connection

        if self._connection is None:
            raise ValueError("Ssh is used inside a 'with' statement")
        try:
            return ssh_connection.execute(self._connection, argv, timeout, stdin)
        except ssh_connection.Broken as error:
            if error.started:
                return ssh_connection.Ended(-1, "", "", alive=False)
            raise self._lost(error.cause) from None
        except ssh_connection.TimedOut:
            raise Failed(
                "remote-command-timeout",
                f"{self._shown(argv)} on {self.host} did not end within {timeout:g} s; it may still be running",
                "See on the machine what it waits for.",
            ) from None

    def _lost(self, error: BaseException | None = None) -> Blocked:
        from cluster import ssh_errors

        return ssh_errors.lost(error, self.host)

    def _sudo_refused(self, why: sudoing.Refusal, argv: Sequence[str]) -> Blocked:
        reason, remedy = _SUDO[why]
        return Blocked(
            "sudo-refused",
            f"sudo on {self.host} does not run {self._shown(argv)} for {self._user}: {reason}",
            remedy.format(user=self._user),
        )

    def _shown(self, argv: Sequence[str]) -> str:
        text = self._masker.mask(shlex.join(argv))
        return f"`{text}`" if len(text) <= 200 else f"`{text[:199]}…`"


def _how(exit_code: int) -> str:
    return "was ended by a signal" if exit_code == -1 else f"exited with {exit_code}"
