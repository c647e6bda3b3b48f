"""The store of backup sets: what it shows, and how each way of failing is said."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.backups import FileRefused, Store, StoreError, time_of
from cluster.errors import Misused
from cluster.manifest import ManifestError, Part
from cluster.showing import masked, shown
from tests.unit.backup_sets import FILES, NOW, document, id_of, write
from tests.unit.failing_store import DrippingFile, DrippingFileSystem, FailingFileSystem

BEGAN = NOW - timedelta(hours=2)
SET = id_of(BEGAN)
SECRET, NESTED = "hunter2-hunter2", "correct-horse"


@pytest.fixture
def hanging() -> Iterator[None]:
    FailingFileSystem.failure = None
    FailingFileSystem.released.clear()
    yield
    FailingFileSystem.released.set()


def a_part(path: str) -> Part:
    content = FILES.get(path, b"")
    return Part(kind="k", name="n", path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, document(BEGAN))
    return tmp_path


@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}", "file://{}/"])
def test_a_plain_folder_is_a_store(folder: Path, form: str) -> None:
    store = Store(form.format(folder))
    assert [entry.id for entry in store.sets()] == [SET]
    assert store.read_manifest(SET).began == BEGAN
    part = store.read_manifest(SET).files[1]
    assert store.size(SET, part) == part.bytes
    assert store.checksum(SET, part) == part.sha256


def test_a_store_in_another_protocol_is_read_the_same() -> None:
    memory = fsspec.filesystem("memory")
    for path, content in {**FILES, "manifest.json": json.dumps(document(BEGAN)).encode()}.items():
        memory.pipe_file(f"/backups-test/{SET}/{path}", content)
    try:
        store = Store("memory://backups-test")
        assert [entry.id for entry in store.sets()] == [SET]
        for part in store.read_manifest(SET).files:
            assert (store.size(SET, part), store.checksum(SET, part)) == (part.bytes, part.sha256)
    finally:
        memory.rm("/backups-test", recursive=True)


def test_sets_come_newest_first_and_what_tells_no_time_before_them(folder: Path) -> None:
    older, newer = id_of(BEGAN - timedelta(days=40)), id_of(BEGAN + timedelta(seconds=1))
    for name in (older, newer, "by-hand", "lost+found", ".snapshot", "2026-99-99T00-00-00Z"):
        (folder / name).mkdir()
    (folder / "a-file").write_text("x")
    (folder / "latest").symlink_to(folder / SET)
    assert [entry.id for entry in Store(str(folder)).sets()] == ["by-hand", "2026-99-99T00-00-00Z", newer, SET, older]


def test_an_old_listing_is_not_believed() -> None:
    memory, store = fsspec.filesystem("memory"), Store("remembering:///listing-test")
    try:
        for count, name in enumerate(("first", "second"), start=1):
            memory.pipe_file(f"/listing-test/{name}/manifest.json", b"{}")
            assert len(store.sets()) == count
    finally:
        memory.rm("/listing-test", recursive=True)


def test_a_time_is_read_from_a_name_with_a_suffix() -> None:
    assert time_of(f"{SET}-lab") == BEGAN
    assert time_of("latest") is None


def test_an_unfinished_set_is_said_so(folder: Path) -> None:
    (folder / SET / "manifest.json").unlink()
    store = Store(str(folder))
    with pytest.raises(ManifestError) as caught:
        store.read_manifest(SET)
    assert caught.value.code == "manifest-missing"
    assert not store.has_manifest(SET)


def test_a_set_that_was_copied_to_another_name_is_damage(folder: Path) -> None:
    (folder / SET).rename(folder / "renamed")
    with pytest.raises(ManifestError, match=f"describes the set {SET}"):
        Store(str(folder)).read_manifest("renamed")


def test_a_manifest_that_never_ends_is_not_read_into_memory(folder: Path) -> None:
    os.truncate(folder / SET / "manifest.json", 1 << 33)
    with pytest.raises(FileRefused, match="is longer than"):
        Store(str(folder)).read_manifest(SET)


@pytest.mark.parametrize("set_id", ["..", "../x", "a/b", "", "/etc", ".hidden"])
def test_no_id_leads_out_of_the_store(folder: Path, set_id: str) -> None:
    with pytest.raises(Misused, match="cannot be the id"):
        Store(str(folder)).read_manifest(set_id)


def test_a_missing_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere does not exist") as caught:
        Store(f"file://{tmp_path}/nowhere").sets()
    assert caught.value.code == "store-missing"


def test_a_file_in_place_of_the_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("x")
    with pytest.raises(StoreError, match="is a file, not a folder"):
        Store(str(tmp_path / "store")).sets()


@pytest.mark.parametrize("url", ["", "file://", "backups", "./backups", "file://backups"])
def test_a_relative_store_is_refused(url: str) -> None:
    with pytest.raises(Misused, match="is not the address of a backup store"):
        Store(url)


def test_a_protocol_that_nobody_speaks_is_said_so() -> None:
    with pytest.raises(StoreError, match="Protocol not known") as caught:
        Store("nonsense://x").sets()
    assert caught.value.code == "store-protocol"


def test_missing_parts_and_folders_as_parts_are_refused(folder: Path) -> None:
    store = Store(str(folder))
    with pytest.raises(FileRefused, match="gone does not exist"):
        store.size(SET, a_part("gone"))
    with pytest.raises(FileRefused, match="gone does not exist"):
        store.checksum(SET, a_part("gone"))
    with pytest.raises(FileRefused, match="is not a file"):
        store.size(SET, a_part("postgresql"))


def test_a_pipe_in_place_of_a_part_is_neither_a_file_nor_waited_for(folder: Path) -> None:
    os.mkfifo(folder / SET / "pipe")
    store = Store(str(folder), call_seconds=0.3)
    with pytest.raises(FileRefused, match="is not a file"):
        store.size(SET, a_part("pipe"))
    try:
        with pytest.raises(StoreError, match="did not answer in time"):
            store.checksum(SET, a_part("pipe"))
    finally:
        os.close(os.open(folder / SET / "pipe", os.O_WRONLY | os.O_NONBLOCK))


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (PermissionError(13, "Permission denied"), "store-forbidden"),
        (FileNotFoundError("The specified bucket does not exist"), "store-missing"),
        (ConnectionRefusedError(111, "Connection refused"), "store-unreachable"),
        (TimeoutError("timed out"), "store-unreachable"),
        (RuntimeError("a library's own"), "store-unreachable"),
        (KeyError("x"), "store-unreachable"),
    ],
)
def test_each_refusal_has_a_code_a_sentence_and_a_remedy(failure: Exception, code: str) -> None:
    FailingFileSystem.failure = failure
    with pytest.raises(StoreError) as caught:
        Store("failing://x").sets()
    assert caught.value.code == code
    assert "failing://x" in caught.value.message
    assert caught.value.remedy
    assert caught.value.exit_code == 3


@pytest.mark.usefixtures("hanging")
def test_a_hung_store_is_given_up_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"did not answer in time \((silent for|not done after) 0\.2 s\)") as caught:
        Store("failing://x", call_seconds=0.2).sets()
    assert caught.value.code == "store-hangs"
    assert time.monotonic() - began < 5


def test_a_part_that_drips_for_ever_is_given_up_and_closed() -> None:
    DrippingFileSystem.file = file = DrippingFile()
    with pytest.raises(StoreError, match="did not answer in time"):
        Store("dripping://x").checksum(SET, a_part("postgresql/backend.dump"), within_seconds=0.3)
    assert file.reads > 3
    assert file.closed.wait(5), "the thread went on reading"


def test_no_secret_is_in_a_message() -> None:
    FailingFileSystem.failure = OSError(f"login {NESTED} refused at failing://user:{SECRET}@host/x?sig={SECRET}")
    store = Store(f"failing://user:{SECRET}@host/x", {"port": 22, "client_kwargs": {"keys": [NESTED]}})
    with pytest.raises(StoreError) as caught:
        store.sets()
    error = caught.value
    said = "".join([str(error), repr(error), repr(store), store.name, repr(error.__cause__)])
    assert SECRET not in said
    assert NESTED not in said
    assert error.__suppress_context__
    assert "failing://***@host/x" in error.message


WORD = st.text(alphabet="abcXYZ09-_!$%&'()*+,;=/@:?#", min_size=6, max_size=20)


@given(WORD)
def test_no_password_survives_masking_whatever_is_in_it(password: str) -> None:
    assert masked(f"s3://user:{password}@host/path") == "s3://***@host/path"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("file:///srv/backups", "file:///srv/backups"),
        ("/srv/back@ups", "/srv/back@ups"),
        ("sftp://ops@host/x", "sftp://***@host/x"),
        ("simplecache::https://u:p@host/x?token=abc#y", "simplecache::https://***@host/x?***"),
    ],
)
def test_what_is_no_secret_stays_readable(url: str, safe: str) -> None:
    assert masked(url) == safe


@given(st.text())
def test_shown_text_is_one_printable_line(text: str) -> None:
    line = shown(text, 40)
    assert line.isprintable()
    assert len(line) <= 40
