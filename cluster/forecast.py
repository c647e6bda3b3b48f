"""The forecast: whether what moves off a node would find room on the others, as they are now. Pure.

It is on the safe side: *fits now* is said only of a pod that finds a place **in whatever order** the scheduler takes
the pods that want room (those that move, those that wait already), and wherever it puts them. What cannot be judged
(see :class:`cluster.room.Claimant`) will wait. So it may say *will wait* of what does find a place.

How: a node that suits the pod is lost to it only when others are put there that take more of a resource than the node
has beyond the pod's own request. One pod takes room on one node, and together they take no more than they ask for: so
at most so many of the nodes are lost as the smallest of these gaps fit into that sum, over all resources. One node more
than that, and the pod has a place. If some pod finds none, it may preempt pods of a lower priority, which then want
room as well: all of a priority below that of the highest such pod are counted in.

Not known are quotas and gangs of another scheduler, pods that appear later, and a distributed job's pods elsewhere.

Source: the filter plugins of kube-scheduler 1.34 (``NodeResourcesFit``, ``NodeAffinity``, ``TaintToleration``,
``InterPodAffinity``, ``VolumeBinding``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property

from cluster import node as node_
from cluster import placement, pod_requests, quantities, taints
from cluster import pods as pod_
from cluster.node import Object
from cluster.plan import Forecast
from cluster.pod_requests import PODS, Amounts
from cluster.room import Claimant, Room

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ZERO = Fraction(0)
_MOST_REASONS = 4
_MOST_SHAPES = 200
# The scheduler counts cores in thousandths; everything else in whole bytes or pieces.
_UNIT = {"cpu": Fraction(1, 1000)}


class Market:
    """All nodes but the one that goes down, and all pods that want room on them.

    Args:
        rooms: every node of the cluster with what is used of it.
        leaving: the node that goes down.
        down: other nodes in downtime.
        claimants: the pods that move, and those that wait already.
    """

    def __init__(
        self, rooms: Sequence[Room], leaving: str, down: Collection[str], claimants: Sequence[Claimant]
    ) -> None:
        self._rooms = [room for room in rooms if room.name != leaving and room.name not in down]
        self._repelling = [(room.node, one) for room in rooms for one in room.repelling]
        self._claimants = list(claimants)
        self._suited: dict[str, Mapping[str, str]] = {}
        self._judged: dict[tuple[object, ...], str] = {}
        self._below: dict[int, Amounts] = {}

    def forecast(self, pods: Sequence[Claimant]) -> Forecast:
        """Whether all of these pods of one workload, which must be among the claimants, would find a place now."""
        for pod in pods:
            why = self._why_not(pod)
            if why:
                more = f" ({pod_.name(pod.pod)})" if len(pods) > 1 else ""
                return Forecast(says="will-wait", why=f"{why}{more}")
        others = sorted({pod.scheduler for pod in pods if pod.scheduler})
        note = f"as far as room goes; the quotas and rules of {', '.join(others)} are not known" if others else ""
        return Forecast(says="fits-now", why=note)

    def _why_not(self, pod: Claimant) -> str:
        short = self._short(pod, None)
        restless, level = self._unrest
        if short or not restless:
            return short
        if level is not None and any(_would_repel(one, pod.pod) for _, one in self._repelling):
            return "pods may be preempted, and one of them must not be together with it"
        here = _names(self._suits(pod))
        for one in restless:
            if one.priority > pod.priority and self._wants(one, here):
                return f"{one.name} has a higher priority, and may take its place"
        return self._short(pod, level)

    @cached_property
    def _unrest(self) -> tuple[list[Claimant], int | None]:
        """The claimants that may find no place and preempt others, and below which priority all may be displaced."""
        able = [one for one in self._claimants if one.preempts]
        if len({self._key(one) for one in able}) > _MOST_SHAPES:
            # Too many to judge each: as if none of them found a place.
            return able, max(one.priority for one in able)
        level: int | None = None
        while True:
            restless = [one for one in able if self._short(one, level)]
            highest = max((one.priority for one in restless), default=None)
            if highest is None or (level is not None and highest <= level):
                return restless, level
            level = highest

    def _displaced(self, level: int | None) -> Amounts:
        """What all pods below a priority ask for: preempted one after the other, they want room again."""
        if level is None:
            return {}
        if level not in self._below:
            below = [asked for room in self._rooms for at, asked in room.by_priority.items() if at < level]
            self._below[level] = pod_requests.total(below)
        return self._below[level]

    def _key(self, pod: Claimant) -> tuple[object, ...]:
        """The same for pods that are judged alike."""
        asks = tuple(sorted((pod.asks or {}).items()))
        labels = tuple(sorted(pod_.labels(pod.pod).items()))
        return self._suit(pod), asks, pod.doubt, pod_.namespace(pod.pod), labels

    def _short(self, pod: Claimant, level: int | None) -> str:
        key = (level, *self._key(pod))
        if key not in self._judged:
            self._judged[key] = self._judge(pod, self._displaced(level))
        return self._judged[key]

    def _judge(self, pod: Claimant, displaced: Amounts) -> str:
        """Why the pod might find no place; empty: it finds one, whatever else is placed first."""
        if pod.doubt or pod.asks is None:
            return pod.doubt or "what it asks for cannot be read"
        suited = self._suits(pod)
        open_to = [room for room in self._rooms if not suited[room.name] and not self._kept_apart(pod, room)]
        gaps = {room.name: gap for room in open_to if (gap := _gap(pod.asks, room)) is not None}
        if not gaps:
            return self._reasons(pod, suited, open_to)
        rivals = [one for one in self._claimants if one is not pod and self._wants(one, gaps)]
        unreadable = next((one.name for one in rivals if one.asks is None), "")
        if unreadable:
            return f"what {unreadable} asks for cannot be read, which wants room there as well"
        apart = next((one.name for one in rivals if _would_repel(one.pod, pod.pod)), "")
        if apart:
            return f"{apart} wants room there as well, and must not be together with it"
        lost = _lost(list(gaps.values()), [one.asks for one in rivals if one.asks is not None], displaced)
        if lost < len(gaps):
            return ""
        others = f"{len(rivals)} other pod{'s' if len(rivals) != 1 else ''} that move{'' if len(rivals) != 1 else 's'}"
        nodes = "one node has" if len(gaps) == 1 else f"{len(gaps)} nodes have"
        return f"only {nodes} room for it, which {others} or wait may take first"

    def _wants(self, pod: Claimant, nodes: Collection[str]) -> bool:
        # That a pod stays in its node pool is told of itself; of a rival it is not relied on.
        suited = self._suits(replace(pod, pool=None))
        return any(not suited[name] for name in nodes)

    def _suits(self, pod: Claimant) -> Mapping[str, str]:
        """By node: what keeps the pod away whatever else runs there; empty: nothing."""
        key = self._suit(pod)
        if key not in self._suited:
            self._suited[key] = {room.name: _objection(pod, room) for room in self._rooms}
        return self._suited[key]

    def _suit(self, pod: Claimant) -> str:
        spec = pod_.mapping(pod.pod.get("spec"))
        affinity = pod_.mapping(pod_.mapping(spec.get("affinity")).get("nodeAffinity")).get(_REQUIRED)
        asked = [spec.get("nodeSelector"), affinity, spec.get("tolerations"), pod.pool, pod.volumes]
        return json.dumps(asked, sort_keys=True)

    def _kept_apart(self, pod: Claimant, room: Room) -> bool:
        return any(placement.repels(one, pod.pod, node, room.node) for node, one in self._repelling)

    def _reasons(self, pod: Claimant, suited: Mapping[str, str], open_to: Sequence[Room]) -> str:
        counted = Counter(why for why in suited.values() if why)
        apart = sum(1 for why in suited.values() if not why) - len(open_to)
        if apart:
            counted["has a pod that it must not be together with"] = apart
        for room in open_to:
            counted[_too_small(pod.asks or {}, room)] += 1
        if not counted:
            return "there is no other node"
        said = [f"{number} {why}" for why, number in counted.most_common(_MOST_REASONS)]
        return f"of {len(suited)} other node{'s' if len(suited) != 1 else ''}: {'; '.join(said)}"


def _names(suited: Mapping[str, str]) -> set[str]:
    return {name for name, why in suited.items() if not why}


def _objection(pod: Claimant, room: Room) -> str:
    """What keeps the pod from a node by what the node is, as a phrase that is counted."""
    if not node_.ready(room.node):
        return "not Ready"
    if node_.unschedulable(room.node):
        return "cordoned"
    found = node_.taints(room.node)
    if any(taints.is_drain(one) or taints.is_own(one) or node_.is_out_of_service(one) for one in found):
        return "drained or joining"
    away = taints.keeping_away(pod.pod, found)
    if away:
        return f"with the taint {taints.text(away[0])}, which it does not tolerate"
    if pod.pool is not None and node_.pool(room.node) != pod.pool:
        return f"outside of its node pool {pod.pool}"
    if not placement.selected(pod.pod, room.node):
        return "without the labels that it asks for"
    for required in pod.volumes:
        affinity = {"nodeAffinity": {_REQUIRED: required}}
        if not placement.selected({"spec": {"affinity": affinity}}, room.node):
            return "which its volume cannot be reached from"
    return ""


def _gap(asked: Amounts, room: Room) -> Amounts | None:
    """What the node has beyond the pod's request, of each resource that it asks for; None: it does not fit."""
    free = room.free
    if free is None:
        return None
    gap = {key: free.get(key, _ZERO) - amount for key, amount in asked.items() if amount > 0}
    return None if any(left < 0 for left in gap.values()) else gap


