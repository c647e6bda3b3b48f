"""What on a Node is ours: nothing else is ever taken off, and whoever was overtaken can be told by the epoch."""

from __future__ import annotations

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from cluster import names, node, ownership
from cluster.node import Object

DRAIN = {"key": "runai", "value": "drain", "effect": "NoExecute"}
OTHER = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}
FOREIGN_RECORD = json.dumps({"record": "other", "epoch": 9, "owns": ["cordon", "taint"]})
ACTIONS = st.lists(
    st.sampled_from(["cordoned", "tainted", "uncordoned", "untainted", "marked", "unmarked"]), max_size=8
)


def a_node(*, cordoned: bool = False, drained: bool = False, mark: str = "") -> Object:
    taints = [OTHER, *([DRAIN] if drained else [])]
    spec: Object = {"taints": taints, **({"unschedulable": True} if cordoned else {})}
    annotations = {"a": "b", **({names.OWNS_ANNOTATION: mark} if mark else {})}
    return {"metadata": {"name": "gpu-1", "annotations": annotations}, "spec": spec}


def done(found: Object, action: str) -> Object:
    if action == "unmarked":
        return ownership.unmarked(found, "mine")
    changed: Object = getattr(ownership, action)(found, "mine", 3)
    return changed


@given(ACTIONS, st.booleans(), st.booleans(), st.sampled_from(["", "not json", FOREIGN_RECORD]))
def test_no_sequence_takes_off_what_somebody_else_set(
    actions: list[str], cordoned: bool, drained: bool, mark: str
) -> None:
    found = a_node(cordoned=cordoned, drained=drained, mark=mark)
    for action in actions:
        before = copy.deepcopy(found)
        changed = done(found, action)
        assert found == before, "a pure function changed what it was given"
        found = changed
    assert not cordoned or node.unschedulable(found)
    assert not drained or node.drained_by_taint(found)
    assert OTHER in node.taints(found)
    assert found["metadata"]["annotations"]["a"] == "b"


@given(ACTIONS)
def test_undoing_leaves_the_node_as_it_was(actions: list[str]) -> None:
    found = a_node()
    for action in (*actions, "untainted", "uncordoned", "unmarked"):
        found = done(found, action)
    assert found == a_node()


def test_the_taint_and_the_note_that_it_is_ours_are_one_update() -> None:
    found = ownership.tainted(a_node(), "mine", 3)
    assert node.drained_by_taint(found)
    assert ownership.owns(found, "mine", "taint")


def test_an_adopted_taint_is_ours_and_stands_once() -> None:
    found = ownership.tainted(a_node(drained=True), "mine", 3, adopt=True)
    assert [taint for taint in node.taints(found) if node.is_drain(taint)] == [DRAIN]
    assert not node.drained_by_taint(ownership.untainted(found, "mine", 3))


def test_a_new_holder_writes_its_epoch_and_keeps_what_was_owned() -> None:
    found = ownership.marked(ownership.cordoned(a_node(), "mine", 3), "mine", 4)
    mark = ownership.read(found)
    assert mark is not None
    assert (mark.epoch, mark.owns) == (4, ("cordon",))


def test_the_mark_stays_while_something_is_ours() -> None:
    found = ownership.cordoned(a_node(), "mine", 3)
    assert ownership.unmarked(found, "mine") == found
