"""Parts on their way into a store: counted, hashed, encrypted, private, and in flat memory."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyrage
import pytest

from cluster.backups import StoreError
from cluster.encryption import Recipients
from cluster.errors import Blocked, Failed, Misused
from cluster.manifest import Part
from cluster.part_source import FileSource, Sink
from cluster.reach import MASKER
from cluster.set_writer import SetWriter, new_set
from cluster.store_writing import WritableStore
from tests.unit.backup_sets import NOW, id_of
from tests.unit.backup_sources import of_bytes, of_work
from tests.unit.failing_store import FullFile, WritingFileSystem

ROOT = Path(__file__).parents[2]
SET = id_of(NOW)
CONTENT = os.urandom(3_000_017)


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def small_files() -> Iterator[None]:
    """For this process no file may be longer than 1 MB: what a quota, or a full disk, looks like to it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def recipients_for(identity: pyrage.x25519.Identity) -> Recipients:
    return Recipients([str(identity.to_public())])


def take(store: WritableStore, source: FileSource, recipients: Recipients | None = None) -> Part:
    set_id = new_set(store, NOW)
    return SetWriter(store, set_id, recipients or Recipients()).take(source)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_part_lies_in_the_store_as_it_was_produced_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        part = take(WritableStore(str(tmp_path)), of_bytes("database", "b", "postgresql/b.dump", CONTENT, began=NOW))
    finally:
        os.umask(old)
    file = tmp_path / SET / "postgresql" / "b.dump"
    assert file.read_bytes() == CONTENT
    assert (part.path, part.bytes, part.sha256) == (
        "postgresql/b.dump",
        len(CONTENT),
        hashlib.sha256(CONTENT).hexdigest(),
    )
    assert part.began == NOW
    assert not part.encrypted
    assert part.contents is not None
    assert (part.contents.bytes, part.contents.sha256) == (part.bytes, part.sha256)
    assert [mode(file), mode(file.parent), mode(file.parents[1])] == [0o600, 0o700, 0o700]


