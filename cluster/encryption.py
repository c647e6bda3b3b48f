"""Encryption of backup sets with age (https://age-encryption.org/v1), as a stream: a dump of any size in flat memory.

A set is encrypted for recipients, that is for public keys: whoever takes backups cannot read them again. The private
key is needed for a rehearsal and a restore alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from cluster.errors import Misused
from cluster.showing import shown

ENDING = ".age"
# The first line of a file, and more than any header is long.
MAGIC = b"age-encryption.org/v1\n"
HEADER_BYTES = 65_536
_HOW = (
    "Make a key pair with 'age-keygen -o KEY.txt', keep KEY.txt away from here, and write the line after "
    '"Public key:" (age1…), or an SSH public key, into [recovery] recipients.'
)


class Reader(Protocol):
    """Where the clear text comes from; empty: it has ended."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""
        ...


class Writer(Protocol):
    """Where the encrypted file goes."""

    def write(self, data: bytes, /) -> int:
        """Take all of it."""
        ...

    def flush(self) -> None:
        """Nothing need be done."""
        ...


class Recipients:
    """For whom a set is encrypted. Made before anything is read, so that a misspelt key is found in time.

    Args:
        keys: age or SSH public keys; none: nothing is encrypted.

    Raises:
        Misused: ``bad-recipient``: one is no public key.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self.keys = tuple(key.strip() for key in keys)
        self._parsed = [_parsed(key) for key in self.keys]

    def __bool__(self) -> bool:
        return bool(self.keys)

    def encrypt(self, reader: Reader, writer: Writer) -> None:
        """Encrypt all that the reader gives. What reader or writer raise ends it, as an exception of pyrage's own."""
        import pyrage

        pyrage.encrypt_io(reader, writer, self._parsed)


def stored_bytes(beginning: bytes, clear_bytes: int) -> int | None:
    """How large an age file is that begins like this and holds so many bytes; None: it does not begin as one does.

    After the header come a nonce of 16 bytes and pieces of 64 KiB, each with 16 bytes of its own; there is at least one
    piece (https://age-encryption.org/v1, "Payload").
    """
    last = re.search(rb"^--- [^\n]*\n", beginning, re.MULTILINE)
    if not beginning.startswith(MAGIC) or last is None:
        return None
    return last.end() + 16 + clear_bytes + 16 * max(1, -(-clear_bytes // 65_536))


def _parsed(key: str) -> Any:
    import pyrage

    # A private key is given here by mistake sooner or later: it must not be repeated in a message.
    if "SECRET-KEY" in key.upper() or "PRIVATE KEY" in key.upper():
        raise Misused("bad-recipient", "A private key stands in [recovery] recipients", f"Take it out of there. {_HOW}")
    reader = pyrage.ssh if key.startswith("ssh-") else pyrage.x25519
    try:
        return reader.Recipient.from_str(key)
    except pyrage.RecipientError as error:
        raise Misused(
            "bad-recipient", f"{key[:24]!r} in [recovery] recipients is no public key: {shown(str(error), 100)}", _HOW
        ) from None
