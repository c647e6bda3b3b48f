"""Records in the cluster: what is refused, what is kept, what is thrown away."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster import api as apis
from cluster import names
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.record import TIMELINE_LENGTH, Found, Record, in_phase, noted
from cluster.records import Records
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import NAMESPACE, cordoned, drained, record_of, untouched

HOLDING = UNATTENDED.model_copy(update={"shut_down": False, "hold": True})
OPENED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def records(lab: Lab) -> Records:
    return Records(apis.connect(settings_of(lab).cluster))


def always() -> None:
    """The lock is still ours."""


def new_record(node: str, number: int = 0) -> Record:
    at = OPENED + timedelta(hours=number)
    return Record(
        id=f"{at:%Y%m%d%H%M%S}-{uuid.uuid4().hex[:6]}",
        epoch=1,
        procedure="planned",
        node=node,
        node_uid="-",
        who="tester",
        opened=at,
        updated=at,
        found=Found(),
    )


def rewrite(api: Api, node: str, change: Callable[[str], str]) -> None:
    path = f"{NAMESPACE}/configmaps/node-{node}"
    text = api.get(path)["data"]["record"]
    api.patch(path, {"data": {"record": change(text)}})


def newer(text: str) -> str:
    return json.dumps({**json.loads(text), "schema": 2, "colour": "green"})


def half(text: str) -> str:
    return text[: len(text) // 2]


def without_phase(text: str) -> str:
    return json.dumps({**json.loads(text), "phase": "lunch"})


@pytest.mark.parametrize(
    ("change", "code"), [(newer, "record-newer"), (half, "record-damaged"), (without_phase, "record-damaged")]
)
def test_record_that_cannot_be_understood_blocks_everything(
    lab: Lab, lab_api: Api, make_node: MakeNode, change: Callable[[str], str], code: str
) -> None:
    node = make_node().node
    settings = settings_of(lab)
    with pytest.raises(DowntimeError, match="waiting-for-return"):
        driving.run(settings, node, HOLDING)
    good = lab_api.get(f"{NAMESPACE}/configmaps/node-{node}")["data"]["record"]
    rewrite(lab_api, node, change)
    bad = lab_api.get(f"{NAMESPACE}/configmaps/node-{node}")["data"]
    commands: list[Callable[..., Any]] = [lambda s, n: driving.run(s, n, HOLDING), driving.resume, driving.abort]
    for command in commands:
        with pytest.raises(Blocked) as error:
            command(settings, node)
        assert (error.value.code, error.value.exit_code) == (code, 3)
        assert f"node-{node}" in error.value.message
    assert lab_api.get(f"{NAMESPACE}/configmaps/node-{node}")["data"] == bad
    assert drained(lab_api, node)
    assert cordoned(lab_api, node)
    rewrite(lab_api, node, lambda _: good)
    driving.abort(settings, node)
    assert untouched(lab_api, node)


def test_timeline_is_capped_and_keeps_its_beginning(records: Records, lab_api: Api) -> None:
    node = "long-story"
    records.open(noted(new_record(node), "opened"), always)

    def chatty(old: Record) -> Record:
        for number in range(TIMELINE_LENGTH * 2):
            old = noted(old, f"line {number}")
        return old

    after = records.update(node, 1, chatty)
    assert len(after.timeline) == TIMELINE_LENGTH
    assert after.timeline[0].text == "opened"
    assert after.timeline[-1].text == f"line {TIMELINE_LENGTH * 2 - 1}"
    assert records.read(node) == after
    lab_api.delete(f"{NAMESPACE}/configmaps/node-{node}")


def test_last_ten_closed_records_of_a_node_are_kept(records: Records, lab_api: Api) -> None:
    node, other = "often-down", "often-down-2"
    records.open(in_phase(new_record(other), "closed"), always)
    opened = []
    for number in range(13):
        new = new_record(node, number)
        records.open(new, always)
        records.update(node, 1, lambda old: in_phase(old, "closed"))
        opened.append(new.id)
    assert [one.id for one in records.closed_of(node)] == opened[:-11:-1]
    assert len(records.closed_of(other)) == 1, "another node's are left alone"
    selector = f"runai-downtime/node in ({node},{other})"
    for found in lab_api.items(f"{NAMESPACE}/configmaps?labelSelector={selector.replace(' ', '%20')}"):
        lab_api.delete(f"{NAMESPACE}/configmaps/{found['metadata']['name']}")


def test_closed_record_is_archived_before_its_place_is_taken(records: Records, lab_api: Api) -> None:
    node = "archived-once"
    first, second = new_record(node, 1), new_record(node, 2)
    records.open(first, always)
    with pytest.raises(Blocked, match="in-downtime"):
        records.open(second, always)
    closed = records.update(node, 1, lambda old: in_phase(old, "closed"))
    records.open(second, always)
    assert records.open_of(node) == second
    assert records.closed_of(node) == [closed]
    for name in (f"node-{node}", f"closed-{first.id}"):
        lab_api.delete(f"{NAMESPACE}/configmaps/{name}")


def test_longest_names_have_records_of_their_own(records: Records, lab_api: Api) -> None:
    label = "a" * 61
    longest = [f"{label}.{label}.{label}.{label}.{end}" for end in ("b1234", "c1234")]
    assert [len(node) for node in longest] == [253, 253]
    for node in longest:
        records.open(new_record(node), always)
    assert [found.node for found in map(records.read, longest) if found is not None] == longest
    assert {found.node for found in records.all_open()} >= set(longest)
    for node in longest:
        assert names.object_name(node) != f"node-{node}"
        lab_api.delete(f"{NAMESPACE}/configmaps/{names.object_name(node)}")


def test_record_of_an_older_epoch_is_written_and_of_a_newer_one_is_not(records: Records, lab_api: Api) -> None:
    node = "fenced"
    records.open(new_record(node).model_copy(update={"epoch": 5}), always)
    with pytest.raises(DowntimeError) as lost:
        records.update(node, 4, lambda old: noted(old, "too late"))
    assert (lost.value.code, lost.value.exit_code) == ("lock-lost", 1)
    assert records.update(node, 6, lambda old: noted(old, "in time")).timeline[-1].text == "in time"
    lab_api.delete(f"{NAMESPACE}/configmaps/node-{node}")


def test_record_deleted_in_the_middle_ends_the_run_and_what_stands_is_never_touched_again(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    node = make_node().node
    settings = settings_of(lab)

    def delete(step: str, text: str) -> None:
        if step == "taint" and "set by" in text:
            lab_api.delete(f"{NAMESPACE}/configmaps/node-{node}")

    with pytest.raises(Failed) as error:
        driving.run(settings, node, HOLDING, delete)
    assert error.value.code == "record-gone"
    assert "taint runai=drain:NoExecute" in error.value.changed
    for command in (driving.resume, driving.abort):
        with pytest.raises(Blocked) as refused:
            command(settings, node)
        assert refused.value.code == "not-in-downtime"
    # Nobody can say any more whose they are: a new downtime takes them for somebody else's.
    with pytest.raises(DowntimeError, match="waiting-for-return"):
        driving.run(settings, node, HOLDING)
    driving.resume(settings, node)
    record = record_of(lab_api, node)
    assert record is not None
    assert record["phase"] == "closed"
    assert record.get("changes", []) == []
    assert drained(lab_api, node)
    assert cordoned(lab_api, node)
