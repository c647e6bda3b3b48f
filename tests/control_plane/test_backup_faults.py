"""Backups that cannot end well: nothing half is taken as whole, the earlier set stays, and what is left is named."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.backups import Store, StoreError
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.part_source import Sink
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane.backing_up import CHUNK, begun, held, settings_of, take, verdict
from tests.control_plane.commands import LEASES
from tests.unit.backup_sources import DUMP, of_bytes, of_work, whole
from tests.unit.failing_store import FaultyFileSystem

LEASE = f"{LEASES}/recovery-backup"
LARGE = whole(dump=of_bytes("database", "backend", "postgresql/backend.dump", *[CHUNK] * 12))
STORE_BYTES = 8 << 20


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB of its own, which can be full and be made read-only. Needs root, as the lab's hosts do."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={STORE_BYTES},mode=700", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, timeout=30, capture_output=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30, capture_output=True)


@pytest.fixture
def faulty() -> Iterator[str]:
    """A store in memory that can be cut off, and can damage what it is given."""
    FaultyFileSystem.empty()
    yield "faulty://store"
    FaultyFileSystem.empty()


def refused(call: Callable[[], object]) -> DowntimeError:
    with pytest.raises(DowntimeError) as caught:
        call()
    return caught.value


def test_full_store_leaves_the_earlier_set_and_nothing_else(lab: Lab, small_store: Path) -> None:
    settings = settings_of(lab, small_store)
    good = take(lab, settings).set
    before = held(small_store)
    error = refused(lambda: take(lab, settings, LARGE))
    assert (error.code, error.exit_code, error.changed) == ("store-full", 3, ())
    assert "keep_sets" in error.remedy
    assert held(small_store) == before
    assert [path.name for path in small_store.iterdir()] == [good]
    assert verdict(lab, settings).set == good
    assert take(lab, settings).check.verdict == "passed", "there is room for a small one again"


def test_store_that_is_full_for_the_manifest_alone_has_no_set(lab: Lab, small_store: Path) -> None:
    """All parts were written, and the last thing is missing: that is no set."""

    def fill(sink: Sink) -> None:
        sink.write(b"x")
        room = os.statvfs(small_store)
        (small_store / "ballast").write_bytes(b"\0" * ((room.f_bavail - 1) * room.f_bsize))

    settings = settings_of(lab, small_store)
    good = take(lab, settings).set
    error = refused(lambda: take(lab, settings, whole(of_work("nodes", "all", "nodes.json", fill))))
    assert error.code == "store-full"
    assert {path.name for path in small_store.iterdir()} == {good, "ballast"}
    assert verdict(lab, settings).set == good


def test_read_only_store_is_said_so(lab: Lab, small_store: Path) -> None:
    settings = settings_of(lab, small_store)
    good = take(lab, settings).set
    before = held(small_store)
    subprocess.run(["mount", "-o", "remount,ro", str(small_store)], check=True, timeout=30, capture_output=True)
    error = refused(lambda: take(lab, settings))
    assert (error.code, error.exit_code, error.changed) == ("store-read-only", 3, ())
    assert held(small_store) == before
    assert verdict(lab, settings).set == good


@pytest.mark.parametrize("at", ["backend.dump", "manifest.json"])
def test_store_that_is_cut_off_has_no_set_and_what_it_may_hold_is_named(lab: Lab, faulty: str, at: str) -> None:
    settings = settings_of(lab, faulty)
    good = take(lab, settings).set
    FaultyFileSystem.reset(cut_off_at=at)
    error = refused(lambda: take(lab, settings))
    assert (error.code, error.exit_code) == ("store-unreachable", 1)
    assert len(error.changed) == 1
    assert "the half-taken folder" in error.changed[0]
    assert verdict(lab, settings).verdict == "blocked", "the gate during the outage"
    FaultyFileSystem.reset()
    found = verdict(lab, settings)
    assert (found.verdict, found.set) == ("passed", good)
    assert [line.level for line in found.lines if line.check == "half-taken"] == ["WARN"]


@pytest.mark.parametrize("path", ["postgresql/backend.dump", "runaiconfig.json"])
def test_store_that_damages_what_it_is_given_is_found_out(lab: Lab, faulty: str, path: str) -> None:
    settings = settings_of(lab, faulty)
    good = take(lab, settings).set
    FaultyFileSystem.reset(flipped=path)
    error = refused(lambda: take(lab, settings))
    assert isinstance(error, Failed)
    assert "is damaged: its checksum is not the manifest's" in error.message or "is not JSON" in error.message
    FaultyFileSystem.reset()
    assert verdict(lab, settings).set == good


def test_pod_that_is_gone_in_the_middle_of_a_dump_leaves_nothing(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    def gone(sink: Sink) -> None:
        for _ in range(4):
            sink.write(CHUNK)
        raise Blocked("exec-broken", "the pod runai-backend-postgresql-0 is gone", "wait for it")

    settings = settings_of(lab, tmp_path)
    good = take(lab, settings).set
    before = held(tmp_path)
    error = refused(
        lambda: take(lab, settings, whole(dump=of_work("database", "backend", "postgresql/backend.dump", gone)))
    )
    assert (error.code, error.changed) == ("exec-broken", ())
    assert held(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == [good]
    assert not lab_api.get(LEASE)["spec"].get("holderIdentity")


def test_killed_backup_leaves_no_set_and_the_next_one_goes_on(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    settings = settings_of(lab, store)
    good = take(lab, settings).set
    before = held(store / good)
    process = begun(lab, store, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    (half,) = {path.name for path in store.iterdir()} - {good}
    assert (store / half / "postgresql" / "backend.dump").stat().st_size > 0
    assert not (store / half / "manifest.json").exists()
    assert lab_api.get(LEASE)["spec"]["holderIdentity"], "its lock is still there"
    found = verdict(lab, settings)
    assert (found.verdict, found.set) == ("passed", good)
    assert [half in line.reason for line in found.lines if line.check == "half-taken"] == [True]
    began = time.monotonic()
    new = take(lab, settings).set
    assert time.monotonic() - began > 1, "the lock was waited for"
    assert held(store / good) == before
    assert {path.name for path in store.iterdir()} == {good, half, new}
    assert verdict(lab, settings).set == new


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_backup_that_is_ended_takes_its_half_set_away(
    lab: Lab, lab_api: Api, tmp_path: Path, number: signal.Signals
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    process = begun(lab, store, tmp_path)
    assert [path.name for path in store.iterdir()] != []
    process.send_signal(number)
    assert process.wait(30) != 0
    assert list(store.iterdir()) == []
    assert not lab_api.get(LEASE)["spec"].get("holderIdentity")


def test_lock_is_renewed_while_a_part_takes_long(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    """Longer than the lease lives: a second backup would begin otherwise."""
    seen: list[str] = []

    def slow(sink: Sink) -> None:
        sink.write(DUMP)
        first = lab_api.get(LEASE)["spec"]["renewTime"]
        until(lambda: lab_api.get(LEASE)["spec"]["renewTime"] > first, seconds=20, what=lambda: "not renewed")
        seen.append(refused(lambda: take(lab, settings)).code)

    settings = settings_of(lab, tmp_path)
    take(lab, settings, whole(dump=of_work("database", "backend", "postgresql/backend.dump", slow)))
    assert seen == ["locked"]


def test_set_is_not_there_for_the_gate_before_it_is_whole(lab: Lab, tmp_path: Path) -> None:
    settings = settings_of(lab, tmp_path)
    good = take(lab, settings).set
    seen: list[tuple[str, str | None]] = []

    def look(sink: Sink) -> None:
        sink.write(CHUNK)
        found = verdict(lab, settings)
        seen.append((found.verdict, found.set))

    new = take(lab, settings, whole(of_work("nodes", "all", "nodes.json", look))).set
    assert seen == [("passed", good)]
    assert verdict(lab, settings).set == new
    assert [entry.id for entry in Store(str(tmp_path)).sets()] == [new, good]


def test_store_that_is_gone_is_said_before_the_lock_is_taken(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        take(lab, settings_of(lab, tmp_path / "gone"))
    assert not (tmp_path / "gone").exists()
