"""One file on its way into a store: counted, hashed and encrypted as it passes, in flat memory, and never waited for
without end.

The file is written by a thread of its own, since most protocols have no timeout that could be relied on. Between it and
the source stands a short queue: a source that is faster than the store waits, and a store that takes nothing for long
is given up. The thread is a daemon then, and holds up nobody.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from cluster.encryption import Recipients
from cluster.errors import DowntimeError
from cluster.watched import SilentError

CHUNK_BYTES = 1 << 20
_QUEUED = 8
_LOOK_SECONDS = 0.5


class Destination(Protocol):
    """A file that is being made in a store."""

    def write(self, data: bytes, /) -> None:
        """Take all of it, or raise what the store says."""
        ...

    def commit(self) -> None:
        """See that all of it is there to stay."""
        ...

    def abandon(self) -> None:
        """Leave nothing of it behind, as far as the store allows."""
        ...


@dataclass(frozen=True)
class Written:
    """A file as it lies in the store (``bytes``, ``sha256``), and what it was in the clear."""

    bytes: int
    sha256: str
    clear_bytes: int
    clear_sha256: str


class Outgoing:
    """A sink for one file. Write to it, then ``finish``; whatever else happens, ``abandon``.

    Args:
        create: makes the file in the store; called in the thread.
        recipients: for whom it is encrypted; none: it is not.
        silence_seconds: how long the store may take for a chunk.
        closing_seconds: how long it may take to see that all is there.
        explain: the error for what the store raised, or for a silence.
    """

    def __init__(
        self,
        create: Callable[[], Destination],
        recipients: Recipients,
        silence_seconds: float,
        closing_seconds: float,
        explain: Callable[[Exception], DowntimeError],
    ) -> None:
        self._create = create
        self._recipients = recipients
        self._silence = silence_seconds
        self._closing = closing_seconds
        self._explain = explain
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED)
        self._rest = bytearray()
        self._clear = _Counted()
        self._stored = _Counted()
        self._beaten = time.monotonic()
        self._given_up = threading.Event()
        self._done = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="outgoing", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> DowntimeError | None:
        """What the store said, if it failed: what the source made of that is only what followed from it."""
        return None if self._error is None else self._explain(self._error)

    def write(self, data: bytes, /) -> int:
        """Take the next bytes.

        Raises:
            DowntimeError: the store failed, or took nothing for too long.
        """
        self._see_well()
        view = memoryview(data)
        for start in range(0, len(view), CHUNK_BYTES):
            piece = view[start : start + CHUNK_BYTES]
            self._clear.add(piece)
            self._rest += piece
            if len(self._rest) >= CHUNK_BYTES:
                self._put(bytes(self._rest))
                self._rest.clear()
        return len(view)

    def finish(self) -> Written:
        """All was written: what lies in the store now.

        Raises:
            DowntimeError: the store failed, or was silent for too long.
        """
        if self._rest:
            self._put(bytes(self._rest))
        self._put(None)
        while not self._done.wait(_LOOK_SECONDS):
            self._see_alive(self._closing)
        self._see_well()
        return Written(self._stored.bytes, self._stored.hex(), self._clear.bytes, self._clear.hex())

    def abandon(self) -> bool:
        """Leave nothing of it behind. False: the store still hangs, and something may appear there later."""
        self._given_up.set()
        # If it is full, the thread finds something there, and sees that it was given up.
        with suppress(queue.Full):
            self._queue.put_nowait(None)
        return self._done.wait(self._silence)

    def _put(self, item: bytes | None) -> None:
        while True:
            try:
                return self._queue.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                self._see_well()
                self._see_alive(self._silence)

    def _see_well(self) -> None:
        if self._error is not None:
            raise self._explain(self._error) from None

    def _see_alive(self, seconds: float) -> None:
        if time.monotonic() - self._beaten > seconds and not self._done.is_set():
            self._error = SilentError(f"silent for {seconds:g} s")
            self._see_well()

    def _work(self) -> None:
        destination: Destination | None = None
        # What a callback raises comes out of the encryption as a text: the exception itself is kept here.
        kept: list[Exception] = []
        try:
            destination = self._create()
            reader, writer = _Reader(self._take, kept), _Writer(destination, self._stored, self._beat, kept)
            if self._recipients:
                self._recipients.encrypt(reader, writer)
            else:
                while chunk := reader.read(CHUNK_BYTES):
                    writer.write(chunk)
            self._beat()
            destination.commit()
        except Exception as error:  # noqa: BLE001 - each protocol has exceptions of its own
            # Of a silence that was found before, or a file that is not wanted any more, the end is no news.
            if not self._given_up.is_set():
                self._error = self._error or (kept[0] if kept else error)
            if destination is not None:
                # The first error is the one to tell.
                with suppress(Exception):
                    destination.abandon()
        finally:
            self._done.set()

    def _take(self) -> bytes | None:
        item = self._queue.get()
        self._beat()
        if self._given_up.is_set():
            raise SilentError("given up")
        return item

    def _beat(self) -> None:
        self._beaten = time.monotonic()


class _Counted:
    def __init__(self) -> None:
        self.bytes = 0
        self._seen = hashlib.sha256()

    def add(self, data: bytes | memoryview) -> None:
        self.bytes += len(data)
        self._seen.update(data)

    def hex(self) -> str:
        return self._seen.hexdigest()


class _Reader:
    def __init__(self, take: Callable[[], bytes | None], kept: list[Exception]) -> None:
        self._take = take
        self._kept = kept
        self._chunk = memoryview(b"")
        self._ended = False

    def read(self, size: int, /) -> bytes:
        if not self._chunk and not self._ended:
            try:
                item = self._take()
            except Exception as error:
                self._kept.append(error)
                raise
            self._ended = item is None
            self._chunk = memoryview(item or b"")
        piece = bytes(self._chunk[:size])
        self._chunk = self._chunk[size:]
        return piece


class _Writer:
    def __init__(
        self, destination: Destination, stored: _Counted, beat: Callable[[], None], kept: list[Exception]
    ) -> None:
        self._destination = destination
        self._stored = stored
        self._beat = beat
        self._kept = kept

    def write(self, data: bytes, /) -> int:
        try:
            self._destination.write(data)
        except Exception as error:
            self._kept.append(error)
            raise
        self._stored.add(data)
        self._beat()
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""
