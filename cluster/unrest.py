"""Which pods may preempt others, and what is displaced by that. Pure.

A pod that finds no place may take that of pods of a lower priority, if with all of these gone it fits on some node. A
pod that was preempted is made anew by its controller: it wants room like one that moves, and may preempt others in its
turn. So one that may be preempted counts among those that may find no place.

Source: the plugin ``DefaultPreemption`` of kube-scheduler 1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster import node as node_
from cluster import placement, taints
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
            if one.priority > pod.priority and its & nodes:
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
    unrest = CALM
    for left in reversed(range(_MOST_ROUNDS)):
        found = _by([one for one in able if not left or restless(one, unrest)], rooms, lowest, unrest)
        if found.size == unrest.size:
            return found
        unrest = found
    return unrest


def _by(restless: Sequence[Claimant], rooms: Sequence[Room], lowest: int, before: Unrest) -> Unrest:
    if not restless:
        return CALM
    # Whatever runs with the highest of their priorities stays where it is.
    top = max(one.priority for one in restless)
    spare = {room.name: room.spare(top) for room in rooms}
    preemptors = []
    reach: dict[str, int] = {}
    for one in restless:
        nodes = {
            room.name
            for room in rooms
            if (before.displaced or min([lowest, *room.by_priority]) < one.priority)
            and _could_fit(one, spare[room.name])
            and stands(one, room)
        }
        if nodes:
            preemptors.append((one, frozenset(nodes)))
            reach |= {name: max(reach.get(name, one.priority), one.priority) for name in nodes}
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


def _could_fit(pod: Claimant, spare: Units | None) -> bool:
    return pod.asks is None or spare is None or fits(units(pod.asks), spare)
