"""A label that makes a node stand in is taken off only by whom it was set, and the node is then as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster import designation_mark as marks
from cluster import names
from cluster.node import Object
from cluster.system_placement import LABEL

LABELS = st.dictionaries(st.sampled_from(["rack", LABEL]), st.sampled_from(["true", "", "false", "7"]), max_size=2)
VALUES = st.sampled_from(["true", ""])


def _node(labels: dict[str, str], **notes: str) -> Object:
    return {"metadata": {"name": "gpu-1", "labels": labels, "annotations": dict(notes)}, "spec": {}}


def _labels(node: Object) -> dict[str, str]:
    return dict(node["metadata"]["labels"])


@given(LABELS, VALUES)
def test_set_and_taken_off_it_is_as_it_was(labels: dict[str, str], value: str) -> None:
    before = _node(labels)
    on = marks.labelled(before, "r1", "system-1", 3, {LABEL: value})
    ours = marks.owns(on, "r1")
    assert ours == (labels.get(LABEL) in (None, "false"))
    assert _labels(on) == ({**labels, LABEL: value} if ours else labels)
    off = marks.unlabelled(on, "r1", 4)
    assert _labels(off) == labels
    assert marks.unmarked(off, "r1") == before
    assert _node(labels) == before, "nothing is changed in place"


@given(LABELS, VALUES)
def test_nobody_else_takes_it_off(labels: dict[str, str], value: str) -> None:
    on = marks.labelled(_node(labels), "r1", "system-1", 3, {LABEL: value})
    assert marks.unlabelled(on, "r2", 9) == on
    assert marks.unmarked(on, "r2") == on
    assert not marks.owns(on, "r2")


@given(LABELS, VALUES)
def test_setting_it_twice_changes_nothing_more(labels: dict[str, str], value: str) -> None:
    on = marks.labelled(_node(labels), "r1", "system-1", 3, {LABEL: value})
    assert marks.labelled(on, "r1", "system-1", 3, {LABEL: value}) == on


def test_label_that_somebody_changed_since_is_theirs() -> None:
    on = marks.labelled(_node({}), "r1", "system-1", 3, {LABEL: "true"})
    on["metadata"]["labels"][LABEL] = ""
    assert not marks.owns(on, "r1")
    assert marks.unlabelled(on, "r1", 4) == on


def test_new_holder_writes_its_epoch_and_keeps_what_is_owned() -> None:
    on = marks.labelled(_node({}), "r1", "system-1", 3, {LABEL: "true"})
    taken = marks.marked(on, "r1", "system-1", 7)
    assert marks.epoch_for("r1", taken) == 7
    assert marks.epoch_for("r2", taken) == 0
    assert marks.owns(taken, "r1")
    intended = marks.marked(_node({}), "r1", "system-1", 2)
    assert marks.epoch_for("r1", intended) == 2
    assert not marks.owns(intended, "r1")
    assert LABEL not in _labels(intended)


def test_mark_of_another_record_that_counts_is_not_overwritten() -> None:
    on = marks.labelled(_node({}), "r1", "system-1", 3, {LABEL: "true"})
    assert marks.marked(on, "r2", "system-2", 1) == on


def test_given_up_label_stays_and_is_nobodys() -> None:
    on = marks.labelled(_node({}), "r1", "system-1", 3, {LABEL: "true"})
    given_up = marks.unmarked(on, "r1")
    assert _labels(given_up) == {LABEL: "true"}
    assert marks.read(given_up) is None


def test_unreadable_mark_owns_nothing() -> None:
    assert marks.read(_node({LABEL: "true"}, **{names.DESIGNATED_ANNOTATION: "{"})) is None
