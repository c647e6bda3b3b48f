"""A program that runs somewhere else, a pod or this machine, as a stream: the interface that both share.

Whoever reads a database needs not know where its tools run: :mod:`cluster.pod_exec` runs them in the database's pod,
:mod:`cluster.local_program` here, against a server outside of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from cluster.reach import MASKER

# What a program says of an error is at the end; the rest may be megabytes of warnings.
STDERR_BYTES = 8192


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit status; of one that a signal ended, 128 and the signal's number, or the negative number.
        said: the last of what it wrote to standard error. Not masked.
    """

    code: int
    said: str

    @property
    def summary(self) -> str:
        """What it said in one line, for a message: masked, as half a secret would not be known for one."""
        return " ".join(MASKER.mask(self.said).split())[-500:] or "it said nothing"


@dataclass(frozen=True)
class Deadlines:
    """How long is waited for a program, in seconds.

    Attributes:
        refused: for how long one that cannot be started is tried again.
        silence: for how long it may write nothing while its output is waited for.
        total: for how long it may run.
    """

    refused: float = 60.0
    silence: float = 300.0
    total: float = 6 * 3600.0


DEADLINES = Deadlines()
"""For what takes as long as a dump of many gigabytes may."""


class Program(Protocol):
    """A program that was started. It ends, or is cut off, when its ``with`` is left."""

    def write(self, data: bytes) -> None:
        """Give it more of its standard input."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Its standard output as it comes, until it ends. What was begun may be gone on with by another call.

        Raises:
            Failed: it was silent or ran for too long, or the connection broke.
        """
        ...

    def beat(self) -> None:
        """Keep a connection alive on which nothing is read for long. Cheap enough to be called for each chunk."""
        ...

    def ended(self) -> Ended:
        """How it ended; reads and drops what is left of its output."""
        ...


def lines(program: Program) -> Iterator[str]:
    """The output as lines, as they come."""
    rest = b""
    for chunk in program.chunks():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def tail(old: bytes, more: bytes) -> bytes:
    """The end of both, at most ``STDERR_BYTES``."""
    return (old + more)[-STDERR_BYTES:]
