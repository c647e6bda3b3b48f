"""Follows a dump in PostgreSQL's custom format from its first byte to its last, as it passes: is all of it there?

The table of contents stands first, and names what has data. The data follow, a block for each, in pieces that tell
their length, and a length of 0 at the end. A dump that was written into a pipe tells no places in the file, so this
order is all that there is to go by: one that was cut off ends within a block, or lacks some. Nothing is decompressed
and nothing kept, so it costs little, and no memory.

Only what is known to be wrong is said to be. Of a later format than those read here nothing is said but its header.
Layout, archive versions 1.12 (PostgreSQL 9.0) to 1.16 (PostgreSQL 17 and 18): ReadToc and ReadOffset in
https://github.com/postgres/postgres/blob/master/src/bin/pg_dump/pg_backup_archiver.c, and _PrintTocData, _skipData and
_skipLOs in pg_backup_custom.c beside it.
"""

from __future__ import annotations

from collections.abc import Generator

from cluster.dump_header import DumpHeader, NotADumpError, parse
from cluster.showing import shown

_READ = (1, 12), (1, 16)
_SECTION_SINCE_LONG, _ACCESS_METHOD, _RELATION_KIND = (1, 11), (1, 14), (1, 16)
_DATA, _LARGE_OBJECTS = 1, 3
_NO_DATA = 3
# No definition of anything is that long: what says so is damaged.
_LONGEST_TEXT = 64 << 20
# The longest header that ``dump_header`` takes.
_HEADER_BYTES = 65_536
_NAMED = 3

_Steps = Generator[int, bytes, None]
"""Yields how many bytes it wants next, or, negative, how many it passes over."""


class _NotReadHereError(Exception):
    """A dump that is not followed: later than what is known here, or its table is damaged, which pg_restore tells."""


class DumpWalk:
    """One dump that passes: ``write`` takes its bytes as they come, ``end`` tells whether they were all."""

    def __init__(self) -> None:
        self.header: DumpHeader | None = None
        self._lacking: dict[int, str] = {}
        self._within = ""
        self._buffer = bytearray()
        self._steps: _Steps | None = None
        self._wants = 0

    def write(self, data: bytes, /) -> int:
        """Take the next bytes of the dump.

        Raises:
            NotADumpError: it is none in the custom format.
        """
        if self.header is None:
            self._buffer += data
            self._begin()
        elif self._steps is not None:
            self._go_on(self._steps, data)
        return len(data)

    def end(self) -> DumpHeader:
        """The header of a dump that is whole, as far as can be told.

        Raises:
            NotADumpError: it is not; the text says what it lacks.
        """
        if self.header is None:
            raise NotADumpError(f"it ends, or is unreadable, within its header ({len(self._buffer)} bytes)")
        if self._within:
            raise NotADumpError(f"it was cut off: it ends within {self._within}")
        if self._lacking:
            names = list(self._lacking.values())
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise NotADumpError(f"it was cut off: it ends before {', '.join(names[:_NAMED])}{more}")
        return self.header

    def _begin(self) -> None:
        self.header = parse(bytes(self._buffer[:_HEADER_BYTES]))
        if self.header is None:
            if len(self._buffer) > _HEADER_BYTES:
                raise NotADumpError("its header is damaged")
            return
        rest = bytes(self._buffer[self.header.bytes :])
        self._buffer.clear()
        if _READ[0] <= self.header.version <= _READ[1]:
            self._steps = self._walk(self.header)
            self._wants = next(self._steps, 0)
            self._go_on(self._steps, rest)

    def _go_on(self, steps: _Steps, data: bytes) -> None:
        at, size = 0, len(data)
        try:
            while True:
                if self._wants < 0:
                    passed = min(-self._wants, size - at)
                    at, self._wants = at + passed, self._wants + passed
                    if self._wants < 0:
                        return
                    self._wants = steps.send(b"")
                    continue
                missing = self._wants - len(self._buffer)
                if size - at < missing:
                    self._buffer += data[at:]
                    return
                piece = bytes(self._buffer) + data[at : at + missing]
                at += missing
                self._buffer.clear()
                self._wants = steps.send(piece)
        except StopIteration:
            # What follows the last block is never read by a restore either.
            self._steps = None
        except _NotReadHereError:
            self._steps, self._within, self._lacking = None, "", {}

    def _walk(self, header: DumpHeader) -> _Steps:
        self._within = "its table of contents"
        for _ in range(header.entries):
            number, name, has_data = yield from _entry(header)
            if has_data:
                self._lacking[number] = name
        while self._lacking:
            self._within = ""
            kind = (yield 1)[0]
            self._within = "a block of data"
            number = yield from _number(header)
            # pg_restore passes over a block that is in no table of contents.
            self._within = self._lacking.get(number, "a block of data")
            if kind == _DATA:
                yield from _pieces(header)
            elif kind == _LARGE_OBJECTS:
                while (yield from _number(header)):
                    yield from _pieces(header)
            else:
                raise _NotReadHereError
            self._lacking.pop(number, None)
        self._within = ""


def _entry(header: DumpHeader) -> Generator[int, bytes, tuple[int, str, bool]]:
    """One entry of the table of contents: its number, what it is, and whether it has data."""
    number = yield from _number(header)
    yield from _number(header)
    yield from _text(header)
    yield from _text(header)
    tag = yield from _text(header)
    what = yield from _text(header)
    if header.version >= _SECTION_SINCE_LONG:
        yield from _number(header)
    for _ in range(3):  # definition, its removal, the COPY statement
        yield from _text(header)
    schema = yield from _text(header)
    yield from _text(header)  # tablespace
    if header.version >= _ACCESS_METHOD:
        yield from _text(header)
    if header.version >= _RELATION_KIND:
        yield from _number(header)
    yield from _text(header)  # owner
    yield from _text(header)  # with OIDs
    while (yield from _text(header)) is not None:  # what it depends on
        pass
    state = (yield 1)[0]
    yield header.offset_bytes
    return number, _called(what, schema, tag), state != _NO_DATA


def _called(what: str | None, schema: str | None, tag: str | None) -> str:
    if what == "TABLE DATA":
        return f"the rows of {shown(f'{schema}.{tag}', 120)}"
    return shown(f"{what} {tag}", 120)


def _pieces(header: DumpHeader) -> Generator[int, bytes, None]:
    width = header.number_bytes
    while length := int.from_bytes((yield width + 1)[1:], "little"):
        yield -length


def _number(header: DumpHeader) -> Generator[int, bytes, int]:
    said = yield header.number_bytes + 1
    value = int.from_bytes(said[1:], "little")
    return -value if said[0] else value


def _text(header: DumpHeader) -> Generator[int, bytes, str | None]:
    length = yield from _number(header)
    if length < 0:
        return None
    if length > _LONGEST_TEXT:
        raise _NotReadHereError
    return (yield length).decode(errors="replace") if length else ""
