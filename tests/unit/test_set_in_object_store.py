"""A set in an S3-compatible store: what was begun and not finished is aborted, whatever the store does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.backups import StoreError
from cluster.encryption import Recipients
from cluster.errors import Blocked
from cluster.manifest import Manifest
from cluster.part_source import FileSource, Sink
from cluster.set_writer import SetWriter, new_set, remove_half
from cluster.store_writing import WritableStore
from tests.object_store import ObjectStore, object_store
from tests.unit.backup_sets import NOW, UID, id_of
from tests.unit.backup_sources import of_bytes, of_work

SET = id_of(NOW)
# More than one block of an upload in several parts.
LARGE = of_bytes("database", "b", "postgresql/b.dump", *[b"x" * (5 << 20)] * 8)


@pytest.fixture(scope="module")
def shared() -> Iterator[ObjectStore]:
    with object_store() as made:
        yield made


@pytest.fixture
def objects(shared: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    yield shared
    for name in shared.names():
        shared.files().rm(f"backups/{name}")


def opened(objects: ObjectStore, seconds: float = 30.0) -> WritableStore:
    return WritableStore(objects.url, objects.options, call_seconds=seconds)


def begun(store: WritableStore) -> SetWriter:
    return SetWriter(store, new_set(store, NOW), Recipients())


def refused(store: WritableStore, source: FileSource = LARGE) -> StoreError:
    with pytest.raises(StoreError) as caught:
        begun(store).take(source)
    return caught.value


def test_set_is_there_when_its_manifest_is_and_gone_when_it_is_removed(objects: ObjectStore) -> None:
    store = opened(objects)
    assert store.ids() == [], "an empty bucket is a store"
    writer = begun(store)
    parts = (writer.take(LARGE), writer.take(of_bytes("k", "n", "f.json", b"{}")))
    assert not store.has_manifest(SET)
    now = datetime.now(UTC)
    store.write_manifest(
        Manifest(schema_version=2, id=SET, cluster_uid=UID, began=NOW, finished=max(NOW, now), parts=parts)
    )
    assert store.ids() == [SET]
    assert [store.checksum(SET, part) for part in store.read_manifest(SET).files] == [part.sha256 for part in parts]
    assert new_set(store, NOW) == f"{SET}-2"
    store.remove(SET)
    assert (objects.names(), objects.unfinished_uploads()) == ([], 0)


def test_source_that_breaks_completes_no_object(objects: ObjectStore) -> None:
    def work(sink: Sink) -> None:
        for _ in range(8):
            sink.write(b"x" * (5 << 20))
        raise Blocked("pod-gone", "the pod is gone", "")

    with pytest.raises(Blocked, match="the pod is gone"):
        begun(opened(objects)).take(of_work("k", "n", "f", work))
    assert (objects.names(), objects.unfinished_uploads()) == ([], 0)


def test_store_that_gets_full_completes_no_object(objects: ObjectStore) -> None:
    with objects.full_after(20 << 20):
        error = refused(opened(objects))
    assert error.code == "store-full"
    assert (objects.names(), objects.unfinished_uploads()) == ([], 0)


def test_read_only_bucket_is_said_so(objects: ObjectStore) -> None:
    with objects.read_only():
        error = refused(opened(objects))
    assert error.code == "store-forbidden"
    assert objects.names() == []


def test_store_that_is_cut_off_is_said_so_and_what_was_begun_is_named(objects: ObjectStore) -> None:
    store = opened(objects, 10)

    def work(sink: Sink) -> None:
        sink.write(b"x" * (20 << 20))
        objects.stop()
        sink.write(b"x" * (40 << 20))

    try:
        error = refused(store, of_work("k", "n", "f", work))
        assert error.code in ("store-unreachable", "store-hangs")
        assert "half-taken folder" in remove_half(store, SET, error).changed[0]
    finally:
        objects.back()
    assert objects.names() == [], "what was uploaded is no object"


def test_no_secret_of_the_store_is_said(objects: ObjectStore) -> None:
    with objects.read_only():
        error = refused(opened(objects))
    assert str(objects.options["secret"]) not in str(error)
