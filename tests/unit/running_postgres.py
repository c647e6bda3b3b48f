"""A real PostgreSQL server for tests: Debian's, in a temporary folder, on a socket there and a port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.database_server import Login, Server
from cluster.programs import Deadlines
from cluster.secret_text import Secret

PASSWORD = "pa55-of-the'test; \\ $HOME"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]


@dataclass(frozen=True)
class Postgres:
    """A server that runs."""

    folder: Path
    port: int

    def server(self, *, password: str = PASSWORD, user: str = "postgres", deadlines: Deadlines | None = None) -> Server:
        """As the product sees it: a server outside of the cluster."""
        login = Login(user, Secret(password), "key password of Secret runai-backend/their-secret")
        limits = deadlines or Deadlines(refused=5, silence=30, total=60)
        return Server(None, login, None, "127.0.0.1", self.port, "postgres", limits)  # type: ignore[arg-type]

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run SQL as the superuser; its output."""
        argv: list[str | Path] = [PROGRAMS / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement]
        place = {**self._environment(), "PGDATABASE": database}
        ended = subprocess.run(argv, env=place, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def restore(self, dump: bytes, database: str) -> None:
        """Restore a dump into a new, empty database."""
        self.sql(f'CREATE DATABASE "{database}"')
        self.restored(["--exit-on-error", "-d", database], dump)

    def restored(self, arguments: list[str], dump: bytes) -> bytes:
        """What pg_restore prints."""
        return self.ran("pg_restore", arguments, dump)

    def ran(self, program: str, arguments: list[str], given: bytes = b"") -> bytes:
        """What one of the client programs prints."""
        argv: list[str | Path] = [PROGRAMS / program, *arguments]
        ended = subprocess.run(argv, env=self._environment(), input=given, capture_output=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout

    def stop(self) -> None:
        """Stop it as a crash would."""
        run(["pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-W", "stop"])

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGPASSWORD": PASSWORD,
        }


def run(argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run one of the server's programs, which refuse root, as somebody else where that is who we are."""
    prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*prefix, PROGRAMS / str(argv[0]), *argv[1:]]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start one; it is stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="downtime-pg-"))
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            os.chown(password, nobody.pw_uid, nobody.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = folder / "data"
        made = run(["initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}", "-N"])
        assert made.returncode == 0, made.stderr
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        started = run(["pg_ctl", "-D", data, "-o", options, "-l", folder / "log", "-w", "start"])
        assert started.returncode == 0, started.stdout + (folder / "log").read_text()
        yield Postgres(folder, port)
    finally:
        run(["pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"])
        shutil.rmtree(folder)
