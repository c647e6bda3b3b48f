"""The end of a downtime: nothing of it is left on the Node, the node counts as up again, the record is closed."""

from __future__ import annotations

from cluster import admission, ownership, scheduling, smoke_pod, stand_in
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.step import Seen, Step


def _not_yet(_: Downtime) -> Seen | None:
    return None


def _leave(downtime: Downtime) -> None:
    # Here, since every course that a downtime takes ends here: a step that makes one may not be among its steps.
    smoke_pod.forget_leftover(downtime)
    if downtime.find_node() is not None:
        downtime.change_node(lambda old: ownership.unmarked(old, downtime.record.id))
    stand_in.hand_over(downtime)
    admission.dismiss(downtime.api, downtime.node, downtime.record.id)


def _seen_left(downtime: Downtime) -> Seen:
    found = downtime.find_node()
    if found is None or scheduling.mark_is_gone(found, downtime.record.id):
        return Seen("nothing of this downtime is left on the node")
    raise Failed(
        "mark-stands",
        f"The annotation runai-downtime/owns of this downtime still stands on {downtime.node}",
        f"'downtime status {downtime.node}' shows what is still ours; 'downtime resume {downtime.node}' tries again.",
    )


CLOSE = Step("close", _not_yet, _seen_left, _leave, after="closed")
