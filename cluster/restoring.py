"""A node that has joined gets back what it was: the joining taint off, then its labels, annotations and taints.

Both only while it is cordoned: a node without its labels and taints is no place for anybody's work.
"""

from __future__ import annotations

from cluster import control_plane, node, ownership, restoration, taints
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked
from cluster.rejoining import options_of
from cluster.restoration import Restored
from cluster.step import Seen, Step


def _joining_taint_is_gone(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if any(taints.same(one, taints.JOINING) for one in node.taints(found)):
        return None
    return Seen(f"{taints.text(taints.JOINING)} does not stand")


def _take_joining_taint_off(downtime: Downtime) -> None:
    def change(old: Object) -> Object:
        _require_cordoned(downtime, old)
        return restoration.without_joining_taint(ownership.marked(old, downtime.record.id, downtime.lock.epoch))

    downtime.change_node(change)


def _joining_taint_seen_gone(downtime: Downtime) -> Seen:
    seen = _joining_taint_is_gone(downtime)
    if seen is None:
        raise _changed(downtime, f"the taint {taints.text(taints.JOINING)} was set again by somebody else")
    return seen._replace(proof=f"{taints.text(taints.JOINING)} taken off, still cordoned")


UNTAINT_JOINING = Step("untaint-joining", _joining_taint_is_gone, _joining_taint_seen_gone, _take_joining_taint_off)


def _missing(downtime: Downtime, found: Object) -> Restored:
    role, was = options_of(downtime).role, downtime.record.found
    marks = control_plane.marks(role, was.labels, was.taints)
    return restoration.to_restore(downtime.record.kept, role, {}, found, marks)


def _all_there(downtime: Downtime) -> Seen | None:
    missing = _missing(downtime, downtime.see_node())
    if missing:
        return None
    left = f"; left as they are: {', '.join(missing.left)}" if missing.left else ""
    return Seen(f"labels, annotations and taints are as they must be{left}")


def _restore(downtime: Downtime) -> None:
    def change(old: Object) -> Object:
        _require_cordoned(downtime, old)
        return restoration.restored(old, _missing(downtime, old))

    downtime.say("restore", ", ".join(_missing(downtime, downtime.see_node()).lines()))
    downtime.change_node(change)


def _restored(downtime: Downtime) -> Seen:
    seen = _all_there(downtime)
    if seen is None:
        raise _changed(downtime, "its labels, annotations or taints were taken off again by somebody else")
    return seen


RESTORE = Step("restore", _all_there, _restored, _restore)


def _require_cordoned(downtime: Downtime, found: Object) -> None:
    if not node.unschedulable(found):
        raise _changed(downtime, "it was uncordoned by somebody else before it was as it must be")


def _changed(downtime: Downtime, how: str) -> Blocked:
    return Blocked(
        "node-changed",
        f"{downtime.node} is being rejoined, and {how}",
        f"Find out who changes it; 'kubectl cordon {downtime.node}' if it is not cordoned; then "
        f"'downtime resume {downtime.node}'.",
    )
