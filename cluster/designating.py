"""Making another node a Run:ai system node for a while, so that the service survives the last one going down.

Written into the record as temporary before the label is set; the label and whose it is are set in one update of that
Node. The step is done only once it was *seen* that the pods of the system node find a place there.
"""

from __future__ import annotations

from cluster import admission, designation_mark, node, nodes, planning, stand_in, taking_over
from cluster import record as records_of
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked, Failed
from cluster.plan import Finding
from cluster.record import DESIGNATED
from cluster.step import Made, Seen, Step
from cluster.system_placement import LABEL, label_like, must_move
from cluster.taking_over import Around
from cluster.watching import until

# A cordon or a new pod on it changes whether it can take over; pods are not watched for this.
_EVERY = 3.0


def _stands(downtime: Downtime) -> Seen | None:
    found = nodes.find(downtime.api, downtime.options.designate)
    if found is None or node.kind(found) != "system" or _problems(downtime):
        return None
    return _seen(downtime, found)


def _label(downtime: Downtime) -> None:
    chosen, record, epoch = downtime.options.designate, downtime.record.id, downtime.lock.epoch
    _, plan = planning.look_again(downtime)
    if plan.blockers:
        first = plan.blockers[0]
        raise Blocked(first.code, first.message, first.remedy)
    label = label_like(downtime.see_node())
    if downtime.record.designated != chosen:
        downtime.write(lambda old: records_of.change_is(old, DESIGNATED, chosen, "intended"))
    stand_in.change(downtime, chosen, lambda old: designation_mark.labelled(old, record, downtime.node, epoch, label))
    downtime.say("designate", f"{chosen} carries the label; seeing whether the system pods find a place")


def _placeable(downtime: Downtime) -> Seen:
    chosen, seconds = downtime.options.designate, downtime.settings.drain.takeover_minutes * 60
    last: list[Finding] = []

    def judge(now: dict[str, Object]) -> Seen | None:
        found = next(iter(now.values()), None)
        if found is None or node.kind(found) != "system":
            raise _changed(downtime)
        last[:] = _problems(downtime)
        return None if last else _seen(downtime, found)

    seen = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={chosen}", every=_EVERY)
    if seen is None:
        raise _not_placeable(downtime, last, seconds)
    return seen


DESIGNATE = Step("designate", _stands, _placeable, _label)


def _problems(downtime: Downtime) -> list[Finding]:
    """What speaks against it that the chosen node takes over, from how things are at this moment."""
    others = admission.others(downtime.api, downtime.node)
    facts = taking_over.gather(downtime.api, downtime.node)
    around = Around(others.down, others.designated, downtime.options.designate, recorded=True)
    return taking_over.judge(downtime.node, facts, around)


def _seen(downtime: Downtime, found: Object) -> Seen:
    chosen = downtime.options.designate
    place = taking_over.gather(downtime.api, downtime.node).place(downtime.node)
    number = len(must_move(place)) if place is not None else 0
    proof = f"{chosen} carries the label {LABEL}, and the {number} system pods of {downtime.node} find a place"
    if designation_mark.owns(found, downtime.record.id):
        return Seen(f"{proof}; it comes off again", Made(DESIGNATED, chosen, "made"))
    # Written down as intended, perhaps, before somebody else was faster.
    known = downtime.record.designated == chosen
    return Seen(f"{proof}; somebody else set it: it stays", Made(DESIGNATED, chosen, "undone") if known else None)


def _changed(downtime: Downtime) -> Blocked:
    return Blocked(
        "designation-changed",
        f"Somebody took the label {LABEL} off {downtime.options.designate}, or deleted the Node, while this step was "
        "under way",
        f"Find out who changes it, then 'downtime resume {downtime.node}'; 'downtime abort {downtime.node}' backs out.",
    )


def _not_placeable(downtime: Downtime, found: list[Finding], seconds: float) -> Failed:
    why = "; ".join(one.message for one in found) or "it was not seen in time"
    return Failed(
        "not-placeable",
        f"{downtime.options.designate} was designated, but after {seconds / 60:g} minutes the system pods of "
        f"{downtime.node} cannot be placed: {why}. {downtime.node} was not drained",
        f"See to that, then 'downtime resume {downtime.node}'; or 'downtime abort {downtime.node}', and designate "
        "another one.",
    )
