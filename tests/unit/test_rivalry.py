"""What is said to be safe from rivals is safe, wherever they are put: against all ways to put them."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import rivalry
from cluster.rivalry import Contested, Rivals

Nodes = list[tuple[int, int]]
SIZES = st.tuples(st.integers(0, 4), st.integers(0, 3))


def _contested(nodes: Nodes, mine: tuple[int, int]) -> list[Contested]:
    asks = {key: amount for key, amount in zip(("gpu", "cpu"), mine, strict=True) if amount}
    made = []
    for at, sizes in enumerate(nodes):
        free = dict(zip(("gpu", "cpu"), sizes, strict=True))
        if rivalry.fits(asks, free):
            made.append(Contested(f"n{at}", {key: free[key] - amount for key, amount in asks.items()}, free))
    return made


def _most_lost(nodes: list[Contested], rivals: list[Rivals]) -> int:
    """The most nodes that are lost in any way to put some of the rivals where they fit."""
    each = [one for one in rivals for _ in range(one.count)]
    most = 0
    for where in itertools.product(*([None, *sorted(one.nodes)] for one in each)):
        there: dict[str, dict[str, int]] = {}
        least: dict[str, dict[str, int]] = {}
        for name, one in zip(where, each, strict=True):
            for counted, asked in ((there, one.asks), (least, one.asks if one.least is None else one.least)):
                if name:
                    now = counted.setdefault(name, {})
                    for key, amount in asked.items():
                        now[key] = now.get(key, 0) + amount
        if all(rivalry.fits(least.get(one.name, {}), one.free) for one in nodes):
            lost = [
                one for one in nodes if any(there.get(one.name, {}).get(key, 0) > gap for key, gap in one.gap.items())
            ]
            most = max(most, len(lost))
    return most


@settings(deadline=None)
@given(SIZES, st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=3), st.data())
def test_no_way_to_put_the_rivals_takes_more_nodes_than_is_said(
    mine: tuple[int, int], sizes: Nodes, data: st.DataObject
) -> None:
    nodes = _contested(sizes, mine)
    names = [one.name for one in nodes]
    rivals = [
        Rivals(
            data.draw(st.integers(1, 2)),
            dict(zip(("gpu", "cpu"), data.draw(SIZES), strict=True)),
            frozenset(data.draw(st.sets(st.sampled_from(names)))) if names else frozenset(),
            data.draw(st.sampled_from([None, {"cpu": 1}, {}])),
        )
        for _ in range(data.draw(st.integers(0, 3)))
    ]
    most = _most_lost(nodes, rivals)
    assert rivalry.at_most(nodes, rivals, {}) >= most
    for need in range(1, len(nodes) + 1):
        # Of so few it is not given up: it is exact.
        assert rivalry.can_be_lost(need, nodes, rivals) == (need <= most)


def test_what_would_take_long_counts_as_lost() -> None:
    nodes = [Contested(f"n{at}", {"gpu": 7}, {"gpu": 8, "cpu": 99}) for at in range(30)]
    names = frozenset(one.name for one in nodes)
    rivals = [Rivals(1, {"gpu": 1 + at % 4, "cpu": at}, names) for at in range(60)]
    assert rivalry.can_be_lost(29, nodes, rivals)
    assert rivalry.can_be_lost(1, nodes * 3, [])
    assert rivalry.can_be_lost(1, nodes, rivals * 3)


def test_all_searches_of_a_forecast_share_one_effort_and_with_none_left_nothing_is_safe() -> None:
    nodes = [Contested(f"n{at}", {"cpu": 3000 + at * 700}, {"cpu": 9000 + at * 500, "gpu": 4}) for at in range(50)]
    names = frozenset(one.name for one in nodes)
    rivals = [Rivals(1, {"cpu": 500 + at * 130, "gpu": at % 4}, names) for at in range(40)]
    effort = rivalry.Effort(1000)
    assert not rivalry.can_be_lost(1, nodes, [], effort)
    assert rivalry.can_be_lost(40, nodes, rivals, effort)
    assert effort.left <= 0, "it went on searching"
    assert effort.left > -100
    assert rivalry.can_be_lost(1, nodes, [], effort)


def test_parts_of_a_unit_are_rounded_as_the_scheduler_rounds_them() -> None:
    amounts = {"cpu": Fraction("0.0005"), "memory": Fraction("1.5")}
    assert rivalry.units(amounts) == {"cpu": 1, "memory": 2}
    assert rivalry.room(amounts) == {"cpu": 0, "memory": 1}
    assert rivalry.rounded("cpu", Fraction("0.0005")) == Fraction("0.001")