def test_encrypted_part_tells_its_own_hash_and_that_of_its_content(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    source = of_bytes("database", "b", "b.dump", CONTENT[:10], b"", CONTENT[10:], entries=7, tables={"public.a": 2})
    part = take(WritableStore(str(tmp_path)), source, recipients_for(identity))
    stored = (tmp_path / SET / "b.dump.age").read_bytes()
    assert pyrage.decrypt(stored, [identity]) == CONTENT
    assert (part.path, part.encrypted, part.bytes) == ("b.dump.age", True, len(stored))
    assert part.sha256 == hashlib.sha256(stored).hexdigest()
    assert part.contents is not None
    assert part.contents.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (part.contents.bytes, part.contents.entries, part.contents.tables) == (len(CONTENT), 7, {"public.a": 2})


def test_each_recipient_alone_can_read_it(tmp_path: Path) -> None:
    identities = [pyrage.x25519.Identity.generate() for _ in range(2)]
    keys = Recipients([str(one.to_public()) for one in identities])
    take(WritableStore(str(tmp_path)), of_bytes("k", "n", "f", b"text"), keys)
    stored = (tmp_path / SET / "f.age").read_bytes()
    assert [pyrage.decrypt(stored, [one]) for one in identities] == [b"text", b"text"]


@pytest.mark.parametrize("key", ["age1nonsense", "ssh-ed25519 nonsense", "", "hunter2"])
def test_key_that_is_none_is_found_before_anything_is_read(key: str) -> None:
    with pytest.raises(Misused, match="is no public key") as caught:
        Recipients([key])
    assert "age-keygen" in caught.value.remedy


def test_private_key_in_place_of_a_public_one_is_not_repeated(identity: pyrage.x25519.Identity) -> None:
    with pytest.raises(Misused, match="A private key stands in") as caught:
        Recipients([str(identity)])
    assert str(identity)[20:] not in str(caught.value)


def test_second_set_of_the_same_second_gets_a_name_of_its_own(tmp_path: Path) -> None:
    store = WritableStore(str(tmp_path))
    assert [new_set(store, NOW) for _ in range(3)] == [SET, f"{SET}-2", f"{SET}-3"]
    assert [entry.taken for entry in store.sets()] == [NOW, NOW, NOW]


def test_store_in_another_protocol_is_written_the_same(identity: pyrage.x25519.Identity) -> None:
    memory = fsspec.filesystem("memory")
    try:
        store = WritableStore("memory://writer-test")
        assert store.ids() == []
        part = take(store, of_bytes("k", "n", "a/f", CONTENT), recipients_for(identity))
        assert store.checksum(SET, part) == part.sha256
        assert new_set(store, NOW) == f"{SET}-2"
        store.remove(SET)
        assert not memory.exists(f"/writer-test/{SET}")
    finally:
        memory.store.pop(f"/writer-test/{SET}/a/f.age", None)


def test_local_store_that_is_not_mounted_is_not_written_into(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        WritableStore(str(tmp_path / "gone")).ids()
    assert not (tmp_path / "gone").exists()


def test_an_empty_part_is_no_part(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="k/n is empty"):
        take(WritableStore(str(tmp_path)), of_bytes("k", "n", "f"))


def test_source_that_breaks_leaves_no_file(tmp_path: Path, identity: pyrage.x25519.Identity) -> None:
    def work(sink: Sink) -> None:
        sink.write(CONTENT)
        raise Blocked("pod-gone", "the pod is gone", "wait")

    with pytest.raises(Blocked, match="the pod is gone"):
        take(WritableStore(str(tmp_path)), of_work("k", "n", "f", work), recipients_for(identity))
    assert list((tmp_path / SET).iterdir()) == []


def test_what_a_library_raises_is_said_without_its_secrets(tmp_path: Path) -> None:
    MASKER.register("hunter2-of-postgres")

    def work(_: Sink) -> None:
        raise ValueError("login with hunter2-of-postgres failed")

    with pytest.raises(Failed, match="k/n could not be read: ValueError") as caught:
        take(WritableStore(str(tmp_path)), of_work("k", "n", "f", work))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("encrypted", [False, True])
def test_full_store_is_said_so_and_nothing_is_left(
    tmp_path: Path, identity: pyrage.x25519.Identity, encrypted: bool
) -> None:
    recipients = recipients_for(identity) if encrypted else None
    with pytest.raises(StoreError, match="is full") as caught:
        take(WritableStore(str(tmp_path)), of_bytes("k", "n", "f", CONTENT), recipients)
    assert caught.value.code == "store-full"
    assert list((tmp_path / SET).iterdir()) == []


@pytest.mark.usefixtures("small_files")
def test_source_that_hides_that_the_store_is_full_does_not_get_through(tmp_path: Path) -> None:
    """An adapter may take the error of the sink for one of its own, or swallow it: it has written too little."""

    def fill(sink: Sink) -> None:
        for _ in range(100):
            sink.write(CONTENT)

    def wrapped(sink: Sink) -> None:
        try:
            fill(sink)
        except StoreError:
            raise Failed("exec", "the stream broke", "") from None

    def swallowed(sink: Sink) -> None:
        with pytest.raises(StoreError):
            fill(sink)

    store = WritableStore(str(tmp_path))
    for work in (wrapped, swallowed):
        with pytest.raises(StoreError, match="is full"):
            take(store, of_work("k", "n", "f", work))


def test_store_that_hangs_is_given_up_in_time() -> None:
    WritingFileSystem.file = FullFile(hang=True)
    store = WritableStore("writing://x", call_seconds=0.2)
    began = time.monotonic()
    try:
        with pytest.raises(StoreError, match=r"did not answer in time \(silent for 0.2 s\)") as caught:
            SetWriter(store, SET, Recipients()).take(of_bytes("k", "n", "f", *[CONTENT] * 20))
        assert caught.value.code == "store-hangs"
        assert time.monotonic() - began < 5
    finally:
        WritingFileSystem.file.released.set()


def test_object_that_is_given_up_is_aborted_and_never_completed() -> None:
    """An object store makes an object of what was uploaded when its file is closed."""
    WritingFileSystem.file = file = FullFile()
    store = WritableStore("writing://x")
    with pytest.raises(StoreError, match="is full"):
        SetWriter(store, SET, Recipients()).take(of_bytes("k", "n", "f", *[CONTENT] * 30))
    assert (file.discarded, file.committed, file.closed) == (True, False, True)


_STREAM = """
import sys, resource
from datetime import UTC, datetime
from cluster.encryption import Recipients
from cluster.set_writer import SetWriter, new_set
from cluster.store_writing import WritableStore
from tests.unit.backup_sources import of_work
import pyrage
def run(megabytes):
    store = WritableStore(sys.argv[1])
    chunk = bytes(range(256)) * 4096
    keys = Recipients([str(pyrage.x25519.Identity.generate().to_public())])
    def work(sink):
        for _ in range(megabytes):
            sink.write(chunk)
    part = SetWriter(store, new_set(store, datetime.now(UTC)), keys).take(of_work("k", "n", "f", work))
    assert part.contents.bytes == megabytes << 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small = run(32)
print(small, run(160))
"""


def test_a_part_of_any_size_takes_the_same_memory(tmp_path: Path) -> None:
    argv = [sys.executable, "-P", "-c", _STREAM, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True)
    small, large = (int(word) for word in done.stdout.split())
    assert large - small < 16_000, f"{small} kB for 32 MB, {large} kB for 160 MB"
