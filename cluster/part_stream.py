"""Reads a part of a set back in the clear, as a stream: decrypted and checked on the way, with flat memory.

What was delivered is known to be good only when ``deliver`` has returned: age authenticates each 64 KiB before it is
given out, but that the end is the end is seen there, and so are both checksums.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from typing import Any

from cluster.backups import OpenedFile, Store
from cluster.manifest import Part

_PIECE = 1 << 20
Take = Callable[[bytes], None]


class DamagedError(Exception):
    """The part is not what its manifest says; the text says how."""


class WrongKeyError(Exception):
    """The part is whole, and none of the keys is one that it was encrypted for."""


def deliver(store: Store, set_id: str, part: Part, identities: Sequence[Any], take: Take) -> None:
    """Give ``take`` the part's content in the clear, piece by piece.

    Args:
        identities: see ``age_identity``; needed for encrypted parts only.
        take: what it raises ends the reading, and comes out of here as it is.

    Raises:
        DamagedError: truncated, changed, not decryptable, or not what was seen when it was taken.
        WrongKeyError: no key fits.
        FileRefused, StoreError: it cannot be read.
    """
    with store.opened(set_id, part.path or "") as file:
        source = _Source(file)
        clear = _Taker(take)
        if part.encrypted:
            _decrypt(source, clear, identities, part)
        else:
            while data := source.file.read(_PIECE):
                clear.write(data)
        _require_stored(source, part)
    seen = part.contents
    if seen is not None and (clear.count, clear.digest.hexdigest()) != (seen.bytes, seen.sha256):
        raise DamagedError("in the clear it is not what was written when the set was taken")


def _decrypt(source: _Source, clear: _Taker, identities: Sequence[Any], part: Part) -> None:
    import pyrage

    try:
        pyrage.decrypt_io(source.buffered, clear, list(identities))
    except BaseException as error:
        # The library wraps what its files raise, even a signal's exception, in errors of its own.
        for inner in (source.error, clear.error):
            if inner is not None:
                raise inner from None
        if not isinstance(error, (pyrage.DecryptError, OSError)):
            raise
        _require_stored(source, part)
        if isinstance(error, pyrage.DecryptError) and "matching keys" in str(error):
            raise WrongKeyError from None
        raise DamagedError("it has the right checksum and cannot be decrypted: it was stored like this") from None


def _require_stored(source: _Source, part: Part) -> None:
    """Read what is left, and see that the file in the store is the one that the manifest describes."""
    while source.file.read(_PIECE):
        pass
    raw = source.raw
    if raw.count != part.bytes:
        raise DamagedError(f"it has {raw.count} bytes, not {part.bytes}")
    if raw.digest.hexdigest() != part.sha256:
        raise DamagedError("its checksum is not that of the manifest: it was changed after it was written")


class _Raw(io.RawIOBase):
    """The file in the store, counted and hashed as it passes."""

    def __init__(self, file: OpenedFile) -> None:
        self._file, self.count, self.digest = file, 0, hashlib.sha256()
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any, /) -> int:
        try:
            data = self._file.read(len(target))
        except BaseException as error:
            self.error = error
            raise
        target[: len(data)] = data
        self.count += len(data)
        self.digest.update(data)
        return len(data)


class _Source:
    """The same, for a reader that asks for a few kilobytes at a time."""

    def __init__(self, file: OpenedFile) -> None:
        self.raw = _Raw(file)
        self.file = self.buffered = io.BufferedReader(self.raw, _PIECE)

    @property
    def error(self) -> BaseException | None:
        return self.raw.error


class _Taker:
    """Where the clear text goes, counted and hashed as it passes."""

    def __init__(self, take: Take) -> None:
        self._take, self.count, self.digest = take, 0, hashlib.sha256()
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        self.count += len(data)
        self.digest.update(data)
        try:
            self._take(data)
        except BaseException as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""
