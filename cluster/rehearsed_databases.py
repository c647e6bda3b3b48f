"""The databases of a set, restored in rehearsal and compared with what they were."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from cluster import dump_restore
from cluster.dump_listing import Listing, missing, other_rows, some
from cluster.errors import Blocked
from cluster.manifest import Manifest, Part
from cluster.part_stream import DamagedError, Take
from cluster.postgres_programs import major_of, needed
from cluster.postgres_server import Server

_LISTING_SECONDS = 600.0
_OLDER = "Name a server, or install programs, of the version that the dump comes from."


class Reader(Protocol):
    """Reads parts in the clear; see ``rehearsal.PartReader``."""

    def deliver(self, part: Part, take: Take) -> None:
        """Give ``take`` all of it."""
        ...

    def whole(self, part: Part) -> bytes:
        """All of a small one."""
        ...


class Add(Protocol):
    """Adds a line to the report."""

    def __call__(self, level: Any, check: str, reason: str, remedy: str = "") -> None:
        """See ``rehearsal.Report.add``."""
        ...


def rehearse(manifest: Manifest, reader: Reader, server_for: Callable[[int], Any], seconds: float, add: Add) -> None:
    """Restore every database of the set into one server; the roles first.

    Raises:
        Blocked: it could not be made, which says nothing about the set.
    """
    dumps = [part for part in manifest.files if part.kind == "database"]
    roles = [part for part in manifest.files if part.kind == "database-globals"]
    for part in manifest.parts:
        if part.kind == "database" and part.external is not None:
            add("WARN", part.title, f"is declared to be at {part.external.where}: it was not rehearsed")
    if not dumps:
        if not any(part.kind == "database" for part in manifest.parts):
            add("FAILED", "databases", "the set holds none")
        return
    with server_for(max(_major(part) for part in dumps)) as server:
        made = [_globals(server, reader, part, add) for part in roles]
        if not roles:
            add("WARN", "database-globals", "the set holds no roles: owners and grants were not rehearsed")
        for part in dumps:
            _database(server, reader, part, seconds, all(made) and bool(made), add)
        if not server.own and (left := dump_restore.left_over(server)):
            remedy = "Drop them, if no other rehearsal is running."
            add("WARN", "server", f"holds databases of rehearsals that were killed: {some(left)}", remedy)


def _major(part: Part) -> int:
    """What a dump needs at least: the version of its server, or of the pg_dump that made it."""
    seen = part.contents
    return needed(seen.server_version, seen.tool_version) if seen is not None else 0


def _globals(server: Server, reader: Reader, part: Part, add: Add) -> bool:
    """Make the roles; whether they are there now."""
    try:
        script = reader.whole(part)
        if not server.own:
            add("WARN", part.title, "read back whole; not applied, since the server is others' as well")
            return False
        applied = dump_restore.apply_globals(server, script)
    except (DamagedError, ValueError) as error:
        add("FAILED", part.title, str(error))
        return False
    if applied.errors:
        add(
            "FAILED",
            part.title,
            f"PostgreSQL refused {len(applied.errors)} statements (SQLSTATE {some(applied.errors)})",
        )
        return False
    if applied.tablespaces:
        remedy = "Before a real restore, make their folders on the new server."
        add("WARN", part.title, f"{applied.tablespaces} statements about tablespaces were left out", remedy)
    roles = len(server.query("postgres", "SELECT 1 FROM pg_roles WHERE rolname !~ '^pg_';", 60)) - 1
    add("PASS", part.title, f"applied: {roles} roles")
    return True


def _database(server: Server, reader: Reader, part: Part, seconds: float, roles: bool, add: Add) -> None:
    began = time.monotonic()
    listed, complaints = dump_restore.read_listing(
        server, lambda take: _beginning(reader, part, take), _LISTING_SECONDS
    )
    if listed is None:
        _unreadable(reader, part, complaints, server, add)
        return
    version = needed(listed.server_version, listed.tool_version)
    if version > (major_of(server.version) or 0):
        raise Blocked(
            "postgres-too-old",
            f"The dump of {part.title} comes from PostgreSQL {version}, and the server is {server.version}",
            _OLDER,
        )
    with dump_restore.database(server) as name:
        try:
            complaints = dump_restore.restore(
                server, name, lambda take: reader.deliver(part, take), seconds, roles=roles
            )
        except DamagedError as error:
            add("FAILED", part.title, str(error))
            return
        if complaints:
            add("FAILED", part.title, f"pg_restore failed {len(complaints)} times: {some(complaints)}")
        _compare(server, name, part, listed, seconds, add)
    if not complaints:
        took = f"in {time.monotonic() - began:.1f} s into PostgreSQL {server.version}"
        add("PASS", part.title, f"restored {took} (dumped from {listed.server_version or 'an unknown version'})")


def _compare(server: Server, name: str, part: Part, listed: Listing, seconds: float, add: Add) -> None:
    lacking = missing(listed, dump_restore.restored_listing(server, name, seconds))
    if lacking:
        add("FAILED", f"{part.title} schema", f"{len(lacking)} objects were not restored: {some(lacking)}")
    else:
        add("PASS", f"{part.title} schema", f"all that the dump lists is there: {listed.summary}")
    seen = part.contents
    if seen is not None and seen.entries is not None and listed.entries != seen.entries:
        add("FAILED", f"{part.title} contents", f"the dump lists {listed.entries} entries, not {seen.entries}")
    if seen is None or seen.tables is None:
        add("WARN", f"{part.title} rows", "were not counted when the set was taken, and cannot be compared")
        return
    found = dump_restore.rows(server, name, seconds)
    if differing := other_rows(seen.tables, found):
        add("FAILED", f"{part.title} rows", f"{len(differing)} tables differ: {some(differing)}")
    else:
        number = sum(found.values())
        add("PASS", f"{part.title} rows", f"as counted in the dump's snapshot: {number} in {len(found)} tables")


def _beginning(reader: Reader, part: Part, take: Take) -> None:
    # What is wrong with the rest is found, and told, when all of it is read.
    with suppress(DamagedError):
        reader.deliver(part, take)


def _unreadable(reader: Reader, part: Part, complaints: list[str], server: Server, add: Add) -> None:
    """Say why the table of contents cannot be read: it was changed, or it was stored like this."""
    if any("unsupported version" in one for one in complaints):
        raise Blocked(
            "postgres-too-old",
            f"The dump of {part.title} is of a newer PostgreSQL than pg_restore {server.programs.version} can read",
            _OLDER,
        )
    try:
        reader.deliver(part, lambda _: None)
    except DamagedError as error:
        add("FAILED", part.title, str(error))
        return
    add("FAILED", part.title, f"pg_restore cannot read its table of contents: {some(complaints)}")
