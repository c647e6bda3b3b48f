"""A call with a deadline, for what has none of its own: it runs in a thread, which is given up when the time is over.

The thread is a daemon: a call that never returns holds up neither its caller nor the end of the process.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

T = TypeVar("T")
Beat = Callable[[], None]


class SilentError(Exception):
    """A call that was given up; its text says after what."""


def watched(call: Callable[[Beat], T], silence_seconds: float, total_seconds: float) -> T:
    """What the call returns; it is given up after a silence (it may ``beat``), or when its time is over."""
    beaten = object()
    news: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given_up = threading.Event()

    def beat() -> None:
        if given_up.is_set():
            raise SilentError
        news.put(beaten)

    def work() -> None:
        try:
            news.put((call(beat), None))
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller's thread, whatever it is
            news.put((None, error))

    threading.Thread(target=work, name="watched", daemon=True).start()
    end = time.monotonic() + total_seconds
    while True:
        try:
            # A call that beats for ever is over too when its time is: with nothing left, not even one more is taken.
            left = end - time.monotonic()
            if left <= 0:
                raise queue.Empty
            item = news.get(timeout=min(silence_seconds, left))
        except queue.Empty:
            given_up.set()
            over = time.monotonic() >= end
            said = f"not done after {total_seconds:g} s" if over else f"silent for {silence_seconds:g} s"
            raise SilentError(said) from None
        if item is not beaten:
            result, error = item
            if error is not None:
                raise error
            return cast(T, result)
