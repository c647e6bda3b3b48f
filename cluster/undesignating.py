"""The end of a designation: the label comes off once nothing needs it, and the system pods run elsewhere again.

The label goes first, then each pod is evicted and seen elsewhere: while the label stands the scheduler may put it back.
If one cannot be moved, the label is set again, so that nothing waits for a place. Something that is bound to a volume
of that node cannot move at all: then the label stays, since without it the pod would not start again there.
"""

from __future__ import annotations

from cluster import admission, consent, designation_mark, moving_back, node, nodes, probing, stand_in, taking_over
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import DowntimeError, Failed
from cluster.placement import Place
from cluster.record import DESIGNATED
from cluster.step import Made, Seen, Step
from cluster.system_placement import LABEL, asking_for_label, label_like, systems_left, unplaced
from cluster.takeover_facts import TakeoverFacts

KEEP = "keep"
"""The answer that leaves the label for good; its item is the node that carries it."""
_NAME = "undesignate"


def _is_off(downtime: Downtime) -> Seen | None:
    name = downtime.record.designated
    if not name:
        return Seen("no label of this downtime stands")
    found = nodes.find(downtime.api, name)
    if found is None:
        return Seen(f"the Node {name} is gone, and the label with it", Made(DESIGNATED, name, "undone"))
    mark = designation_mark.read(found)
    if mark is None or mark.record != downtime.record.id:
        return Seen(f"the label {LABEL} on {name} is not this downtime's (any more)", Made(DESIGNATED, name, "undone"))
    if name in consent.agreed(downtime.record, "designation", KEEP):
        return Seen(f"{name} stays a Run:ai system node, as was decided")
    return None


def _take_off(downtime: Downtime) -> None:
    name, record, epoch = downtime.record.designated, downtime.record.id, downtime.lock.epoch
    if _why_it_stays(downtime):
        return
    why = _needed_until(downtime, 0 if downtime.record.aborted else downtime.settings.drain.takeover_minutes * 60)
    if why:
        if downtime.record.aborted:
            return
        raise _still_needed(downtime, why)
    found = stand_in.change(downtime, name, lambda old: designation_mark.unlabelled(old, record, epoch))
    alive = node.ready(found)
    try:
        for pod in _to_move(downtime):
            moving_back.move(downtime, pod, _NAME, alive=alive)
    except DowntimeError:
        label = label_like(downtime.see_node())
        stand_in.change(downtime, name, lambda old: designation_mark.labelled(old, record, downtime.node, epoch, label))
        raise
    stand_in.change(downtime, name, lambda old: designation_mark.unmarked(old, record))


def _seen_off(downtime: Downtime) -> Seen:
    seen = _is_off(downtime)
    if seen is not None:
        left = _left_there(downtime)
        also = f"; left there: {', '.join(left)}" if left else ""
        return seen._replace(proof=f"the label is off {downtime.record.designated}{also}") if seen.change else seen
    name = downtime.record.designated
    why = _why_it_stays(downtime) or _needed(downtime)
    return Seen(f"{name} stays a Run:ai system node: {why or 'it was needed'}")


UNDESIGNATE = Step(_NAME, _is_off, _seen_off, _take_off, during="returning")


def _why_it_stays(downtime: Downtime) -> str:
    """What makes the label stay however long one waits, as the end of a sentence; empty: nothing."""
    facts, place = _there(downtime)
    if place is None or not designation_mark.owns(place.node, downtime.record.id):
        return ""
    bound = taking_over.bound_of(downtime.api, place, facts.nodes)
    if bound:
        verb = "is" if len(bound) == 1 else "are"
        return f"{', '.join(bound)} {verb} bound to a volume there, and could not start again without it"
    if _asking(place) and not moving_back.allowed(downtime):
        return "system pods run there, and these credentials may not evict them (create pods/eviction)"
    return ""


def _needed_until(downtime: Downtime, seconds: float) -> str:
    why: list[str] = []

    def free() -> bool | None:
        why[:] = [_needed(downtime)]
        return None if why[0] else True

    return "" if probing.probe(free, seconds, first=0.5, longest=3.0) else why[0]


def _needed(downtime: Downtime) -> str:
    """Why the service needs this node as a system node now, as the end of a sentence; empty: it does not."""
    facts, place = _there(downtime)
    if place is None:
        return ""
    others = admission.others(downtime.api, downtime.node)
    down = {*others.down, *others.designated}
    moving = _asking(place)
    if not moving:
        if not designation_mark.owns(place.node, downtime.record.id):
            return ""
        # Whatever runs on the others goes on running there, cordoned or not.
        alive = [one for one in facts.places if one.name != place.name and one.state.kind == "system"]
        if any(one.state.ready and not one.state.drained_by_taint and one.name not in down for one in alive):
            return ""
        return "no other system node is up"
    left = unplaced(moving, systems_left(place.name, facts.places, down), place.name, facts.places, down)
    return "; ".join(f"{pod} finds no other place: {why}" for pod, why in list(left.items())[:3])


def _there(downtime: Downtime) -> tuple[TakeoverFacts, Place | None]:
    facts = taking_over.gather(downtime.api, downtime.node)
    return facts, facts.place(downtime.record.designated)


def _asking(place: Place) -> list[Object]:
    """The pods that run there only since it carries the label, or did."""
    mark = designation_mark.read(place.node)
    found = asking_for_label(place, {LABEL: mark.value}) if mark is not None else ()
    # On a node that died nothing ends them; they are replaced elsewhere all the same.
    return [pod for pod in found if place.state.ready or not pod_.is_terminating(pod)]


def _to_move(downtime: Downtime) -> list[Object]:
    _, place = _there(downtime)
    return [pod for pod in _asking(place) if pod_.controller(pod)] if place is not None else []


def _left_there(downtime: Downtime) -> list[str]:
    _, place = _there(downtime)
    return [pod_.full_name(pod) for pod in _asking(place)] if place is not None else []


def _still_needed(downtime: Downtime, why: str) -> Failed:
    name, minutes = downtime.record.designated, downtime.settings.drain.takeover_minutes
    return Failed(
        "designation-needed",
        f"{downtime.node} is back, but after {minutes:g} minutes {name} is still needed as a system node: {why}",
        f"See to that, then 'downtime resume {downtime.node}'; or, if {name} is to stay one, 'downtime decide "
        f"{downtime.node} --keep-designation' first.",
    )
