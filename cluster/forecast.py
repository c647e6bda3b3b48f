"""The forecast: whether what moves off a node would find room on the others, as they are now. Pure.

It is on the safe side: *fits now* is said only of a pod that finds a place **in whatever order** the scheduler takes
the pods that want room (those that move, those that wait already), and wherever it puts them. What cannot be judged
(see :class:`cluster.room.Claimant`) will wait. So it may say *will wait* of what does find a place.

How: of the nodes where the pod fits, so many are lost to it at most as others can keep it away from by a rule
(anti-affinity, a port of the node), and as others can fill (:mod:`cluster.rivalry`). One node more than that, and the
pod has a place. Pods that find none may preempt others, which then want room as well (:mod:`cluster.unrest`).

Not known are quotas and gangs of another scheduler, pods that appear later or end, and a distributed job's pods
elsewhere.

Source: the filter plugins of kube-scheduler 1.34 (``NodeResourcesFit``, ``NodeAffinity``, ``TaintToleration``,
``InterPodAffinity``, ``NodePorts``, ``VolumeBinding``, ``NodeVolumeLimits``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from cluster import alike, placement, quantities, rivalry, taints, unrest
from cluster import node as node_
from cluster import pods as pod_
from cluster.attachable import Limits
from cluster.plan import Forecast
from cluster.pod_requests import PODS
from cluster.rivalry import Contested, Rivals
from cluster.room import REQUIRED, Claimant, Room, anti_affinity
from cluster.unrest import Unrest

# MiB of one GPU, by GPU feature discovery.
_GPU_MEMORY = "nvidia.com/gpu.memory"

_MOST_REASONS = 4
_MOST_SHAPES = 200


class _Places(NamedTuple):
    """Where a pod fits beside what runs, and what is left there; from how many of these others keep it by a rule."""

    gaps: Mapping[str, rivalry.Units]
    kept: int = 0
    why: str = ""


class Market:
    """All nodes but the one that goes down, and all pods that want room on them.

    Args:
        rooms: every node of the cluster with what is used of it.
        leaving: the node that goes down.
        down: other nodes in downtime.
        claimants: the pods that move, and those that wait already.
        limits: how many volumes of CSI drivers the nodes hold.
    """

    def __init__(
        self,
        rooms: Sequence[Room],
        leaving: str,
        down: Collection[str],
        claimants: Sequence[Claimant],
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._wanted_claims = sum(one.claims for one in claimants)
        self._all = list(rooms)
        self._rooms = [room for room in rooms if room.name != leaving and room.name not in down]
        self._by_name = {room.name: room for room in self._rooms}
        self._claimants = list(claimants)
        self._keys = {id(one): alike.judged(one) for one in claimants}
        self._kinds = {id(one): alike.rival(one) for one in claimants}
        # That a pod stays in its node pool is told of itself; of a rival it is not relied on.
        self._rivalling = {self._kinds[id(one)]: replace(one, pool=None) for one in claimants}
        self._units: dict[str, tuple[rivalry.Units, rivalry.Units]] = {}
        self._effort = rivalry.Effort()
        self._suited: dict[str, Mapping[str, str]] = {}
        self._fitting: dict[object, Mapping[str, rivalry.Units]] = {}
        self._placed: dict[object, _Places] = {}
        self._choosy: dict[object, bool] = {}
        self._held: dict[object, bool] = {}
        self._entered: tuple[Unrest, dict[object, set[str]]] = (unrest.CALM, {})
        self._judged: dict[tuple[object, ...], str] = {}
        self._spare: dict[tuple[str, int | None], rivalry.Units | None] = {}

    def forecast(self, pods: Sequence[Claimant]) -> Forecast:
        """Whether all of these pods of one workload, which must be among the claimants, would find a place now."""
        for pod in pods:
            why = self._restless(pod, self._unrest)
            if why:
                more = f" ({pod_.name(pod.pod)})" if len(pods) > 1 else ""
                return Forecast(says="will-wait", why=f"{why}{more}")
        return Forecast(says="fits-now")

    @cached_property
    def _unrest(self) -> Unrest:
        """What may come of preemption, by the claimants that may find no place."""
        able = [one for one in self._claimants if one.preempts]
        lowest = min((one.priority for one in self._claimants), default=0)
        if len({self._keys[id(one)] for one in able}) > _MOST_SHAPES:
            # Too many to judge each: as if none of them found a place.
            return unrest.of(self._all, able, lowest, lambda *_: "there are too many of them to judge each")
        return unrest.of(self._all, able, lowest, self._restless)

    def _restless(self, pod: Claimant, now: Unrest) -> str:
        """Why the pod may find no place, or may lose it again; empty: it has one, whatever comes."""
        key = (now.size, self._keys[id(pod)])
        if key not in self._judged:
            self._judged[key] = self._judge(pod, now) or now.threat(pod, _names(self._suits(pod)))
        return self._judged[key]

    def _judge(self, pod: Claimant, now: Unrest) -> str:
        """Why the pod might find no place; empty: it finds one, whatever else is placed first."""
        if pod.doubt or pod.asks is None:
            return pod.doubt or "what it asks for cannot be read"
        if now.displaced and self._is_choosy(pod):
            return "pods may be preempted, and it must not be together with one of them"
        gaps, kept, why = self._places(pod, now)
        if why:
            return why
        nodes = [Contested(name, gap, self._free(name, now) or {}) for name, gap in gaps.items()]
        rivals = self._rivals(pod, gaps, now)
        if isinstance(rivals, str):
            return f"what {rivals} asks for cannot be read, which wants room there as well"
        need = len(nodes) - kept
        if rivalry.at_most(nodes, rivals, now.displaced) < need:
            return ""
        if not now.displaced and not rivalry.can_be_lost(need, nodes, rivals, self._effort):
            return ""
        number = sum(one.count for one in rivals)
        more = f"{number} other pod{'s' if number != 1 else ''} that move{'' if number != 1 else 's'}"
        there = "one node has" if len(nodes) == 1 else f"{len(nodes)} nodes have"
        return f"only {there} room for it, which {more} or wait{'' if number != 1 else 's'} may take first"

    def _places(self, pod: Claimant, now: Unrest) -> _Places:
        """Where the pod fits, whoever may be preempted: the same for all that are judged alike."""
        key = (self._keys[id(pod)], bool(pod.attaches and now.preemptors))
        if key not in self._placed:
            self._placed[key] = self._find_places(pod, now)
        return self._placed[key]

    def _find_places(self, pod: Claimant, now: Unrest) -> _Places:
        suited = self._reaching(pod, now)
        closed = self._kept_apart(pod)
        open_to = [room for room in self._rooms if not suited[room.name] and room.name not in closed]
        fitting = self._fits(pod)
        gaps = {room.name: fitting[room.name] for room in open_to if room.name in fitting}
        if not gaps:
            return _Places(gaps, why=self._reasons(pod, suited, open_to))
        others = [one for one in self._claimants if one is not pod]
        kept, who = self._kept_away(pod, [room for room in open_to if room.name in gaps], others)
        if kept >= len(gaps):
            return _Places(gaps, kept, f"{who} wants room there as well, and must not be together with it")
        return _Places(gaps, kept)

    def _fits(self, pod: Claimant) -> Mapping[str, rivalry.Units]:
        """By node where it fits by what is free: what is left there of what it asks for."""
        key = alike.sizes(pod.asks)
        if key not in self._fitting:
            asks = rivalry.units(pod.asks or {})
            self._fitting[key] = {room.name: gap for room in self._rooms if (gap := _gap(asks, room)) is not None}
        return self._fitting[key]

    def _rivals(self, pod: Claimant, gaps: Mapping[str, rivalry.Units], now: Unrest) -> list[Rivals] | str:
        """The pods that could take one of these nodes, those that are alike together; or one that cannot be read."""
        counts = Counter(self._kinds[id(one)] for one in self._claimants if one is not pod)
        # For one that preempts room is kept where it did, even if it then finds a place elsewhere.
        counts.update(self._kinds[id(one)] for one, _ in now.preemptors if one is not pod)
        found: dict[tuple[str, frozenset[str]], Rivals] = {}
        for kind, count in counts.items():
            one = self._rivalling[kind]
            if one.asks is None or one.least is None:
                if not gaps.keys().isdisjoint(_names(self._suits(one))):
                    return one.name
                continue
            if kind not in self._units:
                self._units[kind] = rivalry.units(one.asks), rivalry.units(one.least)
            asks, least = self._units[kind]
            its = frozenset(gaps.keys() & self._enters(kind, least, now))
            if its:
                key = (f"{alike.sizes(one.asks)} {alike.sizes(one.least)}", its)
                before = found[key].count if key in found else 0
                found[key] = Rivals(before + count, asks, its, least)
        return list(found.values())

    def _enters(self, kind: str, least: rivalry.Units, now: Unrest) -> set[str]:
        """The nodes that pods of a kind could be put on, if pods end or are preempted there."""
        if self._entered[0] is not now:
            self._entered = (now, {})
        known = self._entered[1]
        if kind not in known:
            one = self._rivalling[kind]
            size = alike.sizes(one.least)
            known[kind] = {name for name in _names(self._suits(one)) if self._holds(size, least, name, now)}
        return known[kind]

    def _holds(self, size: str, least: rivalry.Units, name: str, now: Unrest) -> bool:
        key = (size, name, now.reach.get(name))
        if key not in self._held:
            self._held[key] = rivalry.fits(least, self._free(name, now) or {})
        return self._held[key]

    def _free(self, name: str, now: Unrest) -> rivalry.Units | None:
        """What can be free for others on a node, if pods end or are preempted there."""
        key = (name, now.reach.get(name))
        if key not in self._spare:
            self._spare[key] = self._by_name[name].spare(key[1])
        return self._spare[key]

    def _is_choosy(self, pod: Claimant) -> bool:
        """Whether a pod that runs somewhere, and may be preempted, could keep it from a node."""
        if pod.ports or pod.attaches or anti_affinity(pod.pod):
            return True
        key = self._keys[id(pod)]
        if key not in self._choosy:
            every = (one for room in self._all for one in room.repelling)
            self._choosy[key] = any(placement.keys_apart(one, pod.pod) for one in every)
        return self._choosy[key]

    def _kept_apart(self, pod: Claimant) -> set[str]:
        """The nodes that the pod is kept from by what runs there, or near there."""
        closed = {room.name for room in self._rooms if pod.ports & room.ports}
        domains: set[tuple[str, str]] = set()
        for room in self._all:
            keys = [key for one in room.repelling for key in placement.keys_apart(one, pod.pod)]
            keys += [key for one in room.shunned for key in placement.keys_apart(pod.pod, one)]
            if keys:
                labels = pod_.labels(room.node)
                closed.add(room.name)
                domains |= {(key, labels[key]) for key in keys if key in labels}
        if domains:
            closed |= {room.name for room in self._rooms if domains & set(pod_.labels(room.node).items())}
        return closed

    def _kept_away(self, pod: Claimant, rooms: Sequence[Room], others: Sequence[Claimant]) -> tuple[int, str]:
        """From how many of these nodes others that want room can keep the pod by being near; and one that does."""
        kept, who = 0, ""
        for one in others:
            keys = {*placement.keys_apart(one.pod, pod.pod), *placement.keys_apart(pod.pod, one.pod)}
            if not keys and not pod.ports & one.ports:
                continue
            reach = self._nearby(one, keys, rooms)
            if reach:
                kept, who = kept + reach, one.name
        return kept, who

    def _nearby(self, one: Claimant, keys: set[str], rooms: Sequence[Room]) -> int:
        """So many of these nodes at most are near a pod, wherever it is put: the same node, or of the same domain."""
        near: dict[tuple[str, str | None], set[str]] = {}
        for room in rooms:
            near.setdefault(("", room.name), set()).add(room.name)
            for key in keys & pod_.labels(room.node).keys():
                near.setdefault((key, pod_.labels(room.node)[key]), set()).add(room.name)
        most = 0
        for room in self._all:
            if unrest.stands(one, room):
                labels = pod_.labels(room.node)
                found = [near.get(at, set()) for at in (("", room.name), *((key, labels.get(key)) for key in keys))]
                most = max(most, len(set().union(*found)))
        return most

    def _suits(self, pod: Claimant) -> Mapping[str, str]:
        """By node: what keeps the pod away whatever else runs there; empty: nothing."""
        key = alike.suit(pod)
        if key not in self._suited:
            self._suited[key] = {room.name: _objection(pod, room) for room in self._rooms}
        return self._suited[key]

    def _reaching(self, pod: Claimant, now: Unrest) -> Mapping[str, str]:
        """What suits it, without nodes where its volumes may not be attached once all others have theirs there."""
        suited = self._suits(pod)
        if not pod.attaches:
            return suited
        # What preempts may count on two nodes for a while.
        others = (self._wanted_claims - pod.claims) * (2 if now.preemptors else 1)
        return {
            room.name: suited[room.name] or self._limits.objection(room.name, pod.attaches, room.claims + others)
            for room in self._rooms
        }

    def _reasons(self, pod: Claimant, suited: Mapping[str, str], open_to: Sequence[Room]) -> str:
        counted = Counter(why for why in suited.values() if why)
        apart = sum(1 for why in suited.values() if not why) - len(open_to)
        if apart:
            counted[f"with a {'port taken' if pod.ports else 'pod'} that it must not be together with"] = apart
        for room in open_to:
            counted[_too_small(pod, room)] += 1
        if not counted:
            return "there is no other node"
        said = [f"{number} {why}" for why, number in counted.most_common(_MOST_REASONS)]
        return f"of {len(suited)} other node{'s' if len(suited) != 1 else ''}: {'; '.join(said)}"


def _names(suited: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name for name, why in suited.items() if not why)


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
    return _lack(pod, room)


def _lack(pod: Claimant, room: Room) -> str:
    """What of its GPU or its volumes the pod would not have there."""
    if pod.share and pod_.number(pod_.labels(room.node).get(_GPU_MEMORY)) < pod.share:
        return f"whose GPUs are not known to have the {pod.share} MiB of which it asks for a share"
    for required in pod.volumes:
        affinity = {"nodeAffinity": {REQUIRED: required}}
        if not placement.selected({"spec": {"affinity": affinity}}, room.node):
            return "which its volume cannot be reached from"
    return ""


def _gap(asks: rivalry.Units, room: Room) -> rivalry.Units | None:
    """What the node has beyond the pod's request, of each resource that it asks for; None: it does not fit."""
    free = room.free
    if free is None or not rivalry.fits(asks, free):
        return None
    return {key: free.get(key, 0) - amount for key, amount in asks.items() if amount > 0}


def _too_small(pod: Claimant, room: Room) -> str:
    free, asked = room.free, pod.asks or {}
    if free is None:
        return "of which it cannot be read what is free"
    short = next(
        (key for key, amount in sorted(rivalry.units(asked).items()) if amount > max(free.get(key, 0), 0)), PODS
    )
    return f"with less {short} free than the {quantities.text(short, asked.get(short, Fraction(0)))} that it asks for"
