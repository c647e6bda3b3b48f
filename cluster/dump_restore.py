"""Restores dumps into a server, and looks at what has become of them.

Databases are made under names of our own, so that nothing on a given server is touched, and are dropped afterwards.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cluster.dump_listing import Listing, complaints, listing
from cluster.errors import Blocked
from cluster.part_stream import Take
from cluster.postgres_server import Child, Server
from cluster.scratch_disk import full

PREFIX = "downtime_rehearsal_"
QUERY_SECONDS = 60.0
_MAINTENANCE = "postgres"
_DUPLICATE_OBJECT = "42710"
_SQLSTATE = re.compile(r"ERROR:\s+([0-9A-Z]{5})\b")
# What psql itself would do; pg_dumpall writes no other command of psql's than these two, which guard against others.
_RESTRICT = re.compile(rb"\\(?:un)?restrict [A-Za-z0-9]+\s*")
_TABLESPACES = re.compile(rb"(?:CREATE|ALTER) TABLESPACE |(?:GRANT|REVOKE) .* ON TABLESPACE ", re.IGNORECASE)
_NO_SPACE = re.compile(r"No space left on device|could not (?:extend|write) file|Disk quota exceeded")
_OURS_NOT_THE_DUMPS = re.compile(
    r"server closed the connection|terminating connection|could not connect|connection to server|"
    r"out of memory|permission denied to create|too many connections|"
    # The server lacks what the dumped one had installed.
    r'extension "[^"]*" is not available|could not open extension control file|'
    r'could not access file "[^"]*": No such file'
)
# Partitions each by themselves, and no table of an extension: as they were counted when the set was taken.
_ROWS = r"""
SET row_security = off;
SELECT format('SELECT json_build_array(%L, count(*)) FROM ONLY %I.%I',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
\gexec
"""

Deliver = Callable[[Take], None]
"""Gives a part's content to its argument (see ``part_stream.deliver``)."""


class EnoughError(Exception):
    """The reader of a part needs no more of it."""


@dataclass(frozen=True)
class Applied:
    """What became of the globals: errors by SQLSTATE, and how many statements about tablespaces were left out."""

    errors: tuple[str, ...]
    tablespaces: int


@contextmanager
def database(server: Server, encoding: str = "UTF8") -> Iterator[str]:
    """An empty database of our own on the server; dropped when the ``with`` is left."""
    name = f"{PREFIX}{secrets.token_hex(6)}"
    options = f"TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
    server.query(_MAINTENANCE, f'CREATE DATABASE :"name" {options};', QUERY_SECONDS, name=name)
    try:
        yield name
    finally:
        if not server.own:
            with suppress(Blocked):
                server.query(_MAINTENANCE, 'DROP DATABASE IF EXISTS :"name" WITH (FORCE);', QUERY_SECONDS, name=name)


def left_over(server: Server) -> list[str]:
    """Databases of rehearsals that were killed, or that run now."""
    sql = "SELECT datname FROM pg_database WHERE starts_with(datname, :'prefix') ORDER BY 1;"
    return server.query(_MAINTENANCE, sql, QUERY_SECONDS, prefix=PREFIX)


def read_listing(programs: Server, deliver: Deliver, seconds: float) -> tuple[Listing | None, list[str]]:
    """The table of contents of a dump, of which only the beginning is read; or what pg_restore complains of."""
    with programs.started("pg_restore", "--list", seconds=seconds, output=True) as child:

        def take(data: bytes) -> None:
            if not child.feed(data):
                raise EnoughError

        with suppress(EnoughError):
            deliver(take)
        code = child.end()
        if code:
            _see_able(programs, child, code, seconds)
            return None, complaints(child.said()) or [f"pg_restore --list ended with {code}"]
        return listing(child.printed()), []


def restore(server: Server, name: str, deliver: Deliver, seconds: float, *, roles: bool) -> list[str]:
    """Restore a dump into a database; what pg_restore complained of, empty: nothing.

    Args:
        roles: the dump's owners exist on the server; else everything belongs to who restores, with no grants.

    Raises:
        Blocked: the server, its disk or the time were at fault, not the dump: ``scratch-full``, ``scratch-server``,
            ``rehearsal-timeout``.
    """
    owners = [] if roles else ["--no-owner", "--no-privileges"]
    # Tablespaces are places on the disks of another machine; a subscription would call another server.
    arguments = ["--no-tablespaces", "--no-subscriptions", "--no-publications", *owners, "--dbname", name]
    with server.started("pg_restore", *arguments, seconds=seconds) as child:
        feed_all(child, deliver)
        code = child.end()
        _see_able(server, child, code, seconds)
        found = complaints(child.said())
        return found or ([f"pg_restore ended with {code}"] if code else [])


def feed_all(child: Child, deliver: Deliver) -> None:
    """Let the program have all of it; what it does not take is read all the same, so that its checksum is known."""
    takes = True

    def take(data: bytes) -> None:
        nonlocal takes
        takes = takes and child.feed(data)

    deliver(take)


def apply_globals(server: Server, script: bytes) -> Applied:
    """Make the roles of a set on a server of our own. Roles that exist are no error.

    Statements hold password hashes, so nothing but error codes is ever asked from psql.

    Raises:
        ValueError: the script holds commands of psql, which could do anything on this machine.
    """
    if not server.own:
        raise AssertionError("the roles of a server that others use are never changed")
    lines = [line for line in script.splitlines(keepends=True) if not _RESTRICT.fullmatch(line)]
    if any(line.lstrip().startswith(b"\\") for line in lines):
        raise ValueError("it holds commands of psql, which pg_dumpall never writes")
    statements = [line for line in lines if not _TABLESPACES.match(line)]
    arguments = ["-Xq", "--dbname", _MAINTENANCE, "--set=VERBOSITY=sqlstate"]
    with server.started("psql", *arguments, seconds=QUERY_SECONDS) as child:
        child.feed(b"".join(statements))
        _see_able(server, child, child.end(), QUERY_SECONDS)
        states = _SQLSTATE.findall(child.said())
    return Applied(tuple(one for one in states if one != _DUPLICATE_OBJECT), len(lines) - len(statements))


def rows(server: Server, name: str, seconds: float) -> dict[str, int]:
    """The rows of each table (``schema.table``)."""
    found = [json.loads(line) for line in server.query(name, _ROWS, seconds)]
    return {str(table): int(count) for table, count in found}


def restored_listing(server: Server, name: str, seconds: float) -> Listing:
    """The listing of what was restored: that of a dump of its schema."""
    arguments = ["--format=custom", "--schema-only", "--no-tablespaces", "--dbname", name]
    with server.started("pg_dump", *arguments, seconds=seconds, output=True) as child:
        if child.end():
            raise _server_failed(child)
        found, complained = read_listing(server, lambda take: take(child.printed_bytes()), seconds)
    if found is None:
        raise Blocked("scratch-server", f"What was restored cannot be listed: {complained[0]}", "Run it again.")
    return found


def _see_able(server: Server, child: Child, code: int, seconds: float) -> None:
    """That the program was not kept from its work by the server, its disk, or the time."""
    if child.overdue:
        raise Blocked(
            "rehearsal-timeout",
            f"Restoring was not done after {seconds:g} s, and was stopped",
            "Rehearse on a faster machine, or give it more time: --hours.",
        )
    # Only of what the program says itself: details quote rows, in which anything may stand.
    said = "\n".join(line for line in child.said().splitlines() if "error: " in line)
    if not code and not said:
        return
    if server.own and (short := full(said)) is not None:
        raise short
    if (found := _NO_SPACE.search(said)) is not None:
        raise Blocked(
            "scratch-full",
            f"The disk of the PostgreSQL server for the rehearsal is full: {found.group()}",
            "Give it room for the databases, or name another server with --server; this says nothing about the backup.",
        )
    if (found := _OURS_NOT_THE_DUMPS.search(said)) is not None:
        raise Blocked(
            "scratch-server",
            f"The PostgreSQL server for the rehearsal could not go on: {found.group()}",
            "See that it runs, install the extension that it lacks, or name another server with --server; this says "
            "nothing about the backup.",
        )


def _server_failed(child: Child) -> Blocked:
    first = next(iter(child.said().splitlines()), "it said nothing")
    return Blocked(
        "scratch-server", f"What was restored could not be looked at: {first[:200]}", "See that the server is well."
    )
