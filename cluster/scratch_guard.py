"""Keeps a scratch PostgreSQL server for as long as another process lives, and leaves nothing behind. A program.

Run as ``python scratch_guard.py SPECIFICATION`` (JSON, see ``Specification``) with a pipe for standard input. It makes
a folder, initializes a cluster in it, starts the server, prints one line of JSON (``{"folder": …}`` or
``{"error": …}``), and waits until its input ends: that is when the process that started it closes the pipe, or dies,
be it by SIGKILL. Then it stops the server, removes the folder, and ends. Should it be killed itself, the server gets
the signal that ``parent_death`` in the specification's ``prefix`` asks the kernel for.

It imports nothing of the product: it must start in milliseconds, and hold no memory for the hours of a restore.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TypedDict

_TICK = 0.02
_STOP_SECONDS = 10.0
_SAID = 2000


class Specification(TypedDict):
    """What is to be run.

    Attributes:
        owner: uid and gid that the folder is given to; None: this process' own.
        initdb, server: argument lists in which ``{folder}`` is replaced.
        seconds: for all of it, until the server is ready.
    """

    owner: tuple[int, int] | None
    initdb: list[str]
    server: list[str]
    seconds: float


class EndedError(Exception):
    """Standard input has ended: nobody needs the server any more."""


def main(specification: Specification) -> None:
    """Do all of it."""
    # Whoever presses Ctrl-C, or ends a group of processes, means the one that closes the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the server would inherit.
        signal.signal(number, lambda *_: None)
    folder = Path(tempfile.mkdtemp(prefix="downtime-rehearsal-"))
    children: list[subprocess.Popen[bytes]] = []
    try:
        if specification["owner"] is not None:
            os.chown(folder, *specification["owner"])
        _tell(_serve(folder, specification, children))
        while True:
            _wait(3600)
    except EndedError:
        pass
    except OSError as error:
        # It cannot even make files.
        _tell({"error": str(error), "free": str(shutil.disk_usage(folder).free)})
    finally:
        for child in reversed(children):
            _end(child)
        shutil.rmtree(folder, ignore_errors=True)


def _serve(folder: Path, specification: Specification, children: list[subprocess.Popen[bytes]]) -> dict[str, str]:
    """Start all; what is told of it."""
    until = time.monotonic() + specification["seconds"]
    with (folder / "log").open("wb") as log:
        initdb = _started(specification["initdb"], folder, log)
        children.append(initdb)
        while initdb.poll() is None and time.monotonic() < until:
            _wait(_TICK)
        if initdb.poll() != 0:
            return _failure("initdb", initdb, folder)
        server = _started(specification["server"], folder, log)
        children.append(server)
    while time.monotonic() < until:
        if _is_ready(folder):
            return {"folder": str(folder)}
        if server.poll() is not None:
            break
        _wait(_TICK)
    return _failure("postgres", server, folder)


def _started(argv: list[str], folder: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    words = [word.replace("{folder}", str(folder)) for word in argv]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)


def _is_ready(folder: Path) -> bool:
    # The line that pg_ctl waits for: LOCK_FILE_LINE_PM_STATUS in PostgreSQL's src/include/utils/pidfile.h
    try:
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


def _failure(name: str, child: subprocess.Popen[bytes], folder: Path) -> dict[str, str]:
    how = f"ended with {child.returncode}" if child.poll() is not None else "was not done in time"
    said = (folder / "log").read_text(errors="replace")[-_SAID:]
    # Before the folder is removed: what it says may not have found room on a full disk either.
    return {"error": f"{name} {how}: {said}", "free": str(shutil.disk_usage(folder).free)}


def _wait(seconds: float) -> None:
    """Wait so long; raises EndedError when the input ends."""
    if select.select([0], [], [], seconds)[0] and not os.read(0, 1024):
        raise EndedError


def _tell(what: dict[str, str]) -> None:
    try:
        os.write(1, json.dumps(what).encode() + b"\n")
    except BrokenPipeError:
        raise EndedError from None


def _end(child: subprocess.Popen[bytes]) -> None:
    """SIGQUIT: of a server an immediate shutdown, backends included; nothing in it is kept."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGQUIT)
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(_STOP_SECONDS)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
