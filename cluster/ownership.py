"""What on a Node is ours: the annotation that says it, written in the same update as the thing itself.

Between a taint and a note about the taint somewhere else there would always be a moment in which a crash makes the
taint nobody's. So the note stands on the Node, in the same compare-and-swap. It also carries the epoch of the lock:
a new holder writes its epoch here first, which makes an update by the holder before it fail.

All functions are pure: they take a Node as the API sent it and return the Node to be written.
"""

from __future__ import annotations

import copy
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cluster import names
from cluster.node import Object, drained_by_taint, is_drain, is_out_of_service, out_of_service, taints, unschedulable

Thing = Literal["cordon", "taint", "out-of-service"]


class Owns(BaseModel):
    """The content of the annotation ``runai-downtime/owns``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str
    epoch: int
    owns: tuple[Thing, ...] = ()


def read(node: Object) -> Owns | None:
    """What the Node says is ours; None when it carries no (readable) annotation: then nothing on it is ours."""
    text = (node["metadata"].get("annotations") or {}).get(names.OWNS_ANNOTATION)
    if not text:
        return None
    try:
        return Owns.model_validate_json(text)
    except ValidationError:
        return None


def owns(node: Object, record: str, thing: Thing) -> bool:
    """Whether this record set the thing on the Node."""
    mark = read(node)
    return mark is not None and mark.record == record and thing in mark.owns


def marked(node: Object, record: str, epoch: int) -> Object:
    """The Node with the epoch of its new holder; what was owned stays owned."""
    mark = read(node)
    kept = mark.owns if mark is not None and mark.record == record else ()
    return _with(node, Owns(record=record, epoch=epoch, owns=kept))


def cordoned(node: Object, record: str, epoch: int) -> Object:
    """The Node cordoned. A cordon that stands already is somebody else's, and stays theirs."""
    if unschedulable(node):
        return node
    changed = _owning(node, record, epoch, "cordon")
    changed["spec"]["unschedulable"] = True
    return changed


def uncordoned(node: Object, record: str, epoch: int) -> Object:
    """The Node without our cordon; unchanged when the cordon is not ours."""
    if not owns(node, record, "cordon"):
        return node
    changed = _disowning(node, record, epoch, "cordon")
    changed["spec"].pop("unschedulable", None)
    return changed


def tainted(node: Object, record: str, epoch: int, *, adopt: bool = False) -> Object:
    """The Node with the drain taint. One that a person set stays theirs, unless it is to be adopted."""
    if drained_by_taint(node):
        return _owning(node, record, epoch, "taint") if adopt and not owns(node, record, "taint") else node
    changed = _owning(node, record, epoch, "taint")
    changed["spec"]["taints"] = [
        *taints(node),
        {"key": names.DRAIN_KEY, "value": names.DRAIN_VALUE, "effect": names.DRAIN_EFFECT},
    ]
    return changed


def untainted(node: Object, record: str, epoch: int) -> Object:
    """The Node without our drain taint; unchanged when the taint is not ours."""
    if not owns(node, record, "taint"):
        return node
    changed = _disowning(node, record, epoch, "taint")
    changed["spec"]["taints"] = [taint for taint in taints(node) if not is_drain(taint)]
    return changed


def put_out_of_service(node: Object, record: str, epoch: int) -> Object:
    """The Node with Kubernetes' out-of-service taint. One that stands already is somebody else's, and stays theirs."""
    if out_of_service(node):
        return node
    changed = _owning(node, record, epoch, "out-of-service")
    taint = {"key": names.OUT_OF_SERVICE_KEY, "value": names.OUT_OF_SERVICE_VALUE, "effect": names.DRAIN_EFFECT}
    changed["spec"]["taints"] = [*taints(node), taint]
    return changed


def put_in_service(node: Object, record: str, epoch: int) -> Object:
    """The Node without our out-of-service taint; unchanged when it is not ours."""
    if not owns(node, record, "out-of-service"):
        return node
    changed = _disowning(node, record, epoch, "out-of-service")
    changed["spec"]["taints"] = [taint for taint in taints(node) if not is_out_of_service(taint)]
    return changed


def unmarked(node: Object, record: str) -> Object:
    """The Node without our annotation. Only for the very end: nothing on it may be ours any more."""
    mark = read(node)
    if mark is None or mark.record != record or mark.owns:
        return node
    changed = copy.deepcopy(node)
    changed["metadata"]["annotations"].pop(names.OWNS_ANNOTATION)
    return changed


def _owning(node: Object, record: str, epoch: int, thing: Thing) -> Object:
    mark = read(node)
    kept = mark.owns if mark is not None and mark.record == record else ()
    return _with(node, Owns(record=record, epoch=epoch, owns=(*(one for one in kept if one != thing), thing)))


def _disowning(node: Object, record: str, epoch: int, thing: Thing) -> Object:
    mark = read(node)
    kept = tuple(one for one in (mark.owns if mark else ()) if one != thing)
    return _with(node, Owns(record=record, epoch=epoch, owns=kept))


def _with(node: Object, mark: Owns) -> Object:
    changed = copy.deepcopy(node)
    annotations = dict(changed["metadata"].get("annotations") or {})
    annotations[names.OWNS_ANNOTATION] = mark.model_dump_json()
    changed["metadata"]["annotations"] = annotations
    changed.setdefault("spec", {})
    return changed
