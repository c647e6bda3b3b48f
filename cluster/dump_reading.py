"""Reads a dump of a set back: what its table of contents lists, and whether all of its data is there. One pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.backups import Store
from cluster.dump_contents import DumpContents, DumpError, Listing
from cluster.dump_header import NotADumpError
from cluster.dump_walk import DumpWalk
from cluster.errors import Blocked
from cluster.manifest import Part
from cluster.part_stream import deliver
from cluster.postgres_programs import READER, Programs, find, needed


def look_into(
    store: Store,
    set_id: str,
    part: Part,
    identities: Sequence[Any],
    postgres: Path | None,
    beat: Callable[[], object],
) -> tuple[DumpContents | None, DumpError | None]:
    """What the dump holds, or why that cannot be told. When this returns, the file is what the manifest says.

    Args:
        identities: private keys, where it is encrypted.
        postgres: the folder with PostgreSQL's programs; None: where they usually are.
        beat: is called for each piece; what it raises ends the reading.

    Raises:
        DamagedError, WrongKeyError, FileRefused, StoreError: as ``part_stream.deliver``.
        DumpError: pg_restore hangs.
    """
    try:
        programs = _programs(part, postgres)
    except DumpError as missing:
        return None, _passed(None, lambda take: deliver(store, set_id, part, identities, take), beat) or missing
    with Listing(programs) as listing:
        cut_off = _passed(listing, lambda take: deliver(store, set_id, part, identities, take), beat)
        try:
            contents = listing.result()
        except DumpError as error:
            return None, error
    return (None, cut_off) if cut_off is not None else (contents, None)


def unreadable(why: str) -> DumpError:
    """The error of a dump that is no whole one."""
    return DumpError("dump-unreadable", f"The dump cannot be read: {why}", "Take a new backup set.")


def _passed(
    listing: Listing | None, deliver_to: Callable[[Callable[[bytes], None]], None], beat: Callable[[], object]
) -> DumpError | None:
    """Let all of it pass; the error, if it was cut off."""
    walk = DumpWalk()

    def take(data: bytes) -> None:
        beat()
        if listing is not None:
            listing.write(data)
        # What is no such dump at all, pg_restore says in its own words; or it reads another format of its own.
        with suppress(NotADumpError):
            walk.write(data)

    deliver_to(take)
    try:
        if walk.header is not None:
            walk.end()
    except NotADumpError as error:
        return unreadable(str(error))
    return None


def _programs(part: Part, folder: Path | None) -> Programs:
    seen = part.contents
    try:
        return find(READER, needed(seen.server_version, seen.tool_version) if seen is not None else 0, folder)
    except Blocked as error:
        message = f"A dump's table of contents cannot be read here: {error.message}"
        raise DumpError(error.code, message, error.remedy) from None
