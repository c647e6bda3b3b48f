"""The tests' own S3-compatible store does what a real one does, also when it can't."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.object_store import BUCKET, ObjectStore, object_store

PART = 5 * 2**20
"""The least size of a part of an upload in several parts."""


@pytest.fixture(scope="module")
def shared() -> Iterator[ObjectStore]:
    with object_store() as made:
        yield made


@pytest.fixture
def store(shared: ObjectStore) -> Iterator[ObjectStore]:
    yield shared
    for name in shared.names():
        shared.files().rm(f"{BUCKET}/{name}")


def _write(files: Any, name: str, size: int) -> None:
    with files.open(f"{BUCKET}/{name}", "wb", block_size=PART) as file:
        file.write(b"x" * size)


def test_what_is_written_in_several_parts_is_read_as_one(store: ObjectStore) -> None:
    _write(store.files(), "set/dump", 2 * PART + 7)
    assert store.names() == ["set/dump"]
    assert store.files().size(f"{BUCKET}/set/dump") == 2 * PART + 7
    assert store.unfinished_uploads() == 0


def test_an_upload_that_is_not_finished_is_no_file_and_is_seen(store: ObjectStore) -> None:
    file = store.files().open(f"{BUCKET}/set/dump", "wb", block_size=PART)
    file.write(b"x" * (2 * PART))
    assert store.names() == []
    assert store.unfinished_uploads() == 1
    file.discard()
    file.closed = True  # else it is completed when it is forgotten
    assert store.unfinished_uploads() == 0


def test_a_read_only_store_refuses_writing_alone(store: ObjectStore) -> None:
    _write(store.files(), "before", 3)
    with store.read_only():
        with pytest.raises(PermissionError, match="Access Denied"):
            _write(store.files(), "after", 3)
        assert store.names() == ["before"]


def test_a_store_that_gets_full_refuses_in_the_middle(store: ObjectStore) -> None:
    with store.full_after(PART), pytest.raises(OSError, match="minimum free drive threshold"):
        _write(store.files(), "set/dump", 3 * PART)
    assert store.names() == []


def test_a_store_that_is_cut_off_comes_back_with_what_it_had(store: ObjectStore) -> None:
    _write(store.files(), "before", 3)
    with store.cut_off(), pytest.raises(httpx.ConnectError):
        httpx.get(store.endpoint, timeout=5)
    assert store.names() == ["before"]
