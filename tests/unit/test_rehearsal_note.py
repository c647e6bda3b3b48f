"""Hazard: a note in the store that is damaged, forged or newer is taken for a rehearsal that passed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster.rehearsal_note import NoteError, RehearsalNote, file_name, is_file_name, parse, result_of
from cluster.verdict import Line

_BEGAN = datetime(2026, 11, 24, 8, 46, 22, tzinfo=UTC)
_PASS = Line(level="PASS", check="database/backend", reason="restored")
_FAILED = Line(level="FAILED", check="database/backend", reason="truncated", remedy="Take a new backup set.")


def _note(*lines: Line, **changes: Any) -> dict[str, Any]:
    note = RehearsalNote(
        set="2026-11-24T08-46-22Z",
        began=_BEGAN,
        finished=_BEGAN + timedelta(seconds=9),
        by="ops",
        result=result_of(lines),
        lines=lines,
    )
    return {**json.loads(note.model_dump_json()), **changes}


def test_a_note_is_read_as_it_was_written() -> None:
    text = json.dumps(_note(_PASS))
    assert json.loads(text)["schema"] == 1
    note = parse(text.encode(), "S/rehearsals/x.json")
    assert note.passed
    assert json.loads(note.model_dump_json()) == json.loads(text)


def test_one_failed_line_is_a_failed_rehearsal() -> None:
    assert not parse(json.dumps(_note(_PASS, _FAILED)).encode(), "x").passed
    assert result_of(()) == "FAILED"


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (b"", "rehearsal-damaged", "not JSON"),
        (b"[]", "rehearsal-damaged", "holds a list"),
        (b"{}", "rehearsal-damaged", "schema"),
        (b'{"schema": true}', "rehearsal-damaged", "schema"),
        (b'{"schema": 2}', "rehearsal-newer", "newer"),
        (json.dumps(_note(_PASS))[:-20].encode(), "rehearsal-damaged", "not JSON"),
        (json.dumps(_note(_PASS, lines=[])).encode(), "rehearsal-damaged", "lines"),
        (json.dumps(_note(_FAILED, result="PASS")).encode(), "rehearsal-damaged", "not what the lines say"),
        (json.dumps(_note(_PASS, finished="2026-11-24T08:46:21Z")).encode(), "rehearsal-damaged", "before it began"),
        (json.dumps(_note(_PASS, finished="2026-11-24T09:46:21")).encode(), "rehearsal-damaged", "finished"),
        (json.dumps(_note(_PASS, set="../other")).encode(), "rehearsal-damaged", "impossible id"),
    ],
)
def test_what_is_no_note_is_never_a_pass(text: bytes, code: str, says: str) -> None:
    with pytest.raises(NoteError, match=says) as caught:
        parse(text, "S/rehearsals/x.json")
    assert caught.value.code == code
    assert "S/rehearsals/x.json" in caught.value.message


def test_a_later_key_of_the_same_schema_is_ignored() -> None:
    assert parse(json.dumps(_note(_PASS, later=1)).encode(), "x").passed


def test_names_sort_by_time_and_only_such_names_are_notes() -> None:
    names = [file_name(_BEGAN), file_name(_BEGAN + timedelta(days=30), "a1b2")]
    assert names == sorted(names)
    assert all(is_file_name(name) for name in names)
    assert not any(is_file_name(name) for name in ("latest.json", "2026-11-24T08-46-22Z.json.part", ".x.json"))
