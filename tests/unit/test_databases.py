"""What is saved of a real PostgreSQL server, and what becomes of the faults that it may have meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import databases, dump_header
from cluster.database_server import Server, ServerAway
from cluster.databases import Found
from cluster.dump_walk import DumpWalk
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.part_source import FileSource, Produced
from cluster.programs import Deadlines
from tests.unit.running_postgres import PASSWORD, PROGRAMS, Postgres, postgres

CONTENT = """
CREATE TABLE workloads (id bigserial PRIMARY KEY, name text, body text);
INSERT INTO workloads (name, body) SELECT 'w' || n, md5(n::text) || md5((n + 1)::text) FROM generate_series(1, 40000) n;
CREATE SCHEMA "Odd, schema";
CREATE TABLE "Odd, schema"."it's a ""table"" 	x" (a int);
INSERT INTO "Odd, schema"."it's a ""table"" 	x" VALUES (1), (2);
CREATE TABLE parent (a int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3);
CREATE TABLE metrics (day int, v int) PARTITION BY RANGE (day);
CREATE TABLE metrics_1 PARTITION OF metrics FOR VALUES FROM (0) TO (10);
INSERT INTO metrics SELECT n % 10, n FROM generate_series(1, 100) n;
CREATE UNLOGGED TABLE cache AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM workloads;
CREATE TABLE hidden (a int); INSERT INTO hidden VALUES (1), (2), (3);
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
"""


class Collected:
    """A sink that keeps what it is given, and may do something when the first of it comes."""

    def __init__(self, first: Callable[[], None] = lambda: None) -> None:
        self.pieces: list[bytes] = []
        self._first = first

    def write(self, data: bytes, /) -> int:
        if not self.pieces:
            self._first()
        self.pieces.append(data)
        return len(data)

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with postgres() as made:
        for name in ("backend", "keycloak"):
            made.sql(f"CREATE DATABASE {name}")
        made.sql(CONTENT, "backend")
        made.sql("CREATE TABLE realm (id text); INSERT INTO realm VALUES ('master')", "keycloak")
        yield made


def source(server: Server, path: str) -> FileSource:
    found = databases.look(server)
    return next(one for one in databases.sources(server, found) if one.path == path)


def dumped(server: Server, database: str, sink: Collected) -> Produced:
    return source(server, f"postgresql/{database}.dump").produce(sink)


def programs_of(port: int) -> list[str]:
    """The command lines of all programs that talk to the server at this port, by their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"PGPORT={port}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found


def test_every_database_is_found_and_the_systems_own_only_if_it_holds_something(running: Postgres) -> None:
    assert databases.look(running.server()) == Found(("backend", "keycloak"), superuser=True)
    running.sql("CREATE TABLE put_here_by_mistake (a int)")
    try:
        assert "postgres" in databases.look(running.server()).databases
    finally:
        running.sql("DROP TABLE put_here_by_mistake")


def test_what_is_written_while_the_dump_streams_is_in_neither_dump_nor_count(running: Postgres) -> None:
    """The hazard: rows counted a moment later differ from the dump's, and no rehearsal could be believed."""

    def meanwhile() -> None:
        running.sql("INSERT INTO workloads (name) SELECT 'late' FROM generate_series(1, 777)", "backend")

    sink = Collected(meanwhile)
    produced = dumped(running.server(), "backend", sink)
    assert produced.tables is not None
    assert produced.tables == {
        "public.workloads": 40000,
        'Odd, schema.it\'s a "table" \tx': 2,
        "public.parent": 1,
        "public.child": 2,
        "public.metrics_1": 100,
        "public.cache": 1,
        "public.hidden": 3,
    }
    running.restore(sink.content, "again")
    assert running.sql("SELECT count(*) FROM workloads", "again") == "40000"
    assert running.sql("SELECT count(*) FROM workloads", "backend") == "40777"
    running.sql("DELETE FROM workloads WHERE name = 'late'", "backend")


def test_the_header_tells_what_pg_restore_lists(running: Postgres) -> None:
    sink = Collected()
    produced = dumped(running.server(), "backend", sink)
    listed = running.restored(["--list"], sink.content).decode()
    assert f";     TOC Entries: {produced.entries}\n" in listed
    assert f"Dumped from database version: {produced.server_version} " in listed
    assert f"Dumped by pg_dump version: {produced.tool_version} " in listed


def test_a_wrong_password_names_the_secret_and_shows_no_value(running: Postgres) -> None:
    with pytest.raises(Blocked) as raised:
        databases.look(running.server(password="not-that-one-either"))
    assert raised.value.code == "database-login"
    assert "key password of Secret runai-backend/their-secret" in raised.value.message
    assert "not-that-one-either" not in str(raised.value)


def test_no_password_is_among_the_arguments_of_any_program(running: Postgres) -> None:
    seen: list[str] = []
    sink = Collected(lambda: seen.extend(programs_of(running.port)))
    dumped(running.server(), "backend", sink)
    assert any("pg_dump" in one for one in seen)
    assert any("psql" in one for one in seen)
    assert not [one for one in seen if PASSWORD in one]


class StoreFullError(Exception):
    pass


