"""How a measurement is run and ends: a table for people, the same as one line of JSON, and an exit status."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import Protocol

from lab import cli
from lab.errors import LabError
from lab.layout import Lab


class Result(Protocol):
    """What was measured."""

    @property
    def good(self) -> bool:
        """Whether the target is met."""
        ...

    def text(self) -> str:
        """For people."""
        ...

    def document(self) -> dict[str, object]:
        """For programs."""
        ...


def end(measure: Callable[[], Result]) -> int:
    """Measure and print; 0 if the target is met, 1 if not or if something failed, 130 if it was interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        result = measure()
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(result.text())
    print()
    print(json.dumps(result.document()))
    return 0 if result.good else 1


@contextmanager
def lab_of_its_own(name: str, *size: str) -> Iterator[Lab]:
    """A lab that is up; it is taken down at the end. What that prints is kept away from the result."""
    with redirect_stdout(sys.stderr):
        if cli.main(["up", "--name", name, *size]):
            raise LabError(f"the lab {name} did not come up")
    try:
        yield Lab(name)
    finally:
        with redirect_stdout(sys.stderr):
            cli.main(["down", "--name", name])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
