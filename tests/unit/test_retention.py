"""Which sets go: never the newest good one, whatever the settings and whatever else lies in the store."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.retention import HALF_TAKEN_KEPT, Keeping, KnownSet, expired
from tests.unit.backup_sets import NOW, id_of

DAY = timedelta(days=1)


def a_set(days: float, suffix: str = "", **more: bool) -> KnownSet:
    began = NOW - days * DAY
    return KnownSet(id_of(began) + suffix, began, **{"ours": True, "good": True, **more})  # type: ignore[arg-type]


def ids(*sets: KnownSet) -> tuple[str, ...]:
    return tuple(each.id for each in sets)


def test_more_sets_than_are_kept_go_oldest_first() -> None:
    sets = [a_set(day) for day in range(5)]
    assert expired(sets, NOW, Keeping(3, 90 * DAY)) == ids(sets[4], sets[3])


def test_sets_that_are_too_old_go_and_one_of_exactly_the_limit_stays() -> None:
    sets = [a_set(1), a_set(10), a_set(10.01), a_set(20)]
    assert expired(sets, NOW, Keeping(14, 10 * DAY)) == ids(sets[3], sets[2])
    assert expired(sets, NOW, Keeping(14, 9.99 * DAY)) == ids(sets[3], sets[2])


def test_the_newest_good_set_stays_however_old_it_is() -> None:
    newest, older, bad = a_set(400), a_set(401), a_set(1, good=False)
    assert expired([bad, older, newest], NOW, Keeping(1, DAY)) == ids(older)


def test_age_alone_leaves_the_two_newest_good_sets() -> None:
    """The newest may be of a database that was emptied: then the one before it is all that there is."""
    newest, before, older, bad = a_set(0), a_set(30), a_set(31), a_set(20, good=False)
    assert expired([newest, bad, before, older], NOW, Keeping(14, 7 * DAY)) == ids(older)


def test_bad_sets_do_not_push_out_good_ones() -> None:
    bad, good = [a_set(day, good=False) for day in range(20)], [a_set(30), a_set(31)]
    assert expired([*bad, *good], NOW, Keeping(2, 90 * DAY)) == ()


def test_a_bad_set_goes_when_it_is_older_than_all_that_is_kept() -> None:
    good, bad = [a_set(1), a_set(2)], a_set(3, good=False)
    assert expired([*good, bad], NOW, Keeping(2, 90 * DAY)) == ids(bad)


def test_without_a_good_set_nothing_goes() -> None:
    assert expired([a_set(day, good=False) for day in range(200)], NOW, Keeping(1, DAY)) == ()


def test_what_is_not_known_to_be_our_own_stays() -> None:
    others = [a_set(50, "-a", ours=False), a_set(60, "-b", ours=False, good=False), replace(a_set(70), began=None)]
    assert expired([a_set(0), *others], NOW, Keeping(1, DAY)) == ()


def test_a_set_from_the_future_stays_and_takes_no_place() -> None:
    future, now, before = a_set(-3), a_set(0), a_set(1)
    assert expired([future, now, before], NOW, Keeping(2, 90 * DAY)) == ()


def test_half_taken_folders_go_after_two_days() -> None:
    whole, fresh = a_set(0), a_set(1, half_taken=True, good=False)
    dead = a_set(2.5, half_taken=True, good=False)
    assert HALF_TAKEN_KEPT == 2 * DAY
    assert expired([whole, fresh, dead], NOW, Keeping(14, 90 * DAY)) == ids(dead)


def test_a_half_taken_folder_that_is_newer_than_every_set_stays() -> None:
    """Perhaps it is being written at this moment, by a machine with another clock."""
    assert expired([a_set(5), a_set(3, half_taken=True, good=False)], NOW, Keeping(14, 90 * DAY)) == ()


def test_the_set_whose_rehearsal_counts_stays() -> None:
    sets = [a_set(0), a_set(1), replace(a_set(20), rehearsed=NOW - 19 * DAY), replace(a_set(40), rehearsed=NOW - DAY)]
    assert expired(sets, NOW, Keeping(1, 10 * DAY, rehearsal=30 * DAY)) == ids(sets[2], sets[1])
    assert expired(sets, NOW, Keeping(1, 10 * DAY, rehearsal=DAY / 2)) == ids(sets[3], sets[2], sets[1])
    assert expired(sets, NOW, Keeping(1, 10 * DAY)) == ids(sets[3], sets[2], sets[1])


def test_smaller_sets_do_not_push_out_the_last_whole_ones() -> None:
    smaller, whole = [a_set(day, smaller=True) for day in range(5)], [a_set(day) for day in (30, 31, 32)]
    keeping = Keeping(3, 10 * DAY)
    assert expired([*smaller, *whole], NOW, keeping) == ids(whole[2], smaller[4], smaller[3])
    assert expired([a_set(-0.0), *smaller, *whole], NOW, keeping)[:3] == ids(whole[2], whole[1], whole[0])


def test_an_accepted_set_stays_as_long_as_an_older_good_one_does() -> None:
    """Else every new set would be smaller again than the one that is rehearsed."""
    newer, accepted, older = [a_set(day) for day in (0, 1, 2)], a_set(20, accepted=True), a_set(30, accepted=True)
    rehearsed = replace(a_set(40), rehearsed=NOW - DAY)
    keeping = Keeping(3, 90 * DAY, rehearsal=30 * DAY)
    assert expired([*newer, accepted, older, rehearsed], NOW, keeping) == ids(older)
    assert expired([*newer, accepted, older, a_set(40)], NOW, keeping) == ids(a_set(40), older, accepted)
    assert expired([*newer, replace(accepted, good=False), rehearsed], NOW, keeping) == ids(accepted)


KNOWN = st.builds(
    lambda minutes, ours, half, good: KnownSet(
        id_of(NOW - timedelta(minutes=minutes)), NOW - timedelta(minutes=minutes), ours, half, good and not half
    ),
    st.integers(-5000, 300_000),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(KNOWN, unique_by=lambda each: each.id), st.integers(1, 5), st.integers(1, 200))
def test_whatever_lies_there_the_newest_good_set_stays(known: list[KnownSet], count: int, days: int) -> None:
    gone = expired(known, NOW, Keeping(count, days * DAY))
    by_id = {each.id: each for each in known}
    good = [each for each in known if each.ours and each.good and each.began is not None and each.began <= NOW]
    newest = sorted(good, key=lambda each: each.began or NOW, reverse=True)
    assert not set(gone) & {each.id for each in newest[:1]}
    assert all(by_id[each].ours for each in gone)
    assert len(newest) - len(set(gone) & {each.id for each in newest}) <= max(1, count)
    assert not newest or not expired([each for each in known if each.id not in gone], NOW, Keeping(count, days * DAY))
    assert newest or not gone


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_a_listing_does_not_matter(order: int) -> None:
    sets = [a_set(day) for day in range(5)][::order]
    assert set(expired(sets, NOW, Keeping(3, 90 * DAY))) == {id_of(NOW - 3 * DAY), id_of(NOW - 4 * DAY)}
