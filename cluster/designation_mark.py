"""That a node stands in as a Run:ai system node for a while: the annotation that says whose the label is.

As with the cordon and the taint (:mod:`cluster.ownership`), the note stands on the Node, in the same compare-and-swap
as the label. It is another annotation than that one, since the node that stands in has no downtime of its own, and may
come to have one. It carries the epoch of the lock of the node that it stands in for.

All functions are pure: they take a Node as the API sent it and return the Node to be written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster import names
from cluster import pods as pod_
from cluster.node import Object
from cluster.system_placement import LABEL


class Designated(BaseModel):
    """The content of the annotation ``runai-downtime/designated``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str
    node: str = Field(description="The node that it stands in for.")
    epoch: int
    owns: bool = Field(default=False, description="Whether the label was set by this downtime.")
    value: str = Field(default="", description="The label's value, as it was set.")
    was: str | None = Field(default=None, description="The value that it had before; None: there was no such label.")


def read(node: Object) -> Designated | None:
    """What the Node says of its designation; None when it carries no (readable) annotation."""
    text = pod_.notes(node).get(names.DESIGNATED_ANNOTATION)
    if not text:
        return None
    try:
        return Designated.model_validate_json(text)
    except ValidationError:
        return None


def owns(node: Object, record: str) -> bool:
    """Whether the label stands as this record set it."""
    mark = read(node)
    return mark is not None and mark.record == record and mark.owns and pod_.labels(node).get(LABEL) == mark.value


def epoch_for(record: str, node: Object) -> int:
    """The epoch that the Node carries for this record; 0: none."""
    mark = read(node)
    return mark.epoch if mark is not None and mark.record == record else 0


def marked(node: Object, record: str, stands_in_for: str, epoch: int) -> Object:
    """The Node with the epoch of the new holder; what was owned stays owned. Another record's that counts stays."""
    mark = read(node)
    if mark is not None and mark.record != record and owns(node, mark.record):
        return node
    if mark is None or mark.record != record:
        mark = Designated(record=record, node=stands_in_for, epoch=epoch)
    return _with(node, mark.model_copy(update={"epoch": epoch}))


def labelled(node: Object, record: str, stands_in_for: str, epoch: int, label: Mapping[str, str]) -> Object:
    """The Node as a system node. One that is one already was made so by somebody else, and stays so."""
    now = pod_.labels(node).get(LABEL)
    if now is not None and now != "false":
        return node
    value = label[LABEL]
    mark = Designated(record=record, node=stands_in_for, epoch=epoch, owns=True, value=value, was=now)
    changed = _with(node, mark)
    changed["metadata"]["labels"] = {**pod_.labels(node), LABEL: value}
    return changed


def unlabelled(node: Object, record: str, epoch: int) -> Object:
    """The Node without our label, still marked; unchanged when the label is not ours."""
    mark = read(node)
    if mark is None or not owns(node, record):
        return node
    changed = _with(node, mark.model_copy(update={"epoch": epoch, "owns": False}))
    labels = {key: value for key, value in pod_.labels(node).items() if key != LABEL}
    changed["metadata"]["labels"] = labels if mark.was is None else {**labels, LABEL: mark.was}
    return changed


def unmarked(node: Object, record: str) -> Object:
    """The Node without our annotation; a label of ours that stands is nobody's now, and stays."""
    mark = read(node)
    if mark is None or mark.record != record:
        return node
    changed = copy.deepcopy(node)
    changed["metadata"]["annotations"].pop(names.DESIGNATED_ANNOTATION)
    return changed


def _with(node: Object, mark: Designated) -> Object:
    changed = copy.deepcopy(node)
    notes = changed["metadata"].get("annotations") or {}
    changed["metadata"]["annotations"] = {**notes, names.DESIGNATED_ANNOTATION: mark.model_dump_json()}
    return changed