def _too_small(asked: Amounts, room: Room) -> str:
    free = room.free
    if free is None:
        return "of which it cannot be read what is free"
    short = next((key for key, amount in sorted(asked.items()) if amount > max(free.get(key, _ZERO), _ZERO)), PODS)
    return f"with less {short} free than the {quantities.text(short, asked.get(short, _ZERO))} that it asks for"


def _lost(gaps: Sequence[Amounts], rivals: Sequence[Amounts], displaced: Amounts) -> int:
    """At most so many of the nodes can be lost to the pod, wherever its rivals are put."""
    resources = {key for gap in gaps for key in gap}
    count = len(rivals) + int(displaced.get(PODS, _ZERO))
    lost = 0
    for key in resources:
        asking = [one[key] for one in rivals if one.get(key, _ZERO) > 0]
        left = sum(asking, _ZERO) + displaced.get(key, _ZERO)
        most = len(asking) + int(displaced.get(PODS, _ZERO) if displaced.get(key) else 0)
        for cost in sorted(gap[key] + _UNIT.get(key, Fraction(1)) for gap in gaps)[:most]:
            if cost > left:
                break
            left -= cost
            lost += 1
    return min(lost, count)


def _would_repel(one: Object, other: Object) -> bool:
    """Whether a pod keeps the other away somewhere: judged as if both were on the same node."""
    anywhere: Object = {"metadata": {"name": "", "labels": {}}}
    return placement.repels(one, other, anywhere, anywhere)
