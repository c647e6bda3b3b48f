"""What is noted of a rehearsal: one small file ``SETID/rehearsals/STAMP.json`` beside the set that was restored.

The manifest is never touched: it is what the set was when it was taken. Notes are only ever added, one file each, and
the newest tells how the set stands. They lie in a store that others can write to, so they are validated like a
manifest, and prove no more than the store itself does.

Compatibility: see ``stored_json``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from cluster import stored_json
from cluster.errors import Blocked
from cluster.manifest import is_set_id
from cluster.verdict import Line

SCHEMA = 1
FOLDER = "rehearsals"

_STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-[A-Za-z0-9]{1,16})?\.json")
Result = Literal["PASS", "FAILED"]


class NoteError(Blocked):
    """A note that cannot be used: ``rehearsal-damaged`` or ``rehearsal-newer``."""


class RehearsalNote(BaseModel):
    """One rehearsal of a set. ``model_dump_json()`` gives what is stored.

    Attributes:
        schema_version: ``schema`` in the file.
        set: the id of the set that was restored, which is also the folder that the note lies in.
        began, finished: of the rehearsal, by the clock of the machine that it ran on.
        by: who or what ran it.
        result: ``PASS`` if no line FAILED, else ``FAILED``: the two always agree, or the note is damaged.
        lines: what was checked; never none, since a rehearsal that checked nothing is no rehearsal.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    set: str
    began: AwareDatetime
    finished: AwareDatetime
    by: str = Field(default="", max_length=500)
    result: Result
    lines: tuple[Line, ...] = Field(min_length=1)

    @property
    def passed(self) -> bool:
        """Whether the set was restored and nothing spoke against it."""
        return self.result == "PASS"

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not is_set_id(self.set):
            raise ValueError("the set has an impossible id")
        if self.finished < self.began:
            raise ValueError("the rehearsal finished before it began")
        if self.result != result_of(self.lines):
            raise ValueError("the result is not what the lines say")
        return self


def result_of(lines: tuple[Line, ...]) -> Result:
    """The result that follows from the lines; no line at all is no pass."""
    return "PASS" if lines and all(line.level != "FAILED" for line in lines) else "FAILED"


def file_name(finished: datetime, suffix: str = "") -> str:
    """The name of the note's file within ``FOLDER``, so that names sort by time; ``suffix`` makes it unique."""
    return f"{finished.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}{'-' if suffix else ''}{suffix}.json"


def is_file_name(name: str) -> bool:
    """Whether a file in ``FOLDER`` can be a note (a name that ``file_name`` gives)."""
    return _STAMPED.fullmatch(name) is not None


def parse(text: bytes, where: str) -> RehearsalNote:
    """The note in the bytes of the file ``where`` (for the messages).

    Raises:
        NoteError: ``rehearsal-damaged`` (not JSON, or not what schema 1 says), or ``rehearsal-newer``.
    """

    def damaged(reason: str) -> NoteError:
        return NoteError("rehearsal-damaged", f"{where} is damaged: {reason}", "Rehearse this set again.")

    def newer(schema: int) -> NoteError:
        return NoteError(
            "rehearsal-newer",
            f"{where} has schema {schema}, newer than {SCHEMA}, the newest that this version knows",
            "Use the version of downtime that rehearsed this set, or rehearse it again with this one.",
        )

    return stored_json.parse(RehearsalNote, text, SCHEMA, damaged, newer)
