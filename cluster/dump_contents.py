"""What a PostgreSQL dump holds, by its table of contents: pg_restore lists it, fed by a stream.

The table stands at the beginning of a custom-format archive, so a dump of any size is judged by its first bytes, and
nothing of it is ever written to a disk. pg_restore connects to no server for this. It is a process of its own: it is
ended with the ``with``, and should this process be killed, its input ends, and with it pg_restore itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import tempfile
import time
from dataclasses import dataclass
from types import TracebackType
from typing import IO

from cluster.errors import Blocked
from cluster.postgres_programs import Programs
from cluster.showing import shown

SILENCE_SECONDS = 30.0
# Longer than the table of any database of a control plane (some 300 bytes an entry): bounds pg_restore's memory.
TABLE_BYTES = 256 << 20

_PROGRAM = "pg_restore"
_ENDING_SECONDS = 5.0
# "3368; 0 16387 TABLE DATA public projects postgres": ids, what it is, schema, name, owner.
_TABLE_DATA = re.compile(r"\d+; \d+ \d+ TABLE DATA (\S+) (.+) \S+")
# Said of an archive of a newer version, and of what is none. Versions as in ``dump_header``.
_VERSION = re.compile(r"unsupported version \((\d+)\.(\d+)\) in file header")
_VERSIONS = (1, 10), (1, 99)
_HEADER = re.compile(r";\s+(Dumped from database version|Dumped by pg_dump version|Format|TOC Entries): (.+)")


class DumpError(Blocked):
    """``dump-unreadable``; or it could not be read here, whatever it is worth: ``pg-restore-too-old``,
    ``pg-restore-hangs``, or as ``postgres_programs.find`` says.
    """


@dataclass(frozen=True)
class DumpContents:
    """What the table of contents tells.

    Attributes:
        entries: how many there are, as its header counts them. Four are there even of an empty database.
        tables: ``schema.table`` of each table whose rows are in it, though there may be none. A partitioned table has
            no rows of its own: its partitions are there.
        server_version: of the server that it was dumped from, ``15.14 (Debian …)``; None: it is not told.
        tool_version: of the pg_dump that made it.
    """

    entries: int
    tables: frozenset[str]
    server_version: str | None
    tool_version: str | None


class Listing:
    """One dump that is being read: ``write`` takes its bytes as they come, ``result`` tells what it holds.

    Once the table was read (``done``), further bytes are accepted and dropped.

    Args:
        programs: what is there of PostgreSQL.
        silence_seconds: how long pg_restore may take to accept bytes, and to end.

    Raises:
        DumpError: ``postgres-missing``: it cannot be started.
    """

    def __init__(self, programs: Programs, silence_seconds: float = SILENCE_SECONDS) -> None:
        self._silence = silence_seconds
        self._fed = 0
        self.done = False
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed at the end of the with)
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                programs.argv(_PROGRAM, "--list"),
                stdin=subprocess.PIPE,
                stdout=self._out,
                stderr=self._err,
                # No PG* variable, and its messages in English.
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                cwd="/",
            )
        except OSError as error:
            self._out.close()
            self._err.close()
            raise DumpError(
                "postgres-missing",
                f"A dump's table of contents cannot be read here: {_PROGRAM} cannot be run "
                f"({error.strerror or type(error).__name__})",
                "Install PostgreSQL's client programs (Debian: postgresql-client).",
            ) from None
        assert self._process.stdin is not None
        self._input = self._process.stdin
        os.set_blocking(self._input.fileno(), False)

    def __enter__(self) -> Listing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End pg_restore if it still runs. May be called again."""
        self._end_input()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(_ENDING_SECONDS)
        self._out.close()
        self._err.close()

    def write(self, data: bytes, /) -> int:
        """Take the next bytes of the dump.

        Raises:
            DumpError: pg_restore hangs, or the table of contents has no end.
        """
        left = memoryview(data)
        end = time.monotonic() + self._silence
        while left and not self.done:
            if self._fed > TABLE_BYTES:
                raise _unreadable(f"its table of contents is longer than {TABLE_BYTES} bytes")
            poll = select.poll()
            poll.register(self._input.fileno(), select.POLLOUT)
            if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                raise self._hangs()
            try:
                written = os.write(self._input.fileno(), left[: 1 << 16])
            except BlockingIOError:
                continue
            except BrokenPipeError:
                # It read what it needed, or found that this is no dump: its exit code will tell.
                self.done = True
                break
            left, self._fed = left[written:], self._fed + written
            end = time.monotonic() + self._silence
        return len(data)

    def result(self) -> DumpContents:
        """What the dump holds; nothing more can be written afterwards.

        Raises:
            DumpError: it is no dump, or a damaged one; or pg_restore is older than it, or hangs.
        """
        self.done = True
        self._end_input()
        try:
            code = self._process.wait(self._silence)
        except subprocess.TimeoutExpired:
            raise self._hangs() from None
        self._err.seek(0)
        said = shown(self._err.read(10_000).decode(errors="replace").removeprefix(f"{_PROGRAM}: error: "), 200)
        if code != 0 and (found := _VERSION.search(said)):
            version = int(found[1]), int(found[2])
            if _VERSIONS[0] <= version <= _VERSIONS[1]:
                raise _too_old(said)
        if code != 0:
            raise _unreadable(said or f"{_PROGRAM} ended with {code}")
        self._out.seek(0)
        return parse(self._out.read().decode(errors="replace"))

    def _end_input(self) -> None:
        with contextlib.suppress(OSError):
            self._input.close()

    def _hangs(self) -> DumpError:
        return DumpError(
            "pg-restore-hangs",
            f"{_PROGRAM} did not go on for {self._silence:g} s while it read a dump's table of contents",
            "See what keeps this machine busy, then run again.",
        )


def parse(listed: str) -> DumpContents:
    """What ``pg_restore --list`` printed.

    Raises:
        DumpError: it is not that.
    """
    header = {found[1]: found[2] for line in listed.splitlines() if (found := _HEADER.fullmatch(line))}
    if "Format" not in header or not header.get("TOC Entries", "").isdecimal():
        raise _unreadable(f"what {_PROGRAM} lists is not known")
    tables = [found for line in listed.splitlines() if (found := _TABLE_DATA.fullmatch(line))]
    return DumpContents(
        entries=int(header["TOC Entries"]),
        tables=frozenset(f"{found[1]}.{found[2]}" for found in tables),
        server_version=header.get("Dumped from database version"),
        tool_version=header.get("Dumped by pg_dump version"),
    )


def _too_old(said: str) -> DumpError:
    return DumpError(
        "pg-restore-too-old",
        f"A dump's table of contents cannot be read here: {_PROGRAM} on this machine is older than the pg_dump that "
        f"made it ({said})",
        "Install PostgreSQL's client programs as new as the server, or newer (Debian: postgresql-client-N).",
    )


def _unreadable(why: str) -> DumpError:
    return DumpError("dump-unreadable", f"The dump cannot be read: {why}", "Take a new backup set.")
