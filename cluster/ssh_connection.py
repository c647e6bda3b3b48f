"""The one place that touches Fabric: opening a session, and running one command in it.

Nothing of this machine gets in between: no ``~/.ssh/config``, agent, other keys, password prompts, nor Fabric's and
Invoke's own configuration files. Importing this module is slow; ``cluster.ssh`` does so when a session is opened.
"""

from __future__ import annotations

import codecs
import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from fabric import Config, Connection
from fabric.runners import Remote
from invoke.exceptions import CommandTimedOut, ThreadException
from paramiko.pkey import UnknownKeyType

from cluster import ssh_errors
from cluster.hosts import Host
from cluster.ssh_host_keys import be_strict

LARGEST_OUTPUT = 256 * 1024
"""Characters kept of each of stdout and stderr; what comes after is read and thrown away."""

_KEEPALIVE_SECONDS = 10
# Signing in may take longer than connecting: PAM, name look-ups and a session on a machine under load.
_SIGN_IN_FACTOR = 3

# Paramiko logs tracebacks of what it also raises. All of it is explained in ssh_errors.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Ended:
    """A command that ended. ``exit_code`` -1: none was told (a signal, or the connection broke)."""

    exit_code: int
    stdout: str
    stderr: str
    alive: bool
    """Whether the connection still was when the command had ended."""


class TimedOut(Exception):
    """A command did not end in time. It may still be running on the machine."""


class Broken(Exception):
    """The connection broke. ``started``: the command had been handed over, and may have taken effect."""

    def __init__(self, cause: BaseException, *, started: bool) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.started = started


def connect(host: Host, user: str, key_path: Path, known_hosts: Path, timeout: float) -> Connection:
    """An open session.

    Raises:
        Blocked: see ``ssh_errors`` and ``ssh_host_keys``.
    """
    connection = Connection(
        host.address,
        user=user,
        port=host.port,
        # Lazy: no configuration files of Fabric. An SSH configuration given, if empty: no other one is loaded.
        config=Config(lazy=True, ssh_config=paramiko.SSHConfig()),
        forward_agent=False,
        # Not Connection(connect_timeout=…): that one is cut down to whole seconds, and 0 means none.
        connect_kwargs={
            "pkey": _private_key(key_path),
            "allow_agent": False,
            "look_for_keys": False,
            "timeout": timeout,
            "banner_timeout": timeout,
            "auth_timeout": timeout * _SIGN_IN_FACTOR,
            "channel_timeout": timeout * _SIGN_IN_FACTOR,
        },
    )
    # Fabric takes "user@host:port" apart; an address is used as it is.
    connection.host, connection.port = host.address, host.port
    be_strict(connection.client, known_hosts)
    try:
        connection.open()
    except (paramiko.SSHException, OSError, EOFError) as error:
        connection.client.close()
        raise ssh_errors.connecting(error, host, user, known_hosts, timeout) from None
    connection.transport.set_keepalive(_KEEPALIVE_SECONDS)
    return connection


def execute(connection: Connection, argv: Sequence[str], timeout: float, stdin: str = "") -> Ended:
    """Runs one command; its input is ``stdin``, then the end of file.

    The machine's shell gets one string, made here and nowhere else: each argument arrives literally, if the user's
    shell quotes as POSIX says.

    Raises:
        TimedOut, Broken: see there.
    """
    if not argv or any("\0" in argument for argument in argv):
        raise ValueError("a command is at least a program, and no argument has a NUL character")
    runner = _Runner(connection, stdin.encode())
    began = time.monotonic()
    with _watchdog(timeout + 1, connection.client.close) as barked:
        try:
            # The runner's own timeout begins when the command has started; the watchdog covers the start too.
            result = runner.run(
                shlex.join(argv), hide=True, warn=True, in_stream=False, pty=False, encoding="utf-8", timeout=timeout
            )
        except CommandTimedOut:
            raise TimedOut from None
        except (paramiko.SSHException, OSError, EOFError, ThreadException) as error:
            if barked.is_set():
                raise TimedOut from None
            raise Broken(error, started=runner.handed_over) from None
    # invoke asks whether the timer's thread has ended, which it may not have yet when what it killed has.
    if barked.is_set() or (result.exited == -1 and time.monotonic() - began >= timeout):
        raise TimedOut
    return Ended(result.exited, result.stdout, result.stderr, alive=connection.is_connected)


def _private_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except (OSError, ValueError, TypeError, UnknownKeyType, UnsupportedAlgorithm, paramiko.SSHException) as error:
        raise ssh_errors.key_file(error, path) from None


@contextlib.contextmanager
def _watchdog(seconds: float, act: Callable[[], object]) -> Generator[threading.Event]:
    barked = threading.Event()

    def bark() -> None:
        barked.set()
        act()

    timer = threading.Timer(seconds, bark)
    timer.daemon = True
    timer.start()
    try:
        yield barked
    finally:
        timer.cancel()


class _Runner(Remote):  # type: ignore[misc]
    """Fabric's runner, with input that ends, output that is bounded, and an interruption that does not wait."""

    read_chunk_size = 32 * 1024

    def __init__(self, connection: Connection, stdin: bytes) -> None:
        super().__init__(context=connection, inline_env=True)
        self._stdin = stdin
        self.handed_over = False

    def start(self, command: str, shell: str, env: dict[str, str], timeout: float | None = None) -> None:  # noqa: ARG002
        # Not Connection.create_session(): that one connects again when the connection has broken, perhaps to another
        # boot of the machine than the one that the caller has looked at.
        self.channel = self.context.transport.open_session()
        self.handed_over = True
        self.channel.exec_command(command)
        # A command that ends without reading its input closes the channel: its exit code tells the rest.
        with contextlib.suppress(OSError):
            if self._stdin:
                self.channel.sendall(self._stdin)
            self.channel.shutdown_write()

    def read_proc_output(self, reader: Callable[[int], bytes]) -> Generator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        left = LARGEST_OUTPUT
        while data := reader(self.read_chunk_size):
            text = decoder.decode(data)[:left]
            left -= len(text)
            if text:
                yield text

    def wait(self) -> Any:
        try:
            return super().wait()
        except BaseException:
            # Else the threads that read would be waited for until the command ends by itself.
            self.channel.close()
            raise
