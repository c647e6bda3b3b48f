"""Lines that tell a person what the lab is doing, on standard error so that standard output stays machine-readable."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

EVERY = 5.0


class Progress:
    """Says what happens, with the time since it began; a step that takes long says so every five seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line. A closed terminal is no reason to stop half-way, so errors of the stream are dropped."""
        with self._lock, suppress(OSError, ValueError):
            print(f"[{time.monotonic() - self._began:6.1f}s] {text}", file=self._stream or sys.stderr, flush=True)

    @contextmanager
    def step(self, text: str, detail: Callable[[], str] | None = None) -> Iterator[None]:
        """Say that something begins, that it still goes on (with ``detail()``, if given), and how long it took."""
        began = time.monotonic()
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(EVERY):
                more = detail() if detail else ""
                self.say(f"… {text}: {time.monotonic() - began:.0f} s{', ' + more if more else ''}")

        self.say(f"{text} …")
        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        except BaseException:
            self.say(f"{text}: FAILED after {time.monotonic() - began:.1f} s")
            raise
        finally:
            ended.set()
        self.say(f"{text}: done in {time.monotonic() - began:.1f} s")
