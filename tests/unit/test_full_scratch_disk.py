"""Hazard: the disk that a rehearsal restores to is full, and the backup is said to be bad.

The disks here are real ones of a few megabytes, so these tests need root.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import rehearsing
from cluster.errors import DowntimeError
from cluster.rehearsing import Asked
from tests.unit.rehearsed_sets import Stored, copied, fill, settings, sources, take
from tests.unit.running_postgres import postgres
from tests.unit.scratch_processes import scratch_folder, servers

# More than ``_FITS`` leaves beside an empty server and its log of changes, and hardly to be compressed.
_LARGE = "CREATE TABLE large AS SELECT n, md5(n::text) || sha256(n::text::bytea) body FROM generate_series(1, 500000) n"
# What an empty server takes.
_EMPTY_MIB = 40


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    store = tmp_path_factory.mktemp("plain")
    with postgres() as server:
        fill(server)
        server.sql(_LARGE, "backend")
        return Stored(store, take(store, sources(server)))


@contextmanager
def disk(mebibytes: int) -> Iterator[Path]:
    """A disk of that size, for temporary files."""
    with scratch_folder() as folder:
        options = f"size={mebibytes}m,mode=1777"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "downtime-test", folder], check=True, timeout=10)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True, timeout=10)


@pytest.mark.parametrize("mebibytes", [8, _EMPTY_MIB, _EMPTY_MIB + 24, _EMPTY_MIB + 60])
def test_a_full_disk_says_nothing_about_the_set(
    plain: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    stored = copied(plain, tmp_path)
    with disk(mebibytes) as folder:
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        with pytest.raises(DowntimeError) as caught:
            rehearsing.run(settings(tmp_path, stored.store), Asked())
        assert caught.value.code == "scratch-full", caught.value
        assert str(folder) in caught.value.message
        assert "TMPDIR" in caught.value.remedy
        assert servers(folder) == []
        assert list(folder.iterdir()) == []
    assert stored.notes() == []


def test_on_a_disk_that_is_large_enough_it_passes(
    plain: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = copied(plain, tmp_path)
    with disk(600) as folder:
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        assert rehearsing.run(settings(tmp_path, stored.store), Asked()).passed
        assert list(folder.iterdir()) == []
