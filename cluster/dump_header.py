"""Reads the beginning of a dump in PostgreSQL's custom format: which versions made it, and how much it holds. Pure.

The table of contents stands first in such a file, also where it was written into a pipe; what comes before it tells
the versions of server and pg_dump, and how many entries it has. So a dump that streams by is known for what it is
without a second program that reads it. The layout, archive versions 1.10 (PostgreSQL 8.1) to 1.16 (PostgreSQL 17):
ReadHead and ReadToc in https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/pg_backup_archiver.c
"""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = b"PGDMP"
_CUSTOM = 1
_FIRST, _LATEST = (1, 10), (1, 99)
_COMPRESSION_BYTE = (1, 15)
# The strings in it are a database's name and two versions: it is far shorter.
_LONGEST = 16_384


@dataclass(frozen=True)
class DumpHeader:
    """What a dump says about itself.

    Attributes:
        database: the name of the database that it is of.
        server_version, tool_version: of the server and of pg_dump, without what the packager added (``15.14``).
        entries: entries in its table of contents, the "TOC Entries" of ``pg_restore --list``.
        version: of its format, like ``(1, 14)``.
        number_bytes, offset_bytes: how long a number in it is, without its sign, and a place in the file.
        bytes: how long the header is.
    """

    database: str
    server_version: str
    tool_version: str
    entries: int
    version: tuple[int, int]
    number_bytes: int
    offset_bytes: int
    bytes: int


class NotADumpError(ValueError):
    """The bytes are no dump in the custom format, or not a whole header of one; the text says why."""


def parse(beginning: bytes) -> DumpHeader | None:
    """The header at the beginning of a dump; None: there must be more of it.

    Raises:
        NotADumpError: it is no dump in the custom format, or one of a format that is not known.
    """
    if not beginning.startswith(MAGIC[: len(beginning)]):
        raise NotADumpError("it is no dump in PostgreSQL's custom format")
    try:
        return _parse(_Reader(beginning))
    except IndexError:
        return None


def _parse(reader: _Reader) -> DumpHeader:
    reader.take(len(MAGIC))
    version = (reader.byte(), reader.byte())
    reader.byte()
    if not _FIRST <= version <= _LATEST:
        raise NotADumpError(f"its format {version[0]}.{version[1]} is not known")
    reader.width = reader.byte()
    offset_bytes = reader.byte()
    kind = reader.byte()
    if kind != _CUSTOM:
        raise NotADumpError(f"it is an archive of kind {kind}, not of the custom format")
    if version >= _COMPRESSION_BYTE:
        reader.byte()
    else:
        reader.integer()
    for _ in range(7):  # when it was made: second to year, daylight saving
        reader.integer()
    database, server, tool = reader.text(), reader.text(), reader.text()
    entries = reader.integer()
    return DumpHeader(
        database, _plain(server), _plain(tool), entries, version, reader.width, offset_bytes, reader.position
    )


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self.position, self.width = data, 0, 4

    def take(self, count: int) -> bytes:
        if self.position + count > len(self._data):
            raise IndexError
        piece = self._data[self.position : self.position + count]
        self.position += count
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def integer(self) -> int:
        negative = self.byte() != 0
        value = int.from_bytes(self.take(self.width), "little")
        return -value if negative else value

    def text(self) -> str:
        length = self.integer()
        if length > _LONGEST:
            raise NotADumpError("its header is damaged")
        return self.take(length).decode(errors="replace") if length > 0 else ""


def _plain(version: str) -> str:
    return version.split(" ", maxsplit=1)[0]
