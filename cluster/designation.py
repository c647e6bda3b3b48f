"""Who could be designated as a Run:ai system node, in the place of one that goes down. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from cluster import node as node_
from cluster import workloads
from cluster.owners import Chains
from cluster.placement import Place
from cluster.plan import Candidate, Finding
from cluster.system_placement import LABEL, label_like, must_move, systems_left, unplaced

MOST = 10
"""So many candidates with room are enough to choose from."""


def rank(
    node: str,
    places: Sequence[Place],
    down: Collection[str] = (),
    *,
    bound: Collection[str] = (),
    owners: Chains | None = None,
    priorities: Mapping[str, int] | None = None,
) -> tuple[Candidate, ...]:
    """Who could be designated in the place of a system node, the best first.

    Never a control-plane node. Those with room first, then those with the fewest GPUs, then those without interactive
    work, then those with the most free memory. In a large cluster no more are looked at once ten with room are found.
    The arguments are those of :func:`cluster.takeover.judge`.
    """
    own = next((place for place in places if place.name == node), None)
    moving = must_move(own, bound) if own is not None else ()
    label = label_like(own.node) if own is not None else {LABEL: "true"}
    systems = systems_left(node, places, down)
    possible = [place for place in places if not _why_not(place, node, down)]
    work = {place.name: _interactive(place, owners or {}, priorities or {}) for place in possible}
    possible.sort(key=lambda one: (_gpus(one), work[one.name], -_free_memory(one), one.name))
    found: list[Candidate] = []
    for place in possible:
        left = unplaced(moving, [*systems, place.labelled(label)], node, places, down, most=1)
        found.append(_candidate(place, left, work[place.name]))
        if sum(one.room for one in found) == MOST:
            break
    return tuple(sorted(found, key=lambda one: not one.room))


def _candidate(place: Place, left: Mapping[str, str], interactive: int) -> Candidate:
    gpus, first = _gpus(place), next(iter(left.items()), None)
    return Candidate(
        name=place.name,
        room=not left,
        gpus=gpus,
        interactive=interactive,
        reasons=(
            "room for all system pods" if first is None else f"no room for {first[0]}: {first[1]}",
            f"{gpus} GPUs" if gpus else "no GPUs",
            f"interactive work: {interactive}" if interactive else "no interactive work",
        ),
    )


def _gpus(place: Place) -> int:
    return sum(node_.gpus(place.node).values())


def _interactive(place: Place, owners: Chains, priorities: Mapping[str, int]) -> int:
    return sum(workloads.needs_approval(one.kind) for one in workloads.find(place.pods, owners, priorities))


def refusal(chosen: str, node: str, places: Sequence[Place], down: Collection[str] = ()) -> Finding | None:
    """Why this node cannot be designated in the place of the system node; None: it can, if there is room."""
    place = next((one for one in places if one.name == chosen), None)
    why = "there is no such node" if place is None else _why_not(place, node, down)
    if not why:
        return None
    return Finding(
        code="cannot-designate",
        message=f"{chosen} cannot be designated as a Run:ai system node: {why}",
        remedy="Choose another node; 'downtime plan' without --designate ranks those that could be.",
    )


def _why_not(place: Place, node: str, down: Collection[str]) -> str:
    if place.name == node:
        return "it is the one that goes down"
    if place.state.kind == "control-plane":
        return "a Kubernetes control-plane node must never be a Run:ai system node"
    if place.state.kind == "system":
        return "it is a system node already, and --designate has nothing to do"
    if place.name in down or not place.state.can_take_over:
        return "it is not ready, cordoned, drained, in downtime, or stands in for another node already"
    return ""


def _free_memory(place: Place) -> Fraction:
    try:
        return place.free.get("memory", Fraction(0))
    except ValueError:
        return Fraction(0)
