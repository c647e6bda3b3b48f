"""Removing the sets that are not kept: looks at every folder of the store, and lets ``retention`` decide."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cluster import check_lines, retention, shrinking
from cluster.backups import SetEntry
from cluster.config import RecoverySettings
from cluster.errors import DowntimeError
from cluster.evidence import GateSettings
from cluster.judging import judge_set
from cluster.manifest import Manifest
from cluster.rehearsal_note import RehearsalNote
from cluster.retention import Keeping, KnownSet
from cluster.set_reading import look
from cluster.showing_time import span
from cluster.store_writing import WritableStore

# A name that a backup of this product gives: ``set_id``.
OUR_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d{1,3})?")
LOOKING_SECONDS = 600.0
# Ages are counted in days here; a clock that differs by more than this is wrong.
CLOCKS_APART = timedelta(hours=1)
_WHATEVER_AGE = timedelta(days=36500)


def doubt(now: datetime, server_time: datetime | None) -> str:
    """Why older sets must stay although the new one is good; empty: nothing speaks against removing them.

    Args:
        now: the time by this machine's clock.
        server_time: by the API server's; None: unknown.
    """
    if server_time is not None and abs(now - server_time) > CLOCKS_APART:
        return f"this machine's clock and the API server's are {span(abs(now - server_time))} apart"
    return ""


def prune(
    store: WritableStore,
    settings: RecoverySettings,
    cluster_uid: str,
    now: datetime,
    tidy: Callable[[], list[str]],
) -> tuple[list[str], list[str]]:
    """Remove what is not kept: the ids that are gone, and in sentences what could not be done. Never raises.

    To be called after a new set was taken and found good, by whoever holds the lock of backups.

    Args:
        tidy: removes what no set names any more, and says what it could not; not called where the store is in doubt.
    """
    keeping = Keeping(
        settings.keep_sets,
        timedelta(days=settings.keep_days),
        None if settings.rehearsal_max_age_days is None else timedelta(days=settings.rehearsal_max_age_days),
    )
    removed: list[str] = []
    try:
        known = _look_at_all(store, cluster_uid, now)
    except DowntimeError as error:
        return removed, [f"no old set was removed: {error.message}"]
    gone = retention.expired(known, now, keeping)
    failed = _held(known, now, keeping, gone)
    for set_id in gone:
        try:
            store.remove(set_id)
            removed.append(set_id)
        except DowntimeError as error:
            failed.append(f"the old set {set_id} could not be removed: {error.message}")
    return removed, [*failed, *tidy()]


def _held(known: Sequence[KnownSet], now: datetime, keeping: Keeping, gone: Sequence[str]) -> list[str]:
    """What stays for the reason alone that newer sets shrank, in a sentence."""
    otherwise = retention.expired([replace(each, smaller=False) for each in known], now, keeping)
    held = [set_id for set_id in otherwise if set_id not in gone]
    if not held:
        return []
    return [
        f"kept, though it is their turn to go, since newer sets are much smaller: {', '.join(held)}; if that much was "
        "deleted on purpose, 'downtime backup --accept-smaller' takes a set that says so"
    ]


def _look_at_all(store: WritableStore, cluster_uid: str, now: datetime) -> list[KnownSet]:
    end = time.monotonic() + LOOKING_SECONDS
    settings = GateSettings(cluster_uid=cluster_uid, max_age=_WHATEVER_AGE)
    known = []
    good: list[Manifest] = []
    # From the oldest on, so that each is compared with those before it.
    for entry in reversed(store.sets()):
        manifest, seen = _look_at(store, entry, settings, now, end)
        if manifest is not None and seen.good:
            seen = replace(seen, smaller=bool(shrinking.shrunk(manifest, good)))
            good.append(manifest)
        known.append(seen)
    return known


def _look_at(
    store: WritableStore, entry: SetEntry, settings: GateSettings, now: datetime, end: float
) -> tuple[Manifest | None, KnownSet]:
    seen = look(store, entry, end)
    if seen.manifest is None:
        ours = seen.half_taken and OUR_NAME.fullmatch(entry.id) is not None
        return None, KnownSet(entry.id, entry.taken, ours, half_taken=seen.half_taken)
    known = KnownSet(entry.id, seen.manifest.began, seen.manifest.cluster_uid == settings.cluster_uid)
    known = replace(known, accepted=bool(seen.manifest.smaller_accepted_by))
    good = check_lines.good(judge_set(seen, now, settings, depth="sizes"))
    return seen.manifest, replace(known, good=good, rehearsed=_rehearsed(seen.notes) if good else None)


def _rehearsed(notes: Iterable[RehearsalNote]) -> datetime | None:
    return max((note.finished.astimezone(UTC) for note in notes if note.passed), default=None)
