"""Waiting with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lab.errors import LabError, tail

T = TypeVar("T")


def until(
    look: Callable[[], T], *, seconds: float, what: str | Callable[[], str], log: Path | None = None, every: float = 0.2
) -> T:
    """Look again and again until the answer is truthy, and return it.

    Raises LabError after ``seconds``, saying ``what`` is not so, with the last lines of ``log``.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            said = what if isinstance(what, str) else what()
            raise LabError(f"{said} after {seconds:g} s" + (f"\n{tail(log)}" if log else ""))
        time.sleep(every)
