"""Older sets stay while anything speaks against removing them, and the new set is good all the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest

from cluster import backup, gate, keeping, rehearsal_store
from cluster.config import RecoverySettings
from cluster.errors import LockLost, Unreachable
from cluster.evidence import GateSettings
from cluster.manifest import External
from cluster.part_source import DeclaredSource, Gathered
from cluster.rehearsal_note import RehearsalNote
from cluster.store_writing import WritableStore
from cluster.verdict import Line
from lab.dump_file import dump
from tests.unit.backup_sets import FILES, NOW, UID, document, id_of, write

LARGE = {**FILES, "postgresql/backend.dump": dump(padding=2_000_000)}
EMPTIED = {**FILES, "postgresql/backend.dump": dump()}
NEW = NOW - timedelta(minutes=5)


class StandInLock:
    """A lock that is held, or was lost."""

    def __init__(self, *losses: bool) -> None:
        self.losses, self.taken = list(losses), False

    def check(self) -> None:
        if self.losses and self.losses.pop(0):
            raise LockLost("lock-lost", "the lock was lost", "")


class StandInApi:
    """An API server that tells the time, or is away."""

    def __init__(self, time: datetime | None = NOW, away: bool = False) -> None:
        self.time, self.away = time, away

    def server_time(self) -> datetime | None:
        if self.away:
            raise Unreachable("unreachable", "the API server is away", "")
        return self.time


def removed(
    folder: Path,
    api: Any = None,
    lock: Any = None,
    new: dict[str, bytes] = LARGE,
    days: float = 7,
    sources: Sequence[DeclaredSource] = (),
    **more: Any,
) -> tuple[list[str], list[str]]:
    """What is removed after a set with these files was taken, where there are four of 8 to 11 days."""
    for day in range(8, 12):
        write(folder, document(NOW - timedelta(days=day), LARGE), LARGE)
    write(folder, document(NEW, new, **more), new)
    store = WritableStore(str(folder))
    verdict = gate.check_set(store, id_of(NEW), settings=GateSettings(cluster_uid=UID), clock=lambda: NOW)
    assert verdict.verdict == "passed"
    settings = RecoverySettings(store=str(folder), keep_days=days)
    server, held = cast(Any, api or StandInApi()), cast(Any, lock or StandInLock())
    return backup._pruned(server, store, settings, UID, held, lambda: NOW, sources)


def test_sets_that_are_too_old_go_and_two_good_ones_stay(tmp_path: Path) -> None:
    gone, warnings = removed(tmp_path)
    assert gone == [id_of(NOW - timedelta(days=day)) for day in (11, 10, 9)]
    assert warnings == []


def ids(*days: int) -> list[str]:
    return [id_of(NOW - timedelta(days=day)) for day in days]


def test_the_last_whole_sets_stay_after_a_database_was_emptied(tmp_path: Path) -> None:
    gone, (warning,) = removed(tmp_path, new=EMPTIED)
    assert gone == ids(11, 10)
    assert f"newer sets are much smaller: {ids(9)[0]}; if" in warning, "8 would stay by itself"
    assert "--accept-smaller" in warning


def test_however_often_an_emptied_database_is_saved_the_last_whole_sets_stay(tmp_path: Path) -> None:
    """The set before the newest one is as empty: beside that one alone, nothing shrank."""
    for day in range(1, 7):
        write(tmp_path, document(NOW - timedelta(days=day), EMPTIED), EMPTIED)
    gone, (warning,) = removed(tmp_path, new=EMPTIED, days=3)
    assert gone == ids(11, 10, 6, 5, 4)
    assert f"{', '.join(ids(9, 8))}; if" in warning
    verdict = gate.check_set(WritableStore(str(tmp_path)), id_of(NEW), settings=GateSettings(UID), clock=lambda: NOW)
    (line,) = [one for one in verdict.lines if one.check == "previous-set"]
    assert (line.level, ids(8)[0] in line.reason) == ("WARN", True)
    assert "--accept-smaller" in line.remedy


def test_a_person_lets_the_larger_sets_go(tmp_path: Path) -> None:
    for day in range(1, 7):
        write(tmp_path, document(NOW - timedelta(days=day), EMPTIED), EMPTIED)
    gone, warnings = removed(tmp_path, new=EMPTIED, days=3, smaller_accepted_by="anna")
    assert (gone, warnings) == (ids(11, 10, 9, 8, 6, 5, 4), [])
    verdict = gate.check_set(WritableStore(str(tmp_path)), id_of(NEW), settings=GateSettings(UID), clock=lambda: NOW)
    (line,) = [one for one in verdict.lines if one.check == "previous-set"]
    assert (line.level, "accepted by anna" in line.reason) == ("PASS", True)


def test_later_sets_are_compared_with_the_one_that_was_accepted(tmp_path: Path) -> None:
    write(tmp_path, document(NOW - timedelta(days=2), LARGE), LARGE)
    write(tmp_path, document(NOW - timedelta(days=1), EMPTIED, smaller_accepted_by="anna"), EMPTIED)
    store, settings = WritableStore(str(tmp_path)), GateSettings(UID)
    for files, level in ((EMPTIED, "PASS"), ({**FILES, "postgresql/backend.dump": dump(["a"])}, "WARN")):
        write(tmp_path, document(NEW, files), files)
        verdict = gate.check_set(store, id_of(NEW), settings=settings, clock=lambda: NOW)
        assert [line.level for line in verdict.lines if line.check == "previous-set"] == [level]


def test_an_acceptance_is_not_forgotten_while_a_larger_set_is_kept(tmp_path: Path) -> None:
    accepted, rehearsed = NOW - timedelta(days=20), NOW - timedelta(days=30)
    write(tmp_path, document(rehearsed, LARGE), LARGE)
    line = Line(check="restored", level="PASS", reason="it was")
    ended = NOW - timedelta(days=1)
    note = RehearsalNote(set=id_of(rehearsed), began=ended, finished=ended, result="PASS", lines=(line,))
    rehearsal_store.write(WritableStore(str(tmp_path)), note)
    write(tmp_path, document(accepted, EMPTIED, smaller_accepted_by="anna"), EMPTIED)
    for day in range(3):
        write(tmp_path, document(NOW - timedelta(days=day, minutes=5), EMPTIED), EMPTIED)
    store = WritableStore(str(tmp_path))
    settings = RecoverySettings(store=str(tmp_path), keep_sets=2, rehearsal_max_age_days=30)
    gone, warnings = keeping.prune(store, settings, UID, NOW, list)
    assert (gone, warnings) == ([id_of(NOW - timedelta(days=2, minutes=5))], [])
    assert {id_of(accepted), id_of(rehearsed)} <= set(store.ids())
    verdict = gate.check_set(store, id_of(NEW), settings=GateSettings(UID), clock=lambda: NOW)
    assert [line.level for line in verdict.lines if line.check == "previous-set"] == ["PASS"]


def test_snapshots_that_no_set_names_go_although_sets_are_held_back(tmp_path: Path) -> None:
    tidied: list[Any] = []

    def tidy(kept: Any) -> None:
        tidied.append(kept)
        raise Unreachable("unreachable", "the API server is away", "")

    source = DeclaredSource("metrics", "thanos", External(where="x", taken=NOW), tidy=tidy)
    _, (held, snapshots) = removed(tmp_path, new=EMPTIED, sources=[source])
    assert "newer sets are much smaller" in held
    assert snapshots == "older snapshots were not removed: the API server is away"
    assert len(tidied) == 1


def test_no_snapshot_goes_while_the_store_or_the_lock_is_in_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied: list[Any] = []
    source = DeclaredSource("metrics", "thanos", External(where="x", taken=NOW), tidy=tidied.append)
    removed(tmp_path, StandInApi(away=True), sources=[source])

    def away(*_: Any) -> Any:
        raise Unreachable("unreachable", "the store is away", "")

    monkeypatch.setattr(keeping, "_look_at_all", away)
    _, (warning,) = removed(tmp_path, sources=[source])
    assert (warning, tidied) == ("no old set was removed: the store is away", [])


@pytest.mark.parametrize("hours", [-30, 30])
def test_nothing_goes_by_a_clock_that_is_wrong(tmp_path: Path, hours: int) -> None:
    gone, (warning,) = removed(tmp_path, StandInApi(NOW + timedelta(hours=hours)))
    assert gone == []
    assert "apart" in warning


def test_a_server_that_tells_no_time_is_no_reason_to_keep_everything(tmp_path: Path) -> None:
    assert len(removed(tmp_path, StandInApi(None))[0]) == 3


def test_a_lock_that_comes_back_is_waited_for(tmp_path: Path) -> None:
    assert len(removed(tmp_path, lock=StandInLock(True, True, False))[0]) == 3


@pytest.mark.parametrize(("api", "lock"), [(StandInApi(), StandInLock(True)), (StandInApi(away=True), StandInLock())])
def test_an_api_server_that_is_away_afterwards_fails_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: Any, lock: Any
) -> None:
    monkeypatch.setattr(backup, "RENEWAL_SECONDS", 0.0)
    gone, (warning,) = removed(tmp_path, api, lock)
    assert gone == []
    assert warning.startswith("no old set was removed: the ")


def test_a_long_name_of_who_wants_a_backup_fails_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts: list[Any] = []

    def finished(_store: Any, _settings: Any, draft: Any, *_: Any) -> Any:
        drafts.append(draft)
        raise LockLost("enough", "enough was seen", "")

    monkeypatch.setattr(backup, "require_cluster", lambda *_: UID)
    monkeypatch.setattr(backup, "Lock", MagicMock())
    monkeypatch.setattr(backup, "_finished", finished)
    settings: Any = SimpleNamespace(
        recovery=RecoverySettings(store=str(tmp_path), allow_plaintext=True), cluster=SimpleNamespace(lock_seconds=3)
    )
    api: Any = MagicMock()
    with pytest.raises(LockLost, match="enough"):
        backup.take(api, settings, lambda *_: Gathered(()), by="x" * 501)
    assert drafts[0].asked.by == "x" * 500


def test_a_slow_store_is_compared_with_the_set_before_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared is a warning: it must not use up the time in which the check has to be done."""
    write(tmp_path, document(NOW - timedelta(days=2), LARGE), LARGE)
    write(tmp_path, document(NOW - timedelta(days=1), EMPTIED), EMPTIED)
    write(tmp_path, document(NEW, EMPTIED), EMPTIED)
    store, settings = WritableStore(str(tmp_path)), GateSettings(UID)
    found = []
    for seconds in (10.0, 0.0):
        monkeypatch.setattr("cluster.set_reading._COMPARING_SECONDS", seconds)
        verdict = gate.check_set(store, id_of(NEW), settings=settings, clock=lambda: NOW)
        found += [line.level for line in verdict.lines if line.check == "previous-set"]
    assert found == ["WARN", "PASS"]
