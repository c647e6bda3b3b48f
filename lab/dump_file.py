"""Small files in the custom format of pg_dump (archive version 1.14), made without a server.

For sets that only the recovery check reads: ``pg_restore --list`` takes them for what they say, and all their data is
there; but what is in it are no rows, so that they cannot be restored.
"""

from __future__ import annotations

from collections.abc import Sequence

VERSION = "15.14 (Debian 15.14-0+deb12u1)"

_PRE_DATA, _DATA = 2, 3
_POSITION_NOT_SET, _NO_DATA = 1, 3
_BLOCK_OF_DATA = 1
# As pg_dump writes what zlib gives it.
_PIECE = 4096


def dump(
    tables: Sequence[str] = ("projects", "departments", "workloads", "users"),
    *,
    database: str = "backend",
    server_version: str = VERSION,
    tool_version: str = VERSION,
    rows: bool = True,
    padding: int = 0,
) -> bytes:
    """The bytes of a dump that holds these tables of the schema ``public``.

    Args:
        rows: without them it is what ``pg_dump --schema-only`` makes.
        padding: so many bytes of data, in the block of the last table.
    """
    entries = [_entry(2 * at + 1, table, "TABLE", _PRE_DATA) for at, table in enumerate(tables)]
    if rows:
        entries += [_entry(2 * at + 2, table, "TABLE DATA", _DATA) for at, table in enumerate(tables)]
    head = b"PGDMP" + bytes([1, 14, 0, 4, 8, 1])
    moment = b"".join(map(_int, (-1, 22, 46, 8, 24, 10, 126, 0)))  # compression; 2026-11-24 08:46:22
    names = _text(database) + _text(server_version) + _text(tool_version)
    return (
        head
        + moment
        + names
        + _int(len(entries))
        + b"".join(entries)
        + (_blocks(len(tables), padding) if rows else b"")
    )


def _blocks(tables: int, padding: int) -> bytes:
    made = [_block(2 * at + 2, padding if at == tables - 1 else 0) for at in range(tables)]
    return b"".join(made)


def _block(number: int, content: int) -> bytes:
    whole, rest = divmod(content, _PIECE)
    pieces = (_int(_PIECE) + bytes(_PIECE)) * whole + (_int(rest) + bytes(rest) if rest else b"")
    return bytes([_BLOCK_OF_DATA]) + _int(number) + pieces + _int(0)


def _entry(number: int, table: str, what: str, section: int) -> bytes:
    data = section == _DATA
    definition = None if data else f"CREATE TABLE public.{table} (id bigint);\n"
    copy = f"COPY public.{table} (id) FROM stdin;\n" if data else None
    texts = (definition, None if data else f"DROP TABLE public.{table};\n", copy, "public", None, "heap", "postgres")
    offset = bytes([_POSITION_NOT_SET if data else _NO_DATA]) + bytes(8)
    return b"".join(
        [
            _int(number),
            _int(int(data)),
            *map(_text, ("1259", str(16384 + number), table, what)),
            _int(section),
            *map(_text, texts),
            _text("false"),
            _text(None),
            offset,
        ]
    )


def _int(number: int) -> bytes:
    return bytes([number < 0]) + abs(number).to_bytes(4, "little")


def _text(text: str | None) -> bytes:
    return _int(-1) if text is None else _int(len(text.encode())) + text.encode()
