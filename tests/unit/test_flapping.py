"""A node that is back is given work only once it stays back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import flapping
from cluster.flapping import Sighting

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def _ago(*minutes: float) -> list[datetime]:
    return [NOW - timedelta(minutes=one) for one in minutes]


@pytest.mark.parametrize(
    ("minutes", "is_flapping"),
    [
        ((), False),
        ((0, 10, 20), False),
        ((0, 10, 20, 30), True),
        ((0, 20, 40, 59.9), True),
        ((0, 20, 40, 60), False),
        ((0, 100, 200, 300, 400), False),
        ((-1, 10, 20, 30), True),
        ((30, 0, 20, 10), True),
    ],
)
def test_more_than_three_returns_in_an_hour(minutes: tuple[float, ...], is_flapping: bool) -> None:
    assert flapping.is_flapping(_ago(*minutes), NOW) == is_flapping
    assert bool(flapping.judge("gpu-1", _ago(*minutes), NOW)) == is_flapping


def test_it_says_how_often_and_since_when() -> None:
    (found,) = flapping.judge("gpu-1", _ago(0, 5, 30, 45, 300), NOW)
    assert found.code == "flapping"
    assert "4 times" in found.message
    assert "2026-11-24 08:15" in found.message


def test_returns_are_where_it_was_ready_and_had_not_been() -> None:
    seen = list(zip(_ago(9, 8, 7, 6, 5, 4), (True, False, False, True, False, True), strict=True))
    assert flapping.returns_in(seen) == _ago(6, 4)
    assert flapping.returns_in(reversed(seen)) == _ago(6, 4)
    assert flapping.returns_in([(NOW, True)]) == []


def _seen(until: int, *, step: int = 5, start: int = 0, boot: str = "b1", ready: bool = True) -> list[Sighting]:
    """Looked at every few seconds, the lease renewed every ten."""
    return [Sighting(at, ready, boot, f"t{at // 10}") for at in range(start, until + 1, step)]


def test_two_minutes_of_ready_with_renewals() -> None:
    seen = _seen(130)
    assert flapping.steady_seconds(seen, 130) == 120
    assert flapping.is_steady(seen, 130)
    assert not flapping.is_steady(seen[:-1], 125)


def test_without_a_renewal_seen_it_is_not_back_however_long_it_is_ready() -> None:
    assert flapping.steady_seconds([Sighting(at, True, "b1", "t0") for at in range(0, 600, 5)], 600) == 0
    assert flapping.steady_seconds([Sighting(at, True, "b1", "") for at in range(0, 600, 5)], 600) == 0


def test_a_lease_that_stands_still_ends_it_although_the_node_is_still_ready() -> None:
    dead = [*_seen(130), *(Sighting(at, True, "b1", "t13") for at in range(135, 200, 5))]
    assert flapping.steady_seconds(dead, 195) == 0
    back = [*dead, *_seen(300, start=200)]
    assert flapping.steady_seconds(back, 300) == 100


def test_a_fast_reboot_in_between_begins_anew_although_it_was_ready_all_along() -> None:
    seen = [*_seen(130), *_seen(200, start=135, boot="b2")]
    assert flapping.steady_seconds(seen, 200) == 60


def test_not_ready_for_a_moment_begins_anew() -> None:
    seen = [*_seen(130), Sighting(132, False, "b1", "t13"), *_seen(200, start=135)]
    assert flapping.steady_seconds(seen, 200) == 60


def test_what_was_not_looked_at_is_not_counted() -> None:
    seen = [*_seen(60), *_seen(200, start=150)]
    assert flapping.steady_seconds(seen, 200) == 40
    assert flapping.steady_seconds(_seen(130), 300) == 0
    assert flapping.steady_seconds([], 10) == 0


SIGHTINGS = st.lists(
    st.tuples(st.integers(1, 60), st.booleans(), st.sampled_from("ab"), st.sampled_from(["", "1", "2", "3"])),
    max_size=30,
)


@given(SIGHTINGS, st.integers(0, 60))
def test_a_steady_stretch_was_seen_ready_in_one_boot_from_its_beginning(
    steps: list[tuple[int, bool, str, str]], later: int
) -> None:
    at, seen = 0, []
    for step, ready, boot, renewed in steps:
        at += step
        seen.append(Sighting(at, ready, boot, renewed))
    now = at + later
    steady = flapping.steady_seconds(seen, now)
    within = [one for one in seen if one.at >= now - steady] if steady else []
    assert all(one.ready for one in within)
    assert len({one.boot_id for one in within}) <= 1
    assert steady <= now
    assert steady == 0 or now - within[-1].at <= flapping.LEASE_SECONDS
