"""Being ended from outside: the command leaves in an orderly way, so that the lock is released at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked this process to end. Not an ``Exception``: nothing on the way may take it for a failed step."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@contextmanager
def orderly() -> Iterator[None]:
    """Within it, SIGINT, SIGTERM and SIGHUP raise ``Interrupted`` once; further ones are ignored.

    By then leaving is under way, which takes seconds at most.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # A signal that was ignored from the start (nohup) stays ignored.
    ours = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]

    def leave(number: int, _frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
