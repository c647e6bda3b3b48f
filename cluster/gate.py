"""The recovery gate: no node goes down unless the control plane's data could be restored.

It is a gate, not a warning: a check that fails, or cannot be made, blocks. It is judged once, before the first change;
never on resume, return or abort. ``judge`` is pure; ``check`` gathers what it judges.

Which set decides: the newest good one. If a newer one is bad, a WARN line names it: the data can be restored, but
somebody has to look at the backups. Folders without a manifest were not finished, and count as no set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cluster.backups import DOCUMENT_BYTES, FileRefused, SetEntry, Store, StoreError, time_of
from cluster.errors import DowntimeError
from cluster.judging import NEW_SET, REQUIRED, Depth, GateSettings, Requirement, Seen, SetEvidence, judge_set
from cluster.manifest import ManifestError, Part
from cluster.verdict import BLOCKER_CODE, Level, Line, Outcome, Verdict, conclude, overridden

__all__ = [
    "BLOCKER_CODE",
    "REQUIRED",
    "Depth",
    "GateSettings",
    "Level",
    "Line",
    "Outcome",
    "Requirement",
    "Seen",
    "SetEvidence",
    "Verdict",
    "check",
    "check_set",
    "judge",
    "look",
    "overridden",
]

# For all that is gathered: a plan is waited for by a person; reading back hundreds of gigabytes takes long.
DEADLINE_SECONDS: dict[Depth, float] = {"sizes": 120.0, "checksums": 2 * 3600.0}


def judge(
    sets: Sequence[SetEvidence],
    now: datetime,
    settings: GateSettings,
    required: Sequence[Requirement] = REQUIRED,
    depth: Depth = "checksums",
) -> Verdict:
    """The verdict about the sets of a self-hosted cluster, in whatever order they are given.

    Args:
        sets: what was gathered, half-taken folders included.
        now: the moment to count ages from.
        settings: limits, and the cluster's uid.
        required: what a set must hold.
        depth: ``sizes`` (a plan) or ``checksums`` (before a run's first change: files must have been read back).
    """
    lines = _half_taken([each.id for each in sets if each.half_taken])
    whole = sorted((each for each in sets if not each.half_taken), key=_when, reverse=True)
    if not whole:
        return conclude([*lines, _failed("set", "there is no backup set in the store", NEW_SET)], now)
    judged = [(each.id, judge_set(each, now, settings, required, depth)) for each in whole]
    chosen = next((index for index, (_, found) in enumerate(judged) if not _bad(found)), None)
    if chosen is None:
        newest, found = judged[0]
        others = [_warning("older-set", f"set {name} cannot take its place: {_why(bad)}") for name, bad in judged[1:]]
        return conclude([*lines, *found, *others], now, newest)
    name, found = judged[chosen]
    newer = [
        _warning("newer-set", f"set {bad_name} is newer, and bad: {_why(bad)}") for bad_name, bad in judged[:chosen]
    ]
    return conclude([*lines, *newer, *found], now, name)


def check(
    store: Store | None,
    *,
    self_hosted: bool | None,
    settings: GateSettings,
    depth: Depth,
    required: Sequence[Requirement] = REQUIRED,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    deadline_seconds: float | None = None,
) -> Verdict:
    """Gathers what the store shows, and judges it. Never raises for what a store does: that blocks, with the reason.

    Args:
        store: None: no store is configured.
        self_hosted: whether the namespace runai-backend exists; None: it could not be observed, which blocks.
        settings: limits, and the cluster's uid.
        depth: ``sizes`` for a plan, ``checksums`` before a run's first change.
        required: what a set must hold.
        clock: the time; ages are counted when all was read, as that may take long.
        deadline_seconds: for all of it; by default 2 minutes, or 2 hours with checksums.
    """
    if self_hosted is None:
        reason = "whether the namespace runai-backend exists could not be observed"
        remedy = "See that the API server answers and that namespaces may be read (downtime doctor), then run again."
        return conclude([_failed("flavour", reason, remedy)], clock())
    if not self_hosted:
        reason = "no namespace runai-backend: the control plane is not on this cluster (SaaS), nothing of it to restore"
        line = Line(level="PASS", check="flavour", reason=reason)
        return Verdict(verdict="not-applicable", lines=(line,), judged_at=clock())
    if store is None:
        remedy = "Set [recovery] store to the folder or URL that backup sets are taken into."
        return conclude([_failed("store", "no backup store is configured", remedy)], clock())
    seconds = DEADLINE_SECONDS[depth] if deadline_seconds is None else deadline_seconds
    try:
        sets = _gather(store, settings, required, depth, clock, seconds)
    except DowntimeError as error:
        return conclude([_failed("store", error.message, error.remedy)], clock())
    verdict = judge(sets, clock(), settings, required, depth)
    answers = Line(level="PASS", check="store", reason=f"{store.name} answers")
    return verdict.model_copy(update={"lines": (answers, *verdict.lines)})


def check_set(
    store: Store,
    set_id: str,
    *,
    settings: GateSettings,
    depth: Depth = "checksums",
    required: Sequence[Requirement] = REQUIRED,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Verdict:
    """The same of one set alone, as whoever has just taken it wants to know. Never raises for what a store does."""
    end = time.monotonic() + DEADLINE_SECONDS[depth]
    try:
        evidence = look(store, SetEntry(set_id, time_of(set_id)), end)
        lines = judge_set(evidence, clock(), settings, required, "sizes")
        if depth == "checksums" and not _bad(lines):
            evidence = _read_back(store, evidence, end)
            lines = judge_set(evidence, clock(), settings, required, depth)
    except DowntimeError as error:
        return conclude([_failed("store", error.message, error.remedy)], clock(), set_id)
    return conclude(lines, clock(), set_id)


def _gather(
    store: Store,
    settings: GateSettings,
    required: Sequence[Requirement],
    depth: Depth,
    clock: Callable[[], datetime],
    seconds: float,
) -> list[SetEvidence]:
    """What is needed to judge: sets from the newest on, until one is good or all the rest are too old.

    Of older folders within the limit only the half-taken ones are added, since those are news.
    """
    end = time.monotonic() + seconds
    found: list[SetEvidence] = []
    good = False
    for entry in store.sets():
        now = clock()
        looked = any(not each.half_taken for each in found)
        if looked and entry.taken is not None and now - entry.taken > settings.max_age:
            break
        _left(store, end)
        if good:
            if not store.has_manifest(entry.id):
                found.append(SetEvidence(entry.id, entry.taken, half_taken=True))
            continue
        evidence = look(store, entry, end)
        lines = judge_set(evidence, now, settings, required, "sizes")
        if depth == "checksums" and not _bad(lines):
            evidence = _read_back(store, evidence, end)
            lines = judge_set(evidence, now, settings, required, depth)
        found.append(evidence)
        # A folder whose name tells no time stands before the others, and may be older than they are.
        good = entry.taken is not None and not evidence.half_taken and not _bad(lines)
    return found


def look(store: Store, entry: SetEntry, end: float) -> SetEvidence:
    """What a folder of the store shows without reading its files back.

    Args:
        end: when it must be done, as ``time.monotonic()`` counts.

    Raises:
        StoreError: the store failed, or the time is over.
    """
    try:
        manifest = store.read_manifest(entry.id)
    except (ManifestError, FileRefused) as error:
        return SetEvidence(entry.id, entry.taken, problem=error, half_taken=error.code == "manifest-missing")
    files = {}
    for part in manifest.files:
        _left(store, end)
        files[part.path or ""] = _see(store, entry.id, part)
    return SetEvidence(entry.id, entry.taken, manifest, files=files)


def _see(store: Store, set_id: str, part: Part) -> Seen:
    try:
        size = store.size(set_id, part)
        readable = part.kind == "runaiconfig" and size <= DOCUMENT_BYTES
        return Seen(size, content=store.read(set_id, part.path or "") if readable else None)
    except FileRefused as error:
        return Seen(problem=error.message)


def _read_back(store: Store, evidence: SetEvidence, end: float) -> SetEvidence:
    files = dict(evidence.files)
    for part in evidence.manifest.files if evidence.manifest else ():
        path = part.path or ""
        try:
            files[path] = replace(files[path], sha256=store.checksum(evidence.id, part, _left(store, end)))
        except FileRefused as error:
            files[path] = Seen(problem=error.message)
    return replace(evidence, files=files)


def _left(store: Store, end: float) -> float:
    """Seconds until the end, which must not have come."""
    left = end - time.monotonic()
    if left <= 0:
        raise StoreError(
            "store-slow",
            f"the backup store {store.name} was not read in time",
            "See that the store is fast enough for its backup sets, then run again.",
        )
    return left


def _when(evidence: SetEvidence) -> tuple[datetime, str]:
    began = evidence.manifest.began if evidence.manifest else evidence.taken
    # One that tells no time could be the newest: it is never passed over in silence.
    return began or datetime.max.replace(tzinfo=UTC), evidence.id


def _bad(lines: Sequence[Line]) -> bool:
    return any(line.level == "FAILED" for line in lines)


def _why(lines: Sequence[Line]) -> str:
    reasons = [f"{line.check}: {line.reason}" for line in lines if line.level == "FAILED"]
    return reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")


def _half_taken(names: Sequence[str]) -> list[Line]:
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    named = ", ".join(names[:3])
    return [_warning("half-taken", f"without a manifest, so not finished and not counted: {named}{more}")]


def _failed(name: str, reason: str, remedy: str) -> Line:
    return Line(level="FAILED", check=name, reason=reason, remedy=remedy)


def _warning(name: str, reason: str) -> Line:
    return Line(level="WARN", check=name, reason=reason)
