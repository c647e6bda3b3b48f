"""A dump is judged by its table of contents, from the first bytes of a stream, and no process is left."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from cluster import dump_contents
from cluster.dump_contents import SILENCE_SECONDS, DumpContents, DumpError, Listing
from cluster.postgres_programs import READER, Programs, find, major_of
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


def read(chunks: Iterable[bytes], folder: Path | None = None, silence_seconds: float = SILENCE_SECONDS) -> DumpContents:
    """What the dump holds that these chunks are, by the pg_restore in the folder."""
    with Listing(find(READER, 0, folder), silence_seconds) as listing:
        for chunk in chunks:
            listing.write(chunk)
            if listing.done:
                break
        return listing.result()


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_tables_and_versions_of_a_dump_that_comes_in_pieces(size: int) -> None:
    found = read(in_chunks(dump(["projects", "users"], tool_version="16.2"), size))
    assert found == DumpContents(4, frozenset({"public.projects", "public.users"}), VERSION, "16.2")


def test_names_with_blanks_and_a_partitioned_table() -> None:
    found = dump_contents.parse(LISTED)
    assert found.entries == 22
    assert found.tables == {"other.my table", "public.projects"}
    assert (major_of(found.server_version), major_of(found.tool_version)) == (15, 16)


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


def test_a_table_of_contents_without_end_is_not_fed_for_ever(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    stand_in(folder, "exec cat > /dev/null")
    monkeypatch.setattr(dump_contents, "TABLE_BYTES", 1 << 20)
    with pytest.raises(DumpError, match="longer than"):
        read((bytes(1 << 16) for _ in range(100)), folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the user may enter whom PostgreSQL is run as."""
    with tempfile.TemporaryDirectory(prefix="downtime-stand-in-") as made:
        Path(made).chmod(0o777)
        yield Path(made)


def stand_in(folder: Path, script: str) -> None:
    """Something else that is called pg_restore."""
    program = folder / "pg_restore"
    told = 'case "$1" in --version) echo "pg_restore (PostgreSQL) 15.14"; exit;; esac'
    program.write_text(f"#!/bin/sh\n{told}\necho $$ > {folder}/pid\n{script}\n")
    program.chmod(0o755)


def alive(folder: Path) -> bool:
    return Path(f"/proc/{(folder / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("fed", [10, 1 << 20])
def test_a_pg_restore_that_hangs_is_ended_in_time(folder: Path, fed: int) -> None:
    stand_in(folder, "exec sleep 60")
    began = time.monotonic()
    with pytest.raises(DumpError) as caught:
        read([bytes(fed)], folder, silence_seconds=0.5)
    assert caught.value.code == "pg-restore-hangs"
    assert time.monotonic() - began < 5
    assert not alive(folder)


def test_a_stream_that_breaks_leaves_no_process(folder: Path) -> None:
    stand_in(folder, "exec cat > /dev/null")

    def broken() -> Iterator[bytes]:
        yield bytes(1 << 20)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        read(broken(), folder)
    assert not alive(folder)


def test_a_pg_restore_that_is_gone_says_what_to_install(folder: Path) -> None:
    with pytest.raises(DumpError) as caught, Listing(Programs(folder / "gone", "15.14")) as listing:
        listing.result()
    assert "No such file" in caught.value.message


def test_a_dump_of_a_newer_postgresql_is_not_called_damaged() -> None:
    """No pg_restore knows 1.98 yet, as that of PostgreSQL 15 does not know the 1.16 of 17."""
    with pytest.raises(DumpError, match="older than the pg_dump") as caught:
        read([dump().replace(b"\x01\x0e\x00", b"\x01\x62\x00", 1)])
    assert caught.value.code == "pg-restore-too-old"
    assert "as new as the server" in caught.value.remedy


def test_what_is_written_after_the_table_was_read_is_dropped() -> None:
    with Listing(find(READER, 0)) as listing:
        listing.write(dump(["projects"], padding=1 << 20))
        for _ in range(200):
            if listing.done:
                break
            listing.write(bytes(1 << 16))
        assert listing.done
        assert listing.write(b"more") == 4
        assert listing.result().entries == 2