def test_a_store_that_fails_in_the_middle_leaves_no_program_behind(running: Postgres) -> None:
    def full() -> None:
        raise StoreFullError

    with pytest.raises(StoreFullError):
        dumped(running.server(), "backend", Collected(full))
    assert programs_of(running.port) == []
    assert running.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runai-downtime'") in {"0", "1"}


def test_the_globals_hold_the_roles_and_the_hashes_of_their_passwords(running: Postgres) -> None:
    running.sql("CREATE ROLE keycloak_owner LOGIN PASSWORD 'another-one'")
    sink = Collected()
    source(running.server(), "postgresql/globals.sql").produce(sink)
    assert b"CREATE ROLE keycloak_owner" in sink.content
    assert b"SCRAM-SHA-256" in sink.content


def test_a_login_that_is_no_superuser_saves_what_is_its_own(running: Postgres) -> None:
    """A server outside of the cluster is often shared, and its administrator's password nobody's here."""
    running.sql("CREATE ROLE runai LOGIN PASSWORD 'of-the-role'")
    running.sql("CREATE DATABASE theirs OWNER runai")
    server = running.server(user="runai", password="of-the-role")
    assert databases.look(server) == Found(("theirs",), superuser=False)
    sink = Collected()
    source(server, "postgresql/globals.sql").produce(sink)
    assert b"SCRAM-SHA-256" not in sink.content
    assert dumped(server, "theirs", Collected()).tables == {}


@pytest.mark.parametrize("name", ["with space", "dbname=postgres host=elsewhere", "postgres://elsewhere/x", 'quo"te'])
def test_the_name_of_a_database_is_a_name_and_nothing_else(running: Postgres, name: str) -> None:
    quoted = name.replace('"', '""')
    running.sql(f'CREATE DATABASE "{quoted}"')
    try:
        running.sql("CREATE TABLE a (a int)", name)
        part = databases.part_name(name)
        sink = Collected()
        produced = dumped(running.server(), part, sink)
        assert (produced.tables, produced.database) == ({"public.a": 0}, name)
        assert dump_header.parse(sink.content[:4096]).database == name  # type: ignore[union-attr]
    finally:
        running.sql(f'DROP DATABASE "{quoted}"')


def test_a_server_that_does_not_answer_is_said_to_be_away(running: Postgres) -> None:
    server = Server(running.server().api, running.server().login, None, "127.0.0.1", 1)
    with pytest.raises(ServerAway, match="does not answer"):
        databases.look(server, patience=0)


def test_a_table_that_somebody_holds_ends_the_dump_in_silence_within_its_time(running: Postgres) -> None:
    server = running.server(deadlines=Deadlines(silence=1.5, total=60))
    running.sql("CREATE DATABASE held")
    running.sql("CREATE TABLE a (a int)", "held")
    holder = running.server()
    with holder.started(("psql", "-XqAt"), "held") as psql:
        psql.write(b"BEGIN; LOCK TABLE a; SELECT 'held';\n")
        next(iter(psql.chunks()))
        began = time.monotonic()
        with pytest.raises(Failed, match=r"wrote nothing for 1\.5 s"):
            dumped(server, "held", Collected())
        assert time.monotonic() - began < 15
    assert programs_of(running.port) == []


def test_a_server_that_dies_in_the_middle_fails_the_dump() -> None:
    with postgres() as dying:
        dying.sql("CREATE DATABASE backend")
        dying.sql(CONTENT, "backend")
        # Large and hardly to be compressed: more than the pipes between hold.
        dying.sql("CREATE TABLE z AS SELECT md5(random()::text) a FROM generate_series(1, 300000)", "backend")
        with pytest.raises(DowntimeError) as raised:
            dumped(dying.server(), "backend", Collected(dying.stop))
        assert raised.value.code in {"database-unreachable", "database-tool"}
        assert PASSWORD not in str(raised.value)
        assert programs_of(dying.port) == []


def test_programs_are_taken_from_the_folder_that_is_configured(
    running: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Blocked, match="could not be started"):
        dumped(running.server(), "keycloak", Collected())
    assert dumped(replace(running.server(), programs=PROGRAMS), "keycloak", Collected()).entries


def test_a_header_that_comes_byte_by_byte_is_the_same(running: Postgres) -> None:
    sink = Collected()
    dumped(running.server(), "keycloak", sink)
    walk = DumpWalk()
    for byte in sink.content:
        walk.write(bytes([byte]))
    assert walk.end() == walk.header == dump_header.parse(sink.content)


@pytest.mark.parametrize("content", [b"", b"PGDMP", b"PGDMP\x01\x0e\x00\x04\x08\x01\x01"])
def test_a_dump_that_ends_in_its_header_is_refused(content: bytes) -> None:
    walk = DumpWalk()
    walk.write(content)
    with pytest.raises(dump_header.NotADumpError, match="within its header"):
        walk.end()


def test_plain_sql_is_no_dump_in_the_custom_format() -> None:
    with pytest.raises(dump_header.NotADumpError, match="no dump"):
        dump_header.parse(b"--\n-- PostgreSQL database dump\n--\n")


def test_these_tests_run_where_the_server_may(running: Postgres) -> None:
    """Never skipped in silence: a server that refuses root is run as somebody else."""
    assert running.folder.stat().st_uid != 0 or os.geteuid() != 0
