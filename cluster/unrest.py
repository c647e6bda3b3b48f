"""Which pods may preempt others, and what is displaced by that. Pure.

A pod that finds no place may take that of pods of a lower priority, if with all of these gone it fits on some node. A
pod that was preempted is made anew by its controller: it wants room like one that moves, and may preempt others in its
turn. So one that may be preempted counts among those that may find no place.

Source: the plugin ``DefaultPreemption`` of kube-scheduler 1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster import alike, placement, taints
from cluster import node as node_
from cluster.pod_requests import total
from cluster.rivalry import Units, fits, units
from cluster.room import Claimant, Room

_UNSCHEDULABLE: node_.Taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_MOST_ROUNDS = 20


@dataclass(frozen=True)
class Unrest:
    """What preemption may come to.

    Attributes:
        preemptors: pods that may preempt, and on which nodes.
        reach: by node: pods that run there below this priority may be displaced.
        displaced: what all of these ask for, with their number as ``pods``.
        highest: the highest priority among them; None: nothing that runs is displaced.
    """

    preemptors: tuple[tuple[Claimant, frozenset[str]], ...] = ()
    reach: Mapping[str, int] = field(default_factory=dict)
    displaced: Units = field(default_factory=dict)
    highest: int | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        """Grows with what may happen."""
        return len(self.preemptors), sum(len(nodes) for _, nodes in self.preemptors), self.displaced.get("pods", 0)

    def threat(self, pod: Claimant, nodes: frozenset[str]) -> str:
        """Why the pod may lose a place on one of these nodes again; empty: it does not."""
        for one, its in self.preemptors:
            if one.priority > pod.priority and not its.isdisjoint(nodes):
                return f"{one.name} has a higher priority, and may take its place"
        if self.highest is not None and pod.priority < self.highest:
            return "pods of a higher priority may be preempted, and take its place"
        return ""


CALM = Unrest()


def stands(pod: Claimant, room: Room) -> bool:
    """Whether the scheduler might put the pod on this node, or preempt there: cordoned ones too, if it tolerates it."""
    cordon = [_UNSCHEDULABLE] if node_.unschedulable(room.node) else []
    away = taints.keeping_away(pod.pod, [*node_.taints(room.node), *cordon])
    return not away and placement.selected(pod.pod, room.node)


def of(
    rooms: Sequence[Room], able: Sequence[Claimant], lowest: int, restless: Callable[[Claimant, Unrest], str]
) -> Unrest:
    """What may come of preemption.

    Args:
        rooms: all nodes.
        able: the pods that want room, and may preempt.
        lowest: the lowest priority of all that want room.
        restless: why such a pod may find no place, or may lose it again, if there is this much unrest.
    """
    unrest, grounds = CALM, _Grounds(rooms, lowest)
    sure: set[int] = set()
    for left in reversed(range(_MOST_ROUNDS)):
        # Who may find no place may find none when there is more unrest.
        sure |= {id(one) for one in able if not left or id(one) in sure or restless(one, unrest)}
        found = _by([one for one in able if id(one) in sure], rooms, grounds, unrest)
        if found.size == unrest.size:
            return found
        unrest = found
    return unrest


class _Grounds:
    """Where pods might preempt. What is found of one holds for all that are like it."""

    def __init__(self, rooms: Sequence[Room], lowest: int) -> None:
        self._rooms = rooms
        self._lowest = {room.name: min([lowest, *room.by_priority]) for room in rooms}
        self._likes: dict[int, tuple[object, ...]] = {}
        self._spare: dict[int, dict[str, Units | None]] = {}
        self._known: dict[object, frozenset[str]] = {}

    def of(self, pod: Claimant, top: int, displaced: bool) -> frozenset[str]:
        """The nodes where it could be put with all gone below a priority, and somebody may be below its own."""
        if id(pod) not in self._likes:
            self._likes[id(pod)] = alike.suit(pod, pooled=False), alike.sizes(pod.least), pod.priority
        suit, sizes, priority = self._likes[id(pod)]
        key = (suit, sizes, priority, top, displaced)
        if key not in self._known:
            self._known[key] = frozenset(
                name
                for name in self._holding(pod, sizes, top) & self._standing(pod, suit)
                if displaced or self._lowest[name] < pod.priority
            )
        return self._known[key]

    def _standing(self, pod: Claimant, suit: object) -> frozenset[str]:
        key = ("stands", suit)
        if key not in self._known:
            self._known[key] = frozenset(room.name for room in self._rooms if stands(pod, room))
        return self._known[key]

    def _holding(self, pod: Claimant, sizes: object, top: int) -> frozenset[str]:
        if top not in self._spare:
            self._spare[top] = {room.name: room.spare(top) for room in self._rooms}
        key = ("holds", sizes, top)
        if key not in self._known:
            least = None if pod.least is None else units(pod.least)
            self._known[key] = frozenset(
                name for name, spare in self._spare[top].items() if least is None or spare is None or fits(least, spare)
            )
        return self._known[key]


def _by(restless: Sequence[Claimant], rooms: Sequence[Room], grounds: _Grounds, before: Unrest) -> Unrest:
    if not restless:
        return CALM
    # Whatever runs with the highest of their priorities stays where it is.
    top = max(one.priority for one in restless)
    preemptors = []
    highest_on: dict[frozenset[str], int] = {}
    for one in restless:
        nodes = grounds.of(one, top, bool(before.displaced))
        if nodes:
            preemptors.append((one, nodes))
            highest_on[nodes] = max(highest_on.get(nodes, one.priority), one.priority)
    reach: dict[str, int] = {}
    for nodes, priority in highest_on.items():
        reach |= {name: max(reach.get(name, priority), priority) for name in nodes}
    at = [
        priority for room in rooms if room.name in reach for priority in room.by_priority if priority < reach[room.name]
    ]
    if not at:
        return Unrest(tuple(preemptors))
    # They may preempt in their turn, and it is not known where.
    highest = max(at)
    reach = {room.name: max(reach.get(room.name, highest), highest) for room in rooms}
    gone = [asked for room in rooms for at_, asked in room.by_priority.items() if at_ < reach[room.name]]
    return Unrest(tuple(preemptors), reach, units(total(gone)), highest)
