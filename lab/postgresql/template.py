"""A data folder of PostgreSQL with Run:ai's databases in it, made once on a machine and copied for each lab."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from lab.layout import PROJECT, cache_folder
from lab.locks import held
from lab.patience import until
from lab.postgresql import programs
from lab.processes import run
from lab.progress import Progress

SQL = PROJECT / "lab" / "postgresql"
SCRIPTS = (("postgres", "roles.sql"), ("backend", "backend.sql"), ("keycloak", "keycloak.sql"))
PASSWORD = "template"  # noqa: S105 - each lab gets another one
LOOPBACK = "127.0.0.1"
# A lab's data is thrown away; and no lab needs much memory.
COMMON = (
    *("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off", "jit=off"),
    *("shared_buffers=16MB", "wal_level=minimal", "max_wal_senders=0", "max_connections=50"),
    *("timezone=UTC", "logging_collector=off"),
)
SETTINGS = (*COMMON, f"listen_addresses={LOOPBACK}", "unix_socket_directories=")
ACCESS = "host all all 127.0.0.1/32 scram-sha-256\n"
BUILD_SECONDS = 120.0


def ensure(progress: Progress) -> Path:
    """The template, made unless it is cached. Raises LabError."""
    bin_folder = programs.folder()
    version = run([bin_folder / "postgres", "--version"], log=_log(), timeout=30, what="postgres --version")
    parts = [version, *SETTINGS, ACCESS, str(os.geteuid()), *((SQL / name).read_text() for _, name in SCRIPTS)]
    final = cache_folder() / "postgresql" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    if final.is_dir():
        return final
    busy = "another lab makes the databases"
    with held(cache_folder() / "locks" / "postgresql", timeout=BUILD_SECONDS, what=busy):
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with (
            progress.step("making the databases of Run:ai's control plane (once)"),
            tempfile.TemporaryDirectory(dir=final.parent, prefix=".building-") as scratch,
        ):
            data = Path(scratch) / "data"
            _fill(bin_folder, data)
            data.rename(final)
    return final


def postgres(data: Path, port: int, settings: Sequence[str] = SETTINGS) -> list[str]:
    """The command line of a server."""
    options = [word for setting in settings for word in ("-c", setting)]
    return [
        *programs.owner().demoting,
        str(programs.folder() / "postgres"),
        *("-D", str(data), "-p", str(port), *options),
    ]


def reach(port: int, password: str) -> dict[str, str]:
    """The variables by which PostgreSQL's clients find a server."""
    return {"PGHOST": LOOPBACK, "PGPORT": str(port), "PGUSER": "postgres", "PGPASSWORD": password}


def psql(database: str, *arguments: str) -> list[str]:
    """The command line of a client that reads SQL and stops at the first error."""
    options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
    return [str(programs.folder() / "psql"), *options, f"--dbname={database}", *arguments]


def _fill(bin_folder: Path, data: Path) -> None:
    user = programs.owner()
    data.mkdir(mode=0o700)
    user.take(data)
    secret = data.with_name("password")
    secret.write_text(f"{PASSWORD}\n")
    command = [
        *user.demoting,
        str(bin_folder / "initdb"),
        "-D",
        str(data),
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync", "--wal-segsize=1"]
    run(command, log=_log(), timeout=BUILD_SECONDS, what="initdb")
    (data / "pg_hba.conf").write_text(ACCESS)
    port = _free_port()
    with _running(data, port):
        for database, script in SCRIPTS:
            sql = (SQL / script).read_text()
            run(psql(database), log=_log(), timeout=60, env=reach(port, PASSWORD), stdin=sql, what=script)
        analyze = psql("backend", "--command=VACUUM ANALYZE")
        run(analyze, log=_log(), timeout=60, env=reach(port, PASSWORD), what="analyzing")


@contextmanager
def _running(data: Path, port: int) -> Iterator[None]:
    """A server that ends with the block, and with this process, however it ends."""
    with _log().open("ab") as log:
        words = ["setpriv", "--pdeathsig", "INT", "--", *postgres(data, port)]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: ready(port), seconds=30, what="PostgreSQL does not start", log=_log(), every=0.05)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # "fast shutdown"
        server.wait(30)


def copy(template: Path, data: Path) -> None:
    """A data folder of its own for a lab, with the owners that the template's files have."""
    shutil.rmtree(data, ignore_errors=True)
    run(["cp", "-a", "--reflink=auto", template, data], log=_log(), timeout=60, what="copying the databases")


def ready(port: int) -> bool:
    """Whether the server there takes connections; while it recovers it listens, and refuses."""
    words = [str(programs.folder() / "pg_isready"), "--quiet", f"--host={LOOPBACK}", f"--port={port}"]
    return subprocess.run(words, timeout=30, check=False).returncode == 0


def listens(port: int) -> bool:
    """Whether somebody listens there."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _log() -> Path:
    return cache_folder() / "logs" / "postgresql.log"
