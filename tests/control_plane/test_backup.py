"""Backup sets of a real API server's cluster: whole ones, one at a time, and what becomes of older ones."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from cluster.backup_report import BackupReport
from cluster.backups import Store
from cluster.errors import Blocked, DowntimeError, Failed, LockLost, Misused
from cluster.part_source import Gathered, Sink
from cluster.store_writing import WritableStore
from lab.api import Api
from lab.layout import Lab
from tests.control_plane.backing_up import held, settings_of, take, verdict
from tests.control_plane.commands import LEASES
from tests.unit.backup_sets import document, id_of, write
from tests.unit.backup_sources import DUMP, of_bytes, of_work, whole

LEASE = f"{LEASES}/recovery-backup"
DAY = timedelta(days=1)


def uid_of(lab: Lab) -> str:
    return settings_of(lab, "").cluster.uid


def older(lab: Lab, store: Path, *days: float) -> list[str]:
    """Good sets that were taken so many days ago."""
    found = []
    for each in days:
        began = datetime.now(UTC).replace(microsecond=0) - each * DAY
        found.append(write(store, document(began, cluster_uid=uid_of(lab))).name)
    return found


def test_set_that_was_taken_is_what_the_gate_accepts(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    settings = settings_of(lab, tmp_path)
    said: list[str] = []
    report = take(lab, settings, say=lambda step, text: said.append(f"{step}: {text}"))
    manifest = Store(str(tmp_path)).read_manifest(report.set)
    assert (manifest.schema_version, manifest.cluster_uid, manifest.by) == (2, uid_of(lab), "a test")
    assert manifest.versions.keys() == {"downtime", "kubernetes"}
    assert [part.title for part in manifest.parts] == [part.title for part in report.parts]
    found = verdict(lab, settings)
    assert (found.verdict, found.set) == ("passed", report.set)
    assert report.check.verdict == "passed"
    assert "part: 4 of 5: database/backend" in said
    assert (lab_api.get(LEASE)["spec"].get("holderIdentity") or "") == "", "the lock is free again"
    assert not [path for path in tmp_path.rglob("*") if "unfinished" in path.name]


def test_encrypted_set_is_accepted_by_who_cannot_read_it(lab: Lab, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    settings = settings_of(lab, tmp_path, recipients=[str(identity.to_public())], allow_plaintext=False)
    report = take(lab, settings)
    assert verdict(lab, settings).set == report.set
    assert report.recipients == (str(identity.to_public()),)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(files) == 4
    assert all(path.read_bytes().startswith(b"age-encryption.org/v1") for path in files)
    assert pyrage.decrypt((tmp_path / report.set / "postgresql/backend.dump.age").read_bytes(), [identity]) == DUMP


def test_without_recipients_nothing_is_taken(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(Blocked, match="there is no public key") as caught:
        take(lab, settings_of(lab, tmp_path, allow_plaintext=False))
    assert caught.value.code == "no-recipients"
    assert list(tmp_path.iterdir()) == []


def test_another_cluster_is_not_backed_up(lab: Lab, tmp_path: Path) -> None:
    settings = settings_of(lab, tmp_path)
    other = settings.model_copy(update={"cluster": settings.cluster.model_copy(update={"uid": "another"})})
    with pytest.raises(Misused, match="has the uid"):
        take(lab, other)
    assert list(tmp_path.iterdir()) == []


def test_of_backups_that_begin_in_the_same_instant_one_goes_ahead(lab: Lab, tmp_path: Path) -> None:
    settings, start, ended = settings_of(lab, tmp_path), threading.Barrier(4), threading.Semaphore(0)
    done: list[BackupReport | DowntimeError] = []

    def work(sink: Sink) -> None:
        sink.write(DUMP)
        for _ in range(3):
            assert ended.acquire(timeout=60), "the others did not end"

    def one() -> None:
        gathered = whole(dump=of_work("database", "backend", "postgresql/backend.dump", work))
        start.wait(30)
        try:
            done.append(take(lab, settings, gathered))
        except DowntimeError as error:
            done.append(error)
        ended.release()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    refused = [each for each in done if isinstance(each, DowntimeError)]
    assert [(each.code, each.exit_code) for each in refused] == [("locked", 3)] * 3
    assert "is taking a backup at this moment" in refused[0].message
    assert [path.name for path in tmp_path.iterdir()] == [each.set for each in done if isinstance(each, BackupReport)]
    assert verdict(lab, settings).verdict == "passed"


def test_backup_that_was_overtaken_does_not_finish(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    """A frozen machine wakes up, and another one has taken the lock meanwhile."""

    def overtaken(sink: Sink) -> None:
        sink.write(DUMP)
        lab_api.patch(LEASE, {"spec": {"holderIdentity": "somebody else"}})
        renewing = next(one for one in threading.enumerate() if one.name == "lock-recovery-backup")
        renewing.join(30)

    gathered = whole(dump=of_work("database", "backend", "postgresql/backend.dump", overtaken))
    try:
        with pytest.raises(LockLost, match="somebody else"):
            take(lab, settings_of(lab, tmp_path), gathered)
        assert list(tmp_path.iterdir()) == [], "what it had written is gone, and no manifest was"
    finally:
        lab_api.delete(LEASE)


def test_older_sets_go_after_a_good_one_was_taken(lab: Lab, tmp_path: Path) -> None:
    sets = older(lab, tmp_path, 1, 2, 3, 100)
    foreign = write(tmp_path, document(datetime.now(UTC) - 200 * DAY), name=None).name
    report = take(lab, settings_of(lab, tmp_path, keep_sets=3))
    assert list(report.removed) == [sets[3], sets[2]]
    assert {path.name for path in tmp_path.iterdir()} == {report.set, sets[0], sets[1], foreign}


def test_nothing_goes_when_the_new_set_is_not_good(lab: Lab, tmp_path: Path) -> None:
    """Without the metrics it is no set that the gate accepts; the dumps in it are worth keeping all the same."""
    sets = older(lab, tmp_path, 1, 2, 3)
    before = {name: held(tmp_path / name) for name in sets}
    lacking = Gathered(tuple(each for each in whole().sources if each.kind != "metrics"))
    with pytest.raises(Failed, match="not good: metrics: the set lacks") as caught:
        take(lab, settings_of(lab, tmp_path, keep_sets=1), lacking)
    assert caught.value.exit_code == 1
    (new,) = {path.name for path in tmp_path.iterdir()} - set(sets)
    assert f"the set {new} in" in caught.value.changed[0]
    assert {name: held(tmp_path / name) for name in sets} == before
    assert verdict(lab, settings_of(lab, tmp_path)).set == sets[0]


def test_set_that_a_killed_backup_left_goes_after_two_days(lab: Lab, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    dead, recent = (write(tmp_path, None, name=id_of(now - days * DAY)) for days in (3, 1))
    by_hand = write(tmp_path, None, name=f"{id_of(now - 9 * DAY)}-by-hand")
    report = take(lab, settings_of(lab, tmp_path))
    assert list(report.removed) == [dead.name]
    assert {path.name for path in tmp_path.iterdir()} == {report.set, recent.name, by_hand.name}


def test_an_old_set_that_cannot_be_removed_is_a_warning(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = older(lab, tmp_path, 1)

    def refuse(self: WritableStore, set_id: str) -> None:
        raise Blocked("store-forbidden", f"{set_id} may not be removed", "")

    monkeypatch.setattr(WritableStore, "remove", refuse)
    report = take(lab, settings_of(lab, tmp_path, keep_sets=1))
    assert report.warnings == (f"the old set {sets[0]} could not be removed: {sets[0]} may not be removed",)
    assert report.removed == ()


def test_more_parts_than_the_gate_asks_for_are_kept_and_checked(lab: Lab, tmp_path: Path) -> None:
    report = take(lab, settings_of(lab, tmp_path), whole(of_bytes("resources", "projects", "r/projects.json", b"[]")))
    assert "resources/projects" in [part.title for part in report.parts]
    (tmp_path / report.set / "r" / "projects.json").write_bytes(b"[ ")
    assert verdict(lab, settings_of(lab, tmp_path)).verdict == "blocked"
