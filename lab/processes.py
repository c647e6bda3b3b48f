"""Commands that are waited for, and processes that outlive the command that started them.

A process of a lab is known by its id *and* the time at which it started, so that a number that the system gave to
somebody else meanwhile is never signalled. It also carries the lab's folder in its environment: whatever a crashed
``up`` had started but not yet written down is found by that mark.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError, tail

MARK = "RUNAI_DOWNTIME_LAB"


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    what: str = "",
) -> str:
    """Run a command to its end and return its standard output.

    Command line, standard output and standard error are appended to ``log``; ``env`` is added to this process's
    environment; ``timeout`` is in seconds, and kills the command with its children. ``what`` names the doing in the
    error. Raises LabError, with the log's last lines, when the command fails, is missing or takes too long.
    """
    words = [os.fspath(word) for word in argv]
    doing = what or " ".join(words[:3])
    log.parent.mkdir(parents=True, exist_ok=True)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    with log.open("ab") as file:
        file.write(f"$ {shlex.join(words)}\n".encode())
        file.flush()
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"{doing}: can't start {words[0]}: {error.strerror or error}") from error
        try:
            output, _ = process.communicate(data, timeout=timeout)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise LabError(f"{doing}: not done after {timeout:g} s\n{tail(log)}") from error
            raise
        file.write(output)
    if process.returncode != 0:
        raise LabError(f"{doing}: exit status {process.returncode}\n{tail(log)}")
    return output.decode(errors="replace")


@dataclass(frozen=True)
class Daemon:
    """A process that was started for a lab. ``started`` is in clock ticks since the machine's boot (proc(5), stat)."""

    name: str
    pid: int
    started: int
    log: str

    @staticmethod
    def of(record: Mapping[str, Any]) -> Daemon:
        return Daemon(str(record["name"]), int(record["pid"]), int(record["started"]), str(record["log"]))

    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """When the process with this id started, in clock ticks since boot; None if there is none, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def start(
    name: str,
    argv: Sequence[str | os.PathLike[str]],
    *,
    folder: Path,
    log: Path,
    env: Mapping[str, str] | None = None,
) -> Daemon:
    """Start a process that outlives this one, in a session of its own, with ``folder`` (the lab's) as its mark."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        try:
            process = subprocess.Popen(
                [os.fspath(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {}), MARK: str(folder)},
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(f"can't start {name}: {error.strerror or error}") from error
    began = start_time(process.pid)
    if began is None:
        raise LabError(f"{name} ended at once\n{tail(log)}")
    return Daemon(name, process.pid, began, str(log))


def marked(folder: Path) -> list[Daemon]:
    """All processes of this user that carry the lab's mark, recorded or not."""
    wanted = f"{MARK}={folder}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        began = start_time(int(entry.name))
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if began is not None and wanted in variables:
            found.append(Daemon(f"process {entry.name}", int(entry.name), began, ""))
    return found


def stop(daemons: Iterable[Daemon], *, grace: float = 15.0) -> None:
    """Ask the processes to end, wait, and kill what is left after ``grace`` seconds. Raises LabError if one stays."""
    left = [daemon for daemon in daemons if daemon.alive()]
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for daemon in left:
            with contextlib.suppress(ProcessLookupError):
                if daemon.alive():
                    os.kill(daemon.pid, number)
        deadline = time.monotonic() + patience
        while left and time.monotonic() < deadline:
            for daemon in left:
                collect(daemon)
            left = [daemon for daemon in left if daemon.alive()]
            if left:
                time.sleep(0.05)
        if not left:
            return
    raise LabError("these processes do not end: " + ", ".join(f"{d.name} (pid {d.pid})" for d in left))


def collect(daemon: Daemon) -> None:
    """Take the exit status of a process that this very process started; as a zombie it would look like a leftover."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(daemon.pid, os.WNOHANG)
