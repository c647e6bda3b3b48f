"""Runs a program on this machine as a stream, with secrets in its environment alone.

For a database outside of the cluster. The program has a session of its own, which is killed whole when the ``with`` is
left; where this process is killed itself, the program's input ends and nobody reads what it writes, so it ends too.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from cluster.errors import Blocked, Failed
from cluster.programs import DEADLINES, STDERR_BYTES, Deadlines, Ended
from cluster.reach import MASKER

_PIECE = 65_536
# What a program needs of our own environment; the rest may hold secrets that are none of its business. How the server's
# certificate is verified is PostgreSQL's own affair: https://www.postgresql.org/docs/15/libpq-envars.html
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY")


@contextmanager
def started(
    argv: Sequence[str],
    environment: Mapping[str, str] | None = None,
    deadlines: Deadlines = DEADLINES,
) -> Iterator[Local]:
    """Run a program here; it is killed when the ``with`` is left.

    Args:
        argv: the program and its arguments: visible to every user of this machine, so nothing secret.
        environment: more variables for the program, secret ones too.

    Raises:
        Blocked: ``program-missing``: it cannot be started.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env={**kept, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise Blocked(
                "program-missing",
                f"{argv[0]} could not be started on this machine: {error.strerror or type(error).__name__}",
                "Install PostgreSQL's client programs (Debian: postgresql-client), as new as the server or newer.",
            ) from None
        try:
            yield Local(process, errors, argv[0], deadlines)
        finally:
            _end(process)


class Local:
    """A program on this machine: a :class:`cluster.programs.Program`."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], name: str, deadlines: Deadlines) -> None:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("it was started with pipes")
        self._process, self._errors, self._name, self._deadlines = process, errors, name, deadlines
        self._in, self._out = process.stdin, process.stdout
        self._until = time.monotonic() + deadlines.total
        self._at_end = False

    def write(self, data: bytes) -> None:
        """Give it more of its standard input."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._in.write(rest) or 0 :]
        except OSError:
            # It has ended: what it said is what matters.
            return

    def chunks(self) -> Iterator[bytes]:
        """Its standard output as it comes. See :class:`cluster.programs.Program`."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            while not self._at_end:
                left = self._until - time.monotonic()
                if left <= 0:
                    raise self._failed(f"did not end within {self._deadlines.total:g} s")
                if not selector.select(min(self._deadlines.silence, left)):
                    raise self._failed(f"wrote nothing for {self._deadlines.silence:g} s")
                data = os.read(self._out.fileno(), _PIECE)
                self._at_end = not data
                if data:
                    yield data

    def beat(self) -> None:
        """A pipe needs none."""

    def ended(self) -> Ended:
        """How it ended."""
        for _ in self.chunks():
            pass
        try:
            code = self._process.wait(self._deadlines.silence)
        except subprocess.TimeoutExpired:
            raise self._failed("closed its output and did not end") from None
        return Ended(code, self._said())

    def _said(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - STDERR_BYTES))
        return self._errors.read().decode(errors="replace")

    def _failed(self, what: str) -> Failed:
        return Failed(
            "program-timeout",
            MASKER.mask(f"{self._name} {what} and was killed"),
            "See whether the database server is well and reached quickly, then run the same command again.",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
