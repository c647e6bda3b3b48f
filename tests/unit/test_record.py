"""The record: what was written can be read, what cannot be read blocks, and nothing stands there twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import record as records_of
from cluster.errors import Blocked
from cluster.record import TIMELINE_LENGTH, Approval, Found, Record, from_json, to_json

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def a_record() -> Record:
    return Record(
        id="20261124090000-abcdef",
        epoch=1,
        procedure="planned",
        node="gpu-1",
        node_uid="uid",
        who="anna@host",
        opened=NOW,
        updated=NOW,
        found=Found(boot_id="b", gpus={"nvidia.com/gpu": 4}),
    )


@given(st.lists(st.sampled_from(["cordon", "taint", "see-gone"]), max_size=6), st.text(max_size=40))
def test_what_was_written_is_read_back(steps: list[str], proof: str) -> None:
    written = a_record()
    for step in steps:
        written = records_of.step_is(written, step, "done", proof)
    assert from_json(to_json(written), "x") == written


def test_a_record_of_a_newer_schema_is_not_touched() -> None:
    document = {**json.loads(to_json(a_record())), "schema": records_of.SCHEMA + 1, "new": "field"}
    with pytest.raises(Blocked, match="schema") as refused:
        from_json(json.dumps(document), "ConfigMap runai-downtime/node-gpu-1")
    assert refused.value.code == "record-newer"
    assert "Nothing was changed" in refused.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"schema": "one"}', '{"schema": 1}'])
def test_a_damaged_record_blocks_and_says_where_it_is(text: str) -> None:
    with pytest.raises(Blocked) as refused:
        from_json(text, "ConfigMap runai-downtime/node-gpu-1")
    assert refused.value.code == "record-damaged"
    assert "node-gpu-1" in refused.value.message


def test_the_timeline_is_capped_and_keeps_its_beginning() -> None:
    long = records_of.noted(a_record(), "opened")
    for number in range(TIMELINE_LENGTH * 2):
        long = records_of.noted(long, f"line {number}")
    assert len(long.timeline) == TIMELINE_LENGTH
    assert long.timeline[0].text == "opened"
    assert long.timeline[-1].text == f"line {TIMELINE_LENGTH * 2 - 1}"


def test_a_line_repeated_after_a_lost_answer_stands_there_once() -> None:
    once = records_of.noted(a_record(), "cordon: intended")
    assert records_of.noted(once, "cordon: intended") == once


def test_what_was_undone_does_not_stand() -> None:
    made = records_of.change_is(a_record(), "taint", "runai=drain:NoExecute", "made")
    assert made.standing() == ("taint runai=drain:NoExecute",)
    assert records_of.change_is(made, "taint", "runai=drain:NoExecute", "undone").standing() == ()


def test_a_shutdown_that_was_taken_back_is_none() -> None:
    told = records_of.change_is(a_record(), "shutdown", "boot-1", "intended")
    assert told.shut_down_boot == "boot-1"
    assert records_of.change_is(told, "shutdown", "boot-1", "undone").shut_down_boot == ""


def test_an_abort_stays_an_abort_when_it_is_closed() -> None:
    closed = records_of.in_phase(records_of.aborting(a_record()), "closed")
    assert closed.aborted
    assert not closed.open


def test_an_answer_names_who_gave_it_in_the_timeline() -> None:
    answer = Approval(subject="interactive", digest="d", items=("a/b/c",), answer="evict", who="ben", at=NOW)
    answered = records_of.approved(a_record(), answer)
    assert "ben answered evict" in answered.timeline[-1].text
    assert answered.approvals == (answer,)
