"""The recovery gate: no node goes down unless the control plane's data could be restored.

It is a gate, not a warning: a check that fails, or cannot be made, blocks. It is judged once, before the first change;
never on resume, return or abort. ``judge`` is pure; ``check`` gathers what it judges.

Which set decides: the newest good one. If a newer one is bad, a WARN line names it: the data can be restored, but
somebody has to look at the backups. Folders without a manifest were not finished, and count as no set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cluster.backups import SetEntry, Store
from cluster.check_lines import NEW_SET, failed, good, passed, warning
from cluster.errors import DowntimeError
from cluster.evidence import Depth, GateSettings, Seen, SetEvidence
from cluster.judging import REQUIRED, Requirement, judge_set
from cluster.set_reading import Tools, compared, left, look, read_back
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
    "Tools",
    "Verdict",
    "check",
    "check_set",
    "judge",
    "look",
    "overridden",
]

# For all that is gathered: a plan is waited for by a person; reading back hundreds of gigabytes takes long.
_BARE = Tools()
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
        return conclude([*lines, failed("set", "there is no backup set in the store", NEW_SET)], now)
    judged = [(each.id, judge_set(each, now, settings, required, depth)) for each in whole]
    chosen = next((index for index, (_, found) in enumerate(judged) if good(found)), None)
    if chosen is None:
        newest, found = judged[0]
        others = [warning("older-set", f"set {name} cannot take its place: {_why(bad)}") for name, bad in judged[1:]]
        return conclude([*lines, *found, *others], now, newest)
    name, found = judged[chosen]
    newer = [
        warning("newer-set", f"set {bad_name} is newer, and bad: {_why(bad)}") for bad_name, bad in judged[:chosen]
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
    tools: Tools = _BARE,
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
        tools: what files are looked into with.
    """
    if self_hosted is None:
        reason = "whether the namespace runai-backend exists could not be observed"
        remedy = "See that the API server answers and that namespaces may be read (downtime doctor), then run again."
        return conclude([failed("flavour", reason, remedy)], clock())
    if not self_hosted:
        reason = "no namespace runai-backend: the control plane is not on this cluster (SaaS), nothing of it to restore"
        return Verdict(verdict="not-applicable", lines=(passed("flavour", reason),), judged_at=clock())
    if store is None:
        remedy = "Set [recovery] store to the folder or URL that backup sets are taken into."
        return conclude([failed("store", "no backup store is configured", remedy)], clock())
    seconds = DEADLINE_SECONDS[depth] if deadline_seconds is None else deadline_seconds
    reading = _Reading(store, settings, required, depth, clock, time.monotonic() + seconds, tools)
    try:
        verdict = _judged(reading)
    except DowntimeError as error:
        return conclude([failed("store", error.message, error.remedy)], clock())
    answers = passed("store", f"{store.name} answers")
    return verdict.model_copy(update={"lines": (answers, *verdict.lines)})


def check_set(
    store: Store,
    set_id: str,
    *,
    settings: GateSettings,
    depth: Depth = "checksums",
    required: Sequence[Requirement] = REQUIRED,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    tools: Tools = _BARE,
) -> Verdict:
    """The same of one set alone, as whoever has just taken it wants to know. Never raises for what a store does."""
    end = time.monotonic() + DEADLINE_SECONDS[depth]
    reading = _Reading(store, settings, required, depth, clock, end, tools)
    try:
        listed = store.sets()
        at = next((at for at, entry in enumerate(listed) if entry.id == set_id), None)
        if at is None:
            return conclude([failed("set", f"there is no set {set_id} in the store")], clock(), set_id)
        lines = reading.of(listed, at)[1]
    except DowntimeError as error:
        return conclude([failed("store", error.message, error.remedy)], clock(), set_id)
    return conclude(lines, clock(), set_id)


@dataclass(frozen=True)
class _Reading:
    """One check that is under way."""

    store: Store
    settings: GateSettings
    required: Sequence[Requirement]
    depth: Depth
    clock: Callable[[], datetime]
    end: float
    tools: Tools

    def of(self, listed: Sequence[SetEntry], at: int) -> tuple[SetEvidence, list[Line]]:
        """What one of the listed folders shows, and the lines about it; read back only if all else is good."""
        seen = look(self.store, listed[at], self.end)
        evidence = compared(self.store, seen, listed[at + 1 :], self.settings, self.clock(), self.end)
        lines = judge_set(evidence, self.clock(), self.settings, self.required, "sizes")
        if self.depth == "checksums" and good(lines):
            evidence = read_back(self.store, evidence, self.end, self.tools)
            lines = judge_set(evidence, self.clock(), self.settings, self.required, self.depth)
        return evidence, lines

    def all(self, listed: Sequence[SetEntry]) -> list[SetEvidence]:
        """What is needed to judge: sets from the newest on, until one is good or all the rest are too old.

        Of older folders within the limit only the half-taken ones are added, since those are news.
        """
        found: list[SetEvidence] = []
        enough = False
        for at, entry in enumerate(listed):
            looked = any(not each.half_taken for each in found)
            if looked and entry.taken is not None and self.clock() - entry.taken > self.settings.max_age:
                break
            left(self.store, self.end)
            if enough:
                if not self.store.has_manifest(entry.id):
                    found.append(SetEvidence(entry.id, entry.taken, half_taken=True))
                continue
            evidence, lines = self.of(listed, at)
            found.append(evidence)
            # A folder whose name tells no time stands before the others, and may be older than they are.
            enough = entry.taken is not None and not evidence.half_taken and good(lines)
        return found

    def moved_on(self, listed: Sequence[SetEntry], found: Sequence[SetEvidence]) -> bool:
        """Whether sets came, went, or were finished since they were listed."""
        if {entry.id for entry in self.store.sets()} != {entry.id for entry in listed}:
            return True
        return any(each.half_taken and self.store.has_manifest(each.id) for each in found)


def _judged(reading: _Reading) -> Verdict:
    """The verdict; once more from the beginning, if it blocks and sets came or went while they were read."""
    listed, found, verdict = _once(reading)
    if verdict.blocks and reading.moved_on(listed, found):
        verdict = _once(reading)[2]
    return verdict


def _once(reading: _Reading) -> tuple[list[SetEntry], list[SetEvidence], Verdict]:
    listed = reading.store.sets()
    found = reading.all(listed)
    return listed, found, judge(found, reading.clock(), reading.settings, reading.required, reading.depth)


def _when(evidence: SetEvidence) -> tuple[datetime, str]:
    began = evidence.manifest.began if evidence.manifest else evidence.taken
    # One that tells no time could be the newest: it is never passed over in silence.
    return began or datetime.max.replace(tzinfo=UTC), evidence.id


def _why(lines: Sequence[Line]) -> str:
    reasons = [f"{line.check}: {line.reason}" for line in lines if line.level == "FAILED"]
    return reasons[0] + (f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else "")


def _half_taken(names: Sequence[str]) -> list[Line]:
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    named = ", ".join(names[:3])
    return [warning("half-taken", f"without a manifest, so not finished and not counted: {named}{more}")]
