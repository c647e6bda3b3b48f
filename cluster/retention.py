"""Which backup sets are removed: by count and by age, and never the newest good one. Pure.

Decisions, where the settings leave room:

- Only good sets count: bad ones would push out the good ones before anybody looks at them. A bad one goes when it is
  older than the oldest good one that is kept.
- A set of the limit's exact age stays.
- Age alone never leaves fewer than two good sets: the newest may be whole, and be of a database that was emptied.
- While the newest good set is smaller than earlier ones (``shrinking``), the two newest that are not stay, whatever
  count and age say: however many nights an emptied database is saved, what was in it is not pushed out.
- The newest set that a person accepted as it is stays as long as any older good one does: what was accepted would be
  forgotten with it, and every new set be smaller than that older one again.
- The newest set that passed a rehearsal stays as long as that rehearsal counts: the gate asks for it.
- What is not known to be this cluster's own set stays: of another cluster, with a manifest that is damaged or newer,
  or in the future.
- What a killed backup left (a folder with a name of ours, and no manifest) goes after two days, so that somebody can
  look at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HALF_TAKEN_KEPT = timedelta(days=2)
KEPT_AT_ANY_AGE = 2


@dataclass(frozen=True)
class KnownSet:
    """A folder of the store.

    Attributes:
        id: its name.
        began: when its taking began; None: nothing tells.
        ours: a whole set of this cluster, or (if half taken) a folder that this product named.
        half_taken: without a manifest.
        good: nothing but its age speaks against it.
        smaller: a part of it is half as large as in an earlier good set, or less, and nobody accepted that.
        accepted: a person said that it may be smaller than earlier ones.
        rehearsed: when it was last restored in rehearsal with success.
    """

    id: str
    began: datetime | None
    ours: bool
    half_taken: bool = False
    good: bool = False
    smaller: bool = False
    accepted: bool = False
    rehearsed: datetime | None = None


@dataclass(frozen=True)
class Keeping:
    """How many sets are kept, and for how long.

    Attributes:
        sets: so many good ones.
        age: none older than that.
        rehearsal: for how long a rehearsal counts; None: none is asked for.
    """

    sets: int
    age: timedelta
    rehearsal: timedelta | None = None


def expired(known: Sequence[KnownSet], now: datetime, keeping: Keeping) -> tuple[str, ...]:
    """The ids of the sets to remove, the oldest first.

    Args:
        known: every folder of the store, in whatever order.
        now: the moment to count ages from.
        keeping: what is kept.
    """
    dated = sorted(
        ((each.began, each) for each in known if each.ours and each.began is not None and each.began <= now),
        key=lambda pair: (pair[0], pair[1].id),
        reverse=True,
    )
    whole = [(began, each) for began, each in dated if not each.half_taken]
    good = [(began, each) for began, each in whole if each.good]
    if not good:
        return ()
    counted = good[: max(1, keeping.sets)]
    kept = [pair for at, pair in enumerate(counted) if at < KEPT_AT_ANY_AGE or now - pair[0] <= keeping.age]
    oldest = kept[-1][0]
    stays = {each.id for _, each in kept} | _rehearsed(good, now, keeping) | _before_shrinking(good)
    stays |= _accepted(good, stays)
    gone = [
        each.id
        for began, each in dated
        if each.id not in stays
        and (now - began > HALF_TAKEN_KEPT and began < good[0][0] if each.half_taken else each.good or began < oldest)
    ]
    return tuple(reversed(gone))


def _before_shrinking(good: Sequence[tuple[datetime, KnownSet]]) -> set[str]:
    if not good[0][1].smaller:
        return set()
    return {each.id for each in [each for _, each in good if not each.smaller][:KEPT_AT_ANY_AGE]}


def _accepted(good: Sequence[tuple[datetime, KnownSet]], stays: set[str]) -> set[str]:
    at = next((at for at, (_, each) in enumerate(good) if each.accepted), len(good))
    return {each.id for _, each in good[at : at + 1] if any(older.id in stays for _, older in good[at + 1 :])}


def _rehearsed(good: Sequence[tuple[datetime, KnownSet]], now: datetime, keeping: Keeping) -> set[str]:
    counting = [
        (each.rehearsed, each.id)
        for _, each in good
        if keeping.rehearsal is not None and each.rehearsed is not None and now - each.rehearsed <= keeping.rehearsal
    ]
    return {max(counting)[1]} if counting else set()
