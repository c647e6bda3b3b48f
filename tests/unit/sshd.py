"""A real OpenSSH server on a loopback port, for the tests of cluster/ssh*.py.

It runs as whoever runs the tests and lets that user in with a key of its own. ``programs`` is first in its PATH: a
test may put scripts there, to stand for systemctl, which must not really run, and sudo, which may not be installed.
Its sessions have a home folder of their own: a shell reads the start files there, and those of the person who runs
the tests would run, with these programs first in their PATH.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from cluster.config import HostsSettings
from cluster.hosts import Host
from cluster.probing import probe
from cluster.ssh_probe import answers


@dataclass(frozen=True)
class Sshd:
    """A running server and what a client needs."""

    host: Host
    folder: Path
    programs: Path
    host_key: str
    """ "KEYTYPE KEY", as in a known_hosts line."""

    def settings(self, **changes: object) -> HostsSettings:
        """Section [hosts] that gets in."""
        values: dict[str, object] = {
            "user": getpass.getuser(),
            "key_file": self.folder / "client",
            "known_hosts": self.known_hosts(f"[{self.host.address}]:{self.host.port} {self.host_key}"),
            "connect_timeout": 5,
        }
        return HostsSettings.model_validate(values | changes)

    def known_hosts(self, *lines: str) -> Path:
        """A known_hosts file with these lines."""
        number = len(list(self.folder.glob("known_hosts*")))
        path = self.folder / f"known_hosts{number}"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def program(self, name: Literal["sudo", "systemctl"], script: str) -> Path:
        """Puts a shell script where the server's users find it first. Only for programs that no start file calls."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path


@contextmanager
def started(folder: Path) -> Iterator[Sshd]:
    """Starts a server, and ends it."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.fail("There is no sshd: install Debian's package openssh-server")
    programs = folder / "programs"
    programs.mkdir()
    home = folder / "home"
    home.mkdir()
    host_key = make_key(folder / "host")
    (folder / "authorized_keys").write_text(make_key(folder / "client") + "\n")
    if os.geteuid() == 0:
        # sshd's own unit makes it; it insists on it when it runs as root.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host = Host("gpu-7", "127.0.0.1", free_port())
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress {host.address}\nPort {host.port}\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\nPidFile none\n"
        f"PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"SetEnv PATH={programs}:{os.environ['PATH']} HOME={home}\n"
    )
    with (folder / "sshd.log").open("w") as log:
        process = subprocess.Popen((program, "-D", "-e", "-f", str(config)), stdin=subprocess.DEVNULL, stderr=log)
    try:
        up = probe(lambda: answers(host, 1).state == "answers" or None, deadline_seconds=20, first=0.02)
        assert up, f"sshd did not start: {(folder / 'sshd.log').read_text()}"
        yield Sshd(host, folder, programs, host_key)
    finally:
        process.terminate()
        process.wait(10)


def make_key(path: Path) -> str:
    """An Ed25519 key pair; answers with "KEYTYPE KEY"."""
    command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path))
    subprocess.run(command, check=True, timeout=20, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text().strip()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def deaf() -> Iterator[Host]:
    """A port that does not answer at all: its queue is full, and the kernel drops what comes."""
    with socket.socket() as listener, contextlib.ExitStack() as callers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            caller = callers.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        address, port = listener.getsockname()
        yield Host("gpu-7", address, port)


@contextmanager
def greeting(listener: socket.socket, *pieces: bytes) -> Iterator[None]:
    """Accepts one connection, sends these pieces, and closes it."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                for piece in pieces:
                    connection.sendall(piece)

    listener.settimeout(10)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(15)
