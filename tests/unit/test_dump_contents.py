"""A dump is judged by its table of contents, from the first bytes of a stream, and no process is left."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import dump_contents
from cluster.dump_contents import DumpContents, DumpError, Listing, read
from lab.dump_file import VERSION, dump

LISTED = f""";
; Archive created at 2026-11-24 16:29:39 UTC
;     dbname: backend
;     TOC Entries: 22
;     Format: CUSTOM
;     Dumped from database version: {VERSION}
;     Dumped by pg_dump version: 16.2
;
; Selected TOC Entries:
;
6; 2615 16385 SCHEMA - other postgres
217; 1259 16395 TABLE other my table postgres
218; 1259 16398 TABLE public part postgres
3369; 0 16395 TABLE DATA other my table postgres
3368; 0 16387 TABLE DATA public projects postgres
3379; 0 0 SEQUENCE SET public projects_id_seq postgres
"""


def in_chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_tables_and_versions_of_a_dump_that_comes_in_pieces(size: int) -> None:
    found = read(in_chunks(dump(["projects", "users"], tool_version="16.2"), size))
    assert found == DumpContents(4, frozenset({"public.projects", "public.users"}), VERSION, "16.2")


def test_names_with_blanks_and_a_partitioned_table() -> None:
    found = dump_contents.parse(LISTED)
    assert found.entries == 22
    assert found.tables == {"other.my table", "public.projects"}
    assert (dump_contents.major(found.server_version), dump_contents.major(found.tool_version)) == (15, 16)


def test_an_empty_database_and_a_schema_alone_hold_no_rows() -> None:
    assert read([dump([])]).entries == 0
    found = read([dump(["projects"], rows=False)])
    assert (found.entries, found.tables) == (1, frozenset())


def test_a_table_of_contents_longer_than_any_pipe_is_read() -> None:
    names = [f"table_{number:06}_{'x' * 100}" for number in range(5000)]
    assert len(read(in_chunks(dump(names), 1 << 16)).tables) == 5000


def test_no_more_of_a_dump_is_taken_than_its_table_of_contents() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield dump(["projects"])
        while True:
            taken += 1
            yield bytes(1 << 20)

    assert read(endless()).entries == 2
    assert taken < 100


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "too short"),
        (b"PGDMP", "end of file"),
        (dump()[:300], "end of file"),
        (b"not a dump at all", "not appear to be a valid archive"),
        (b"--\n-- PostgreSQL database dump\n--\n\n" + bytes(600), "text format"),
        (b"age-encryption.org/v1\n-> X25519 " + bytes(1 << 20), "not appear to be a valid archive"),
        (dump().replace(b"\x01\x0e\x00", b"\x01\x7f\x00", 1), "unsupported version"),
    ],
)
def test_what_is_no_whole_dump_is_refused_with_the_reason(content: bytes, says: str) -> None:
    with pytest.raises(DumpError, match=says) as caught:
        read([content])
    assert caught.value.code == "dump-unreadable"


def test_a_table_of_contents_without_end_is_not_fed_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "exec cat > /dev/null")
    monkeypatch.setattr(dump_contents, "TABLE_BYTES", 1 << 20)
    with pytest.raises(DumpError, match="longer than"):
        read(bytes(1 << 16) for _ in range(100))


def stand_in(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Something else that is called pg_restore."""
    program = folder / "pg_restore"
    program.write_text(f"#!/bin/sh\necho $$ > {folder}/pid\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def alive(folder: Path) -> bool:
    return Path(f"/proc/{(folder / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("fed", [10, 1 << 20])
def test_a_pg_restore_that_hangs_is_ended_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fed: int) -> None:
    stand_in(monkeypatch, tmp_path, "exec sleep 60")
    began = time.monotonic()
    with pytest.raises(DumpError) as caught:
        read([bytes(fed)], silence_seconds=0.5)
    assert caught.value.code == "pg-restore-hangs"
    assert time.monotonic() - began < 5
    assert not alive(tmp_path)


def test_a_stream_that_breaks_leaves_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, tmp_path, "exec cat > /dev/null")

    def broken() -> Iterator[bytes]:
        yield bytes(1 << 20)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        read(broken())
    assert not alive(tmp_path)


def test_without_pg_restore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DumpError, match="cannot be run") as caught:
        read([dump()])
    assert caught.value.code == "pg-restore-missing"
    assert "postgresql-client" in caught.value.remedy


def test_a_dump_of_a_newer_postgresql_is_not_called_damaged() -> None:
    """No pg_restore knows 1.98 yet, as that of PostgreSQL 15 does not know the 1.16 of 17."""
    with pytest.raises(DumpError, match="older than the pg_dump") as caught:
        read([dump().replace(b"\x01\x0e\x00", b"\x01\x62\x00", 1)])
    assert caught.value.code == "pg-restore-too-old"
    assert "as new as the server" in caught.value.remedy


def test_what_is_written_after_the_table_was_read_is_dropped() -> None:
    with Listing() as listing:
        listing.write(dump(["projects"], padding=1 << 20))
        for _ in range(200):
            if listing.done:
                break
            listing.write(bytes(1 << 16))
        assert listing.done
        assert listing.write(b"more") == 4
        assert listing.result().entries == 2
