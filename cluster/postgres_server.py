"""A PostgreSQL server that dumps are restored into, whoever started it, and how its client programs are run.

Everything that is secret goes through the environment or standard input, never through an argument. What a client
program prints may hold rows and passwords: it is kept in an unlinked file, and only what callers pick is shown.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

from cluster.errors import Blocked
from cluster.postgres_programs import Programs

_PIECE = 1 << 16
# What a program says can be megabytes, where each of a thousand statements fails.
_SAID = 1 << 20


@dataclass(frozen=True)
class Server:
    """A server, and the programs to use with it.

    Attributes:
        programs: not older than it.
        variables: libpq's (``PGHOST`` …): where it is and as whom.
        own: it was made for this rehearsal, and nobody else uses it: roles may be made on it.
        version: like ``15.14``.
    """

    programs: Programs
    variables: Mapping[str, str] = field(repr=False)
    own: bool
    version: str

    def environment(self) -> dict[str, str]:
        """All that the client programs know of this process' environment: nothing."""
        # Messages are looked into, so they must be English.
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/", "PGCONNECT_TIMEOUT": "10", **self.variables}

    def query(self, database: str, sql: str, seconds: float, **values: str) -> list[str]:
        """The lines that psql prints for the statements, unaligned.

        Args:
            values: psql variables: ``:'name'`` in the SQL is the text, ``:"name"`` the identifier. Nothing secret.

        Raises:
            Blocked: ``scratch-server``: it failed, or took longer than ``seconds``.
        """
        settings = [f"--set={name}={value}" for name, value in {"ON_ERROR_STOP": "1", **values}.items()]
        with self.started("psql", "-XAtq", "--dbname", database, *settings, seconds=seconds, output=True) as child:
            child.feed(sql.encode())
            code = child.end()
            if code:
                raise Blocked(
                    "scratch-server",
                    f"The PostgreSQL server for the rehearsal refused a query: {_first_line(child.said())}",
                    "See that it runs, that its disk is not full, and that the user may create databases.",
                )
            return child.printed().splitlines()

    @contextmanager
    def started(self, program: str, *arguments: str, seconds: float, output: bool = False) -> Iterator[Child]:
        """Run a client program; it is killed when the ``with`` is left, or ``seconds`` are over.

        Raises:
            Blocked: ``postgres-missing``: it cannot be started.
        """
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as printed:
            try:
                process = subprocess.Popen(
                    self.programs.argv(program, *arguments),
                    stdin=subprocess.PIPE,
                    stdout=printed if output else subprocess.DEVNULL,
                    stderr=errors,
                    env=self.environment(),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise Blocked(
                    "postgres-missing", f"{program} could not be started: {error.strerror}", "Install PostgreSQL."
                ) from None
            child = Child(process, errors, printed, seconds)
            try:
                yield child
            finally:
                child.kill()


class Child:
    """A client program that runs."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], printed: IO[bytes], seconds: float) -> None:
        if process.stdin is None:
            raise AssertionError("it was started with a pipe")
        self._process, self._in, self._errors, self._printed = process, process.stdin, errors, printed
        self._until, self.overdue = time.monotonic() + seconds, False
        # A write into a full pipe waits for as long as the program does not read.
        self._timer = threading.Timer(seconds, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    def feed(self, data: bytes) -> bool:
        """Give it more of its input; False: it takes no more, and has ended or will."""
        try:
            self._in.write(data)
        except (BrokenPipeError, ValueError):
            return False
        return True

    def end(self) -> int:
        """Close its input, and wait for its end; its exit status."""
        with suppress(BrokenPipeError):
            self._in.close()
        try:
            return self._process.wait(max(0.1, self._until + 10 - time.monotonic()))
        finally:
            self._timer.cancel()

    def said(self) -> str:
        """What it wrote to standard error. Not masked; may hold rows."""
        self._errors.seek(0)
        return self._errors.read(_SAID).decode(errors="replace")

    def printed(self) -> str:
        """What it wrote to standard output."""
        return self.printed_bytes().decode(errors="replace")

    def printed_bytes(self) -> bytes:
        """The same, as it is."""
        self._printed.seek(0)
        return self._printed.read()

    def kill(self) -> None:
        """End it if it still runs."""
        self._timer.cancel()
        if self._process.poll() is None:
            self._process.kill()
        with suppress(OSError):
            self._in.close()
        self._process.wait(10)

    def _give_up(self) -> None:
        self.overdue = True
        self._process.kill()


def _first_line(said: str) -> str:
    lines = [line for line in said.splitlines() if "ERROR:" in line or "FATAL:" in line or "error:" in line]
    return " ".join((lines or said.splitlines() or ["it said nothing"])[0].split())[:300]
