"""A dump that was cut off is known for it without a restore, wherever it was cut, and a whole one is never accused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.dump_header import NotADumpError
from cluster.dump_walk import DumpWalk
from lab.dump_file import dump
from tests.unit.running_postgres import PROGRAMS, Postgres, postgres

CONTENT = """
CREATE TABLE users (id int PRIMARY KEY, body text);
INSERT INTO users SELECT n, md5(n::text) FROM generate_series(1, 3000) n;
CREATE TABLE empty (a int);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW seen AS SELECT * FROM users;
CREATE TABLE parts (a int) PARTITION BY RANGE (a);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
SELECT lo_from_bytea(0, sha256('a')), lo_from_bytea(0, sha256('b'));
"""


def walked(content: bytes, size: int = 1 << 20) -> DumpWalk:
    walk = DumpWalk()
    for start in range(0, len(content), size):
        walk.write(content[start : start + size])
    return walk


@pytest.fixture(scope="module")
def running() -> Iterator[Postgres]:
    with postgres() as server:
        server.sql("CREATE DATABASE walked")
        server.sql(CONTENT, "walked")
        yield server


def dumped(server: Postgres, *options: str) -> bytes:
    return server.ran("pg_dump", ["-Fc", "-d", "walked", *options])


@pytest.mark.parametrize("options", [(), ("-Z0",), ("-Z9",), ("--schema-only",), ("--data-only",), ("-T", "users")])
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_whole_dumps_of_a_real_server_are_whole(running: Postgres, options: tuple[str, ...], size: int) -> None:
    assert walked(dumped(running, *options), size).end().database == "walked"


def test_a_dump_that_was_written_into_a_file_and_tells_places_is_whole(running: Postgres) -> None:
    folder = running.folder / "out"
    running.ran("pg_dump", ["-Fc", "-d", "walked", "-f", str(folder)])
    assert walked(folder.read_bytes()).end().entries > 5


def test_a_dump_is_seen_to_be_cut_off_wherever_it_was(running: Postgres) -> None:
    whole = dumped(running)
    for end in [*range(len(whole) - 300, len(whole)), *range(0, len(whole), 997)]:
        with pytest.raises(NotADumpError, match=r"cut off|within its header"):
            walked(whole[:end]).end()


def test_what_was_cut_off_is_named() -> None:
    whole = dump(["projects", "users"], padding=10_000)
    with pytest.raises(NotADumpError, match=r"within the rows of public\.users"):
        walked(whole[:-5000]).end()
    with pytest.raises(NotADumpError, match=r"within its table of contents"):
        walked(whole[:300]).end()
    short = dump(["projects", "users"])
    with pytest.raises(NotADumpError, match=r"before the rows of public\.users"):
        walked(short[:-11]).end()


def test_many_tables_are_not_all_named() -> None:
    names = [f"t{at}" for at in range(9)]
    with pytest.raises(NotADumpError, match=r"public\.t2 and 6 more"):
        walked(dump(names)[: -11 * 9]).end()


def test_a_later_format_and_what_follows_the_last_block_are_no_fault() -> None:
    later = dump(["users"]).replace(b"\x01\x0e\x00", b"\x01\x62\x00", 1)
    assert walked(later[:-8]).end().version == (1, 98)
    assert walked(dump(["users"]) + b"\x07 whatever").end().entries == 2


@given(st.binary(max_size=200), st.integers(0, 700))
@settings(deadline=None)
def test_whatever_damages_a_dump_it_is_judged_and_nothing_breaks(garbage: bytes, at: int) -> None:
    whole = dump()
    with suppress(NotADumpError):
        walked(whole[:at] + garbage + whole[at + len(garbage) :], 64).end()


def test_a_large_dump_costs_no_memory() -> None:
    walk = walked(dump(["users"])[:-5])
    piece = (b"\x00\x00\x10\x00\x00" + bytes(4096)) * 256
    for _ in range(64):
        walk.write(piece)
    assert len(walk._buffer) < 8192
    walk.write(bytes(5))
    assert walk.end().entries == 2


def test_these_tests_run_with_a_real_pg_dump() -> None:
    assert (PROGRAMS / "pg_dump").exists()
