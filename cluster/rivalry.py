"""Whether pods that want room as well can leave a pod none, wherever the scheduler puts them. Pure, in whole numbers.

A node that suits a pod is lost to it when others are put there that take more of a resource than the node has beyond
the pod's own request. Others are put only where they fit themselves, and each in one place.

:func:`at_most` is quick, and says of any number of nodes how many can be lost at most: one pod takes room on one node,
and together they take no more than they ask for. :func:`can_be_lost` tries, for a few nodes and pods, whether so many
can be lost at all; where that would take long, they can. All searches of a forecast share one :class:`Effort`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

Units = Mapping[str, int]
# The scheduler counts cores in thousandths, and everything else in whole bytes or pieces; parts of these are rounded
# up, of each pod (``Resource.Add`` of kube-scheduler 1.34).
_PER_PIECE = {"cpu": 1000}
_MOST_STEPS, _MOST_NODES, _MOST_RIVALS = 4000, 64, 128
_MOST_EFFORT = 1_000_000
PODS = "pods"


def units(amounts: Mapping[str, Fraction]) -> dict[str, int]:
    """What a pod asks for, as the scheduler counts it."""
    return {key: ceil(amount * _PER_PIECE.get(key, 1)) for key, amount in amounts.items()}


def rounded(key: str, amount: Fraction) -> Fraction:
    """An amount of a resource, with a part of a unit rounded up."""
    per_piece = _PER_PIECE.get(key, 1)
    return amount if amount.denominator in (1, per_piece) else Fraction(ceil(amount * per_piece), per_piece)


def room(amounts: Mapping[str, Fraction]) -> dict[str, int]:
    """What a node has, with parts of a unit left out."""
    return {key: floor(amount * _PER_PIECE.get(key, 1)) for key, amount in amounts.items()}


def fits(asks: Units, free: Units) -> bool:
    """Whether there is so much, of each resource that is asked for."""
    return all(amount <= free.get(key, 0) for key, amount in asks.items() if amount > 0)


@dataclass(frozen=True)
class Contested:
    """A node where the pod fits.

    Attributes:
        gap: what is free there beyond its request, of each resource that it asks for.
        free: what can be free there for others, of each resource.
    """

    name: str
    gap: Units
    free: Units


@dataclass(frozen=True)
class Rivals:
    """Pods that are alike: so many, each taking this, which can go to these nodes.

    Attributes:
        least: what must be free for it, where that is less than it takes; None: as much as it takes.
    """

    count: int
    asks: Units
    nodes: frozenset[str]
    least: Units | None = None


@dataclass
class Effort:
    """How many pods may still be put somewhere by trial: some seconds in all, however much is asked."""

    left: int = _MOST_EFFORT


def at_most(nodes: Sequence[Contested], rivals: Sequence[Rivals], displaced: Units) -> int:
    """So many of the nodes can be lost at most.

    Args:
        displaced: what other pods ask for in sum that may be put anywhere, with their number as ``pods``.
    """
    more = displaced.get(PODS, 0)
    lost = 0
    for key in {key for one in nodes for key in one.gap}:
        asking = [one for one in rivals if one.asks.get(key, 0) > 0]
        left = sum(one.count * one.asks[key] for one in asking) + displaced.get(key, 0)
        most = sum(one.count for one in asking) + (more if displaced.get(key) else 0)
        for cost in sorted(one.gap[key] + 1 for one in nodes if key in one.gap)[:most]:
            if cost > left:
                break
            left -= cost
            lost += 1
    return min(lost, sum(one.count for one in rivals) + more)


def can_be_lost(need: int, nodes: Sequence[Contested], rivals: Sequence[Rivals], effort: Effort | None = None) -> bool:
    """Whether the rivals can be put so that so many of the nodes are lost; with no effort left, they can."""
    effort = effort or Effort()
    if effort.left <= 0 or len(nodes) > _MOST_NODES or sum(one.count for one in rivals) > _MOST_RIVALS:
        return True
    return _Search(nodes, rivals, effort).lost(need)


class _TooLong(Exception):
    """The search was given up."""


class _Search:
    def __init__(self, nodes: Sequence[Contested], rivals: Sequence[Rivals], effort: Effort) -> None:
        # Those that few can take come first: they are soonest found to be safe.
        self._nodes = sorted(nodes, key=lambda node: sum(one.count for one in rivals if node.name in one.nodes))
        self._rivals = rivals
        self._steps = 0
        self._effort = effort
        self._seen: set[tuple[int, tuple[int, ...], int]] = set()

    def lost(self, need: int) -> bool:
        try:
            return self._from(0, tuple(one.count for one in self._rivals), need)
        except _TooLong:
            return True

    def _step(self, tries: int = 1) -> None:
        self._steps += 1
        self._effort.left -= tries
        if self._steps > _MOST_STEPS or self._effort.left < 0:
            raise _TooLong

    def _from(self, at: int, left: tuple[int, ...], need: int) -> bool:
        """Whether so many of the nodes from this one on can be lost to the rivals that are left."""
        if need <= 0:
            return True
        if need > len(self._nodes) - at or need > sum(left) or (at, left, need) in self._seen:
            return False
        self._step()
        if any(self._from(at + 1, then, need - 1) for then in self._ways(self._nodes[at], left)):
            return True
        if self._from(at + 1, left, need):
            return True
        self._seen.add((at, left, need))
        return False

    def _ways(self, node: Contested, left: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """The ways to take this node: which rivals are left after each. None puts more there than it takes."""
        able = [kind for kind, one in enumerate(self._rivals) if left[kind] and node.name in one.nodes]
        yield from self._put(node, able, left, ({}, {}))

    def _put(
        self, node: Contested, able: Sequence[int], left: tuple[int, ...], there: tuple[Units, Units]
    ) -> Iterator[tuple[int, ...]]:
        """One more there, beside those for which so much must be free at least, and which may take so much."""
        self._step(1 + len(able))
        for position, kind in enumerate(able):
            one = self._rivals[kind]
            least = _plus(there[0], one.asks if one.least is None else one.least)
            if not left[kind] or not fits(least, node.free):
                continue
            taken = _plus(there[1], one.asks)
            then = (*left[:kind], left[kind] - 1, *left[kind + 1 :])
            if any(taken.get(key, 0) > gap for key, gap in node.gap.items()):
                yield then
            else:
                yield from self._put(node, able[position:], then, (least, taken))


def _plus(one: Units, other: Units) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}
