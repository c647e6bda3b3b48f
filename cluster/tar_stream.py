"""Counts the files of a tar that passes by in pieces, and sees that it is whole. Nothing of it is unpacked or kept."""

from __future__ import annotations

import tarfile

_BLOCK = tarfile.BLOCKSIZE
_REGULAR = frozenset(tarfile.REGULAR_TYPES)
_NOTHING = bytes(_BLOCK)


class TarCounter:
    """Reads headers, and passes over what is between them."""

    def __init__(self) -> None:
        self._held, self._skip, self._files, self._ended = b"", 0, 0, False

    def feed(self, data: bytes) -> None:
        """The next bytes.

        Raises:
            tarfile.TarError: it is no tar, or it is damaged.
        """
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        data, self._skip = data[self._skip :], 0
        self._held += data
        while len(self._held) >= _BLOCK and not self._ended:
            block, self._held = self._held[:_BLOCK], self._held[_BLOCK:]
            if block == _NOTHING:
                self._ended = True
                break
            self._pass(tarfile.TarInfo.frombuf(block, "utf-8", "replace"))
        if self._ended:
            self._held = b""

    def files(self) -> int:
        """How many regular files it holds.

        Raises:
            tarfile.TarError: it is cut off.
        """
        if not self._ended:
            raise tarfile.ReadError("it is cut off: a tar ends with empty blocks")
        return self._files

    def _pass(self, found: tarfile.TarInfo) -> None:
        self._files += found.type in _REGULAR
        # Links and folders may name a size, and hold nothing.
        holds = found.type in _REGULAR or found.type not in tarfile.SUPPORTED_TYPES or found.type in _EXTENSIONS
        padded = -(-found.size // _BLOCK) * _BLOCK if holds else 0
        passed = min(padded, len(self._held))
        self._held, self._skip = self._held[passed:], padded - passed


_EXTENSIONS = frozenset(
    {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
)
