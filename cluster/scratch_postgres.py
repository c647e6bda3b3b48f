"""A PostgreSQL server of a rehearsal's own: made in a temporary folder, reached by a socket in it, and gone afterwards.

It listens to no network. Its folder and socket belong to the unprivileged user that it runs as, and nobody else may
enter. It writes nothing to disk for safety's sake (``fsync`` off): it is thrown away. A guard of its own
(``scratch_guard``) ends it and removes the folder whatever becomes of this process, SIGKILL included.

A dump is a program: restoring it runs SQL as that user. The server is made for the rehearsal of one's own backups.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.errors import Blocked
from cluster.postgres_programs import Programs, unprivileged
from cluster.postgres_server import Server
from cluster.scratch_disk import full
from cluster.showing import shown

READY_SECONDS = 60.0
_END_SECONDS = 30.0
_LOG_BYTES = 1 << 20
# A name that no dump's roles have: those are then made as on a new server.
SUPERUSER = "downtime_rehearsal"

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": "{folder}",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
    "autovacuum": "off",
    "max_connections": "20",
    # A server that is killed leaves nothing in shared memory that outlives it.
    "dynamic_shared_memory_type": "mmap",
    # Statements hold password hashes, rows hold anything: its log tells errors alone.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@contextmanager
def scratch_server(programs: Programs, seconds: float = READY_SECONDS) -> Iterator[Server]:
    """Make and start a server; it is stopped and its folder removed when the ``with`` is left.

    Raises:
        Blocked: ``scratch-server``: it did not start, with what it said; ``scratch-full``: its disk is full, also where
            that is the reason for a ``scratch-server`` within the ``with``.
    """
    guard = subprocess.Popen(
        # Isolated from variables and folders of Python's, and without site-packages: it needs none.
        [
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("scratch_guard.py")),
            _specification(programs, seconds),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        # What else stands in this process' environment may be secret, and a dump's SQL could read the server's.
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TMPDIR": tempfile.gettempdir()},
    )
    folder = ""
    try:
        folder = _folder_of(guard, seconds)
        variables = {"PGHOST": folder, "PGPORT": "5432", "PGUSER": SUPERUSER}
        yield Server(programs, variables, own=True, version=programs.version)
    except Blocked as error:
        # Its log tells what its clients did not hear.
        short = full(_log(folder)) if error.code == "scratch-server" and folder else None
        raise short or error from None
    finally:
        _end(guard, folder)


def _specification(programs: Programs, seconds: float) -> str:
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    initdb = ["-D", "{folder}/data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    return json.dumps(
        {
            "owner": unprivileged(),
            "initdb": programs.argv("initdb", *initdb, "--no-instructions"),
            "server": programs.argv("postgres", "-D", "{folder}/data", *settings, parent_death="QUIT"),
            "seconds": seconds,
        }
    )


def _folder_of(guard: subprocess.Popen[bytes], seconds: float) -> str:
    """What the guard tells when the server is ready."""
    if guard.stdout is None:
        raise AssertionError("it was started with a pipe")
    until, line = time.monotonic() + seconds + 5, b""
    while not line.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([guard.stdout], [], [], left)[0]:
            raise _failed(f"it was not ready within {seconds:g} s")
        more = os.read(guard.stdout.fileno(), 65536)
        if not more:
            raise full() or _failed("its guard ended before it was ready")
        line += more
    told: dict[str, str] = json.loads(line)
    if "error" in told:
        raise full(told["error"], int(told["free"])) or _failed(shown(told["error"], 600))
    return told["folder"]


def _log(folder: str) -> str:
    try:
        return Path(folder, "log").read_bytes()[-_LOG_BYTES:].decode(errors="replace")
    except OSError:
        return ""


def _end(guard: subprocess.Popen[bytes], folder: str) -> None:
    if guard.stdin is not None:
        guard.stdin.close()
    try:
        guard.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        # The server gets SIGQUIT from the kernel when its guard is gone.
        guard.kill()
        guard.wait(_END_SECONDS)
    finally:
        if guard.stdout is not None:
            guard.stdout.close()
        if folder:
            # The guard's own work, unless somebody killed it.
            shutil.rmtree(folder, ignore_errors=True)


def _failed(why: str) -> Blocked:
    return Blocked(
        "scratch-server",
        f"A scratch PostgreSQL server could not be started: {why}",
        "See that the folder for temporary files (TMPDIR) has room, a short path, and may be entered by the user that "
        "PostgreSQL runs as (as root: postgres).",
    )
