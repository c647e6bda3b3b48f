"""What is saved of a PostgreSQL server: each of its databases as a dump in the custom format, and its globals.

Custom format, as it is the one that pg_restore can list, restore in part, and check. The globals hold roles with their
passwords' hashes: without them a dump's owners and grants have nobody to belong to.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from cluster import snapshot_session
from cluster.database_server import Server, ServerAway
from cluster.dump_header import DumpHeader, NotADumpError
from cluster.dump_walk import DumpWalk
from cluster.errors import Blocked, Failed
from cluster.part_source import FileSource, Produced, Sink
from cluster.probing import probe
from cluster.programs import lines, tail
from cluster.showing import shown
from cluster.snapshot_session import Moment

_PART_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_END_OF_GLOBALS = b"PostgreSQL database cluster dump complete"
REQUIRED = "backend"
# A server that restarts is back within a minute.
_AWAY_SECONDS = 60.0
# Of a server outside, only what is this login's: others' databases may lie beside. The system's own database is saved
# where somebody has put something into it.
_LIST = """
SELECT json_build_object('name', datname)
FROM pg_database
WHERE datallowconn AND NOT datistemplate AND pg_has_role(current_user, datdba, 'member')
  AND (datname <> 'postgres'
       OR (datname = current_database()
           AND EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_')))
ORDER BY datname;
SELECT json_build_object('superuser', rolsuper) FROM pg_roles WHERE rolname = current_user;
"""


@dataclass(frozen=True)
class Found:
    """What there is to be saved on a server."""

    databases: tuple[str, ...]
    superuser: bool


def look(server: Server, patience: float = _AWAY_SECONDS) -> Found:
    """Which databases the server holds; proves the login on the way.

    Args:
        patience: for how many seconds a server that does not answer is asked again.

    Raises:
        Blocked: ``database-login``, ``database-unreachable``, ``no-databases``; and as a program in a pod is refused.
    """
    away: list[ServerAway] = []

    def ask() -> Found | None:
        try:
            return _look(server)
        except ServerAway as error:
            away.append(error)
            return None

    found = probe(ask, patience)
    if found is None:
        raise away[-1]
    if not found.databases:
        raise Blocked(
            "no-databases",
            f"{server} holds no database that belongs to {server.login.user}",
            "See which user and server the release names.",
        )
    return found


def require(server: Server, found: Found) -> None:
    """See that the control plane's own database is there, under the name that the recovery gate asks for.

    Raises:
        Blocked: ``no-backend-database``.
    """
    if REQUIRED not in found.databases:
        raise Blocked(
            "no-backend-database",
            f"{server} holds no database {REQUIRED} that belongs to {server.login.user}, only "
            f"{shown(', '.join(found.databases), 200)}: the recovery gate would refuse a set without it",
            f"A control plane whose database is called otherwise cannot be saved by this version. If it is called "
            f"{REQUIRED}, see which user and server the release names.",
        )


def _look(server: Server) -> Found:
    names: list[str] = []
    superuser = False
    with server.started(snapshot_session.PSQL, server.first) as program:
        program.write(_LIST.encode() + b"\\q\n")
        for line in lines(program):
            said = json.loads(line)
            if "name" in said:
                names.append(str(said["name"]))
            superuser = superuser or bool(said.get("superuser"))
        server.succeeded("psql", program.ended())
    return Found(tuple(names), superuser)


def sources(server: Server, found: Found) -> list[FileSource]:
    """The globals and a dump of each database."""
    return [_globals(server, found.superuser), *(_database(server, name) for name in found.databases)]


def _database(server: Server, database: str) -> FileSource:
    name = part_name(database)

    def produce(sink: Sink) -> Produced:
        with snapshot_session.opened(server, database) as moment:
            moment.begin_counting()
            seen = _dumped(moment, database, sink)
            rows = moment.counted()
        return Produced(
            began=moment.began,
            database=database if database != name else None,
            entries=seen.entries,
            tables=rows,
            server_version=seen.server_version,
            tool_version=seen.tool_version,
        )

    return FileSource("database", name, f"postgresql/{name}.dump", produce)


def _dumped(moment: Moment, database: str, sink: Sink) -> DumpHeader:
    walk = DumpWalk()
    argv = ("pg_dump", "--format=custom", "--no-password", "--lock-wait-timeout=120s", f"--snapshot={moment.snapshot}")
    with moment.server.started(argv, database) as dump:
        try:
            for chunk in dump.chunks():
                walk.write(chunk)
                sink.write(chunk)
                moment.program.beat()
            moment.server.succeeded("pg_dump", dump.ended())
            return walk.end()
        except NotADumpError as error:
            raise Failed(
                "dump-unreadable",
                f"What pg_dump wrote of database {database} cannot be used: {error}",
                "See whether the pg_dump beside the server is PostgreSQL's own, then run the same command again.",
            ) from None


def _globals(server: Server, superuser: bool) -> FileSource:
    # Only a superuser may read the hashes of passwords; without them, people must set new ones after a restore.
    argv = (
        "pg_dumpall",
        "--globals-only",
        "--no-password",
        f"--database={server.first}",
        *(() if superuser else ("--no-role-passwords",)),
    )

    def produce(sink: Sink) -> Produced:
        end = b""
        with server.started(argv, server.first) as program:
            for chunk in program.chunks():
                sink.write(chunk)
                end = tail(end, chunk)
            server.succeeded("pg_dumpall", program.ended())
        if _END_OF_GLOBALS not in end:
            raise Failed("dump-unreadable", f"The globals of {server} are cut off", "Run the same command again.")
        return Produced()

    return FileSource("database-globals", "globals", "postgresql/globals.sql", produce)


def part_name(database: str) -> str:
    """What the part of a database is called: its name, or, if that is no plain word, what is like it and unique."""
    if _PART_NAME.fullmatch(database):
        return database
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", database)[:60].strip("-._") or "database"
    return f"{plain}-{hashlib.sha256(database.encode()).hexdigest()[:12]}"
