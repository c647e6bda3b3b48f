"""What a backup set says about itself: the models of ``manifest.json``, schemas 1 and 2, and its parser.

A set is a folder ``STORE/SETID/`` with the part files and, written last, ``manifest.json``; so a folder without one was
not finished. The manifest is read from a store that others can write to: it is validated wholly before anything in it
is believed, and a path in it can never lead out of the set's folder.

Schema 2 is what ``downtime backup`` writes: files may be encrypted (``bytes`` and ``sha256`` are those of the file as
it lies in the store), and a part tells what its taker saw in it before it was. Schema 1 has neither, and is still read.

Compatibility: see ``stored_json``.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from cluster import stored_json
from cluster.errors import Blocked

SCHEMA = 2
FILE_NAME = "manifest.json"
WHERE_LENGTH, BY_LENGTH = 500, 500

# One folder name: nothing hidden, nothing that a path or a URL gives a meaning to.
_SET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$"


class ManifestError(Blocked):
    """A manifest that cannot be used: ``manifest-missing``, ``manifest-damaged`` or ``manifest-newer``."""


def is_set_id(text: str) -> bool:
    """Whether the text can be the id of a set, that is one plain folder name."""
    return _SET_ID.fullmatch(text) is not None


def inner_path(text: str) -> str:
    """The text, if it is a relative path that stays inside the folder it is joined to; else ``ValueError``."""
    segments = text.split("/")
    if not text.isprintable() or "\\" in text or any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(f"{text[:80]!r} leaves the set's folder, or is not a plain relative path")
    if text == FILE_NAME:
        raise ValueError("the manifest cannot be a part of itself")
    return text


def _one_line(text: str) -> str:
    # It is put into commands and comments for a shell, where a line break would begin a command of its own.
    if not text.isprintable():
        raise ValueError("it holds a line break, or another character that cannot be printed")
    return text


class _Said(BaseModel):
    # What a manifest says is not changed after it was read.
    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class External(_Said):
    """A backup that somebody else takes, and that this set only declares: where it is, and when it was taken."""

    where: str = Field(min_length=1, max_length=WHERE_LENGTH)
    taken: AwareDatetime


class Contents(_Said):
    """What the taker of a part saw in it, in the clear: all that can be known of an encrypted file without the key.

    Attributes:
        bytes: size in the clear.
        sha256: of what is in the clear, 64 hex digits.
        database: the own name of a dumped database; absent: it is that of the part (or, before it was noted, unknown).
        objects: how many whole Kubernetes objects a document holds.
        entries: entries in a dump's table of contents, as pg_restore lists it; None: it was not read.
        tables: rows of each table (``schema.table``), counted in the snapshot that the dump was made in.
        server_version: of the PostgreSQL server (``15.14``).
        tool_version: of the pg_dump that made it.
    """

    bytes: int = Field(ge=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    database: str | None = Field(default=None, min_length=1, max_length=100)
    objects: int | None = Field(default=None, ge=0)
    entries: int | None = Field(default=None, ge=0)
    tables: dict[str, int] | None = None
    server_version: str | None = Field(default=None, max_length=100)
    tool_version: str | None = Field(default=None, max_length=100)


class Part(_Said):
    """One part: a file of the set (``path``, ``bytes``, ``sha256``), or a declared ``external`` backup.

    Attributes:
        kind: ``runaiconfig``, ``database``, ``database-globals``, ``helm-values``, ``metrics``, ``nodes``,
            ``resources`` (projects, queues, node pools, access rules); others are kept and checked, not required.
        name: which one of its kind: a database, a Helm release, a plural of custom resources.
        path: relative to the set's folder.
        bytes: the file's size.
        sha256: 64 hex digits.
        began: when its dump began; absent: when the set began.
        encrypted: the file is an age file.
        contents: what was seen in it when it was taken; absent in schema 1.
    """

    kind: str = Field(pattern=_WORD)
    name: str = Field(pattern=_WORD)
    path: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(inner_path)] | None = None
    bytes: int | None = Field(default=None, ge=0)
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)] | None = None
    began: AwareDatetime | None = None
    external: External | None = None
    encrypted: bool = False
    contents: Contents | None = None

    @property
    def title(self) -> str:
        """How a message calls it: ``database/backend``."""
        return f"{self.kind}/{self.name}"

    @model_validator(mode="after")
    def _is_a_file_or_external(self) -> Self:
        if (self.path is None) == (self.external is None):
            raise ValueError("a part has either a path or an external backup")
        if self.path is not None and (self.bytes is None or self.sha256 is None):
            raise ValueError("a part with a path has bytes and sha256")
        return self


class Manifest(_Said):
    """A backup set, as its writer described it. ``model_dump_json(exclude_none=True)`` gives what is stored.

    Attributes:
        schema_version: ``schema`` in the file.
        id: the name of the set's folder.
        cluster_uid: uid of the namespace kube-system of the cluster that the set is of.
        began: when the taking of the set began.
        finished: when it ended; the age of a set is never counted from here.
        by: who or what took it.
        versions: of what was saved and of what saved it: ``kubernetes``, ``downtime``, a chart by its release's name.
        recipients: the age public keys that it is encrypted for; empty: it is in the clear.
        smaller_accepted_by: who said, when it was taken, that it may be smaller than earlier ones; empty: nobody.
    """

    schema_version: Literal[1, 2] = Field(alias="schema")
    id: str = Field(pattern=f"^{_SET_ID.pattern}$")
    cluster_uid: Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_one_line)]
    began: AwareDatetime
    finished: AwareDatetime
    by: str = Field(default="", max_length=BY_LENGTH)
    versions: dict[str, str] = {}
    recipients: tuple[Annotated[str, Field(min_length=1, max_length=5000), AfterValidator(_one_line)], ...] = ()
    smaller_accepted_by: str = Field(default="", max_length=BY_LENGTH)
    parts: tuple[Part, ...]

    @property
    def files(self) -> tuple[Part, ...]:
        """The parts that are files of the set."""
        return tuple(part for part in self.parts if part.path is not None)

    @property
    def oldest(self) -> datetime:
        """When the oldest data of the set was read: its beginning, or a part's, whichever is earlier.

        A dump holds what was there when it *began*: what came later is lost in a restore.
        """
        return min([self.began, *(part.began for part in self.parts if part.began is not None)])

    @property
    def latest(self) -> datetime:
        """The latest moment that the manifest names (a future one tells of a wrong clock, or of a forgery)."""
        inner = [part.began for part in self.parts if part.began is not None]
        taken = [part.external.taken for part in self.parts if part.external is not None]
        return max([self.began, self.finished, *inner, *taken])

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.finished < self.began:
            raise ValueError("the set finished before it began")
        for what, values in (
            ("part", [part.title for part in self.parts]),
            ("path", [part.path or "" for part in self.files]),
        ):
            doubles = [value for value, times in Counter(values).items() if times > 1]
            if doubles:
                raise ValueError(f"the {what} {doubles[0]} is there twice")
        return self


def parse(text: bytes, where: str) -> Manifest:
    """The manifest in the bytes of the file ``where`` (for the messages).

    Raises:
        ManifestError: ``manifest-damaged`` (not JSON, or not what schema 1 says), or ``manifest-newer``.
    """

    def newer(schema: int) -> ManifestError:
        return ManifestError(
            "manifest-newer",
            f"{where} has schema {schema}, newer than {SCHEMA}, the newest that this version knows",
            "Judge this backup set with the version of downtime that took it, or a later one.",
        )

    return stored_json.parse(Manifest, text, SCHEMA, lambda reason: damaged(where, reason), newer)


def damaged(where: str, reason: str) -> ManifestError:
    """The error for a manifest that does not hold what it should."""
    return ManifestError(
        "manifest-damaged",
        f"{where} is damaged: {reason}",
        "Take a new backup set, and find out what damaged this one.",
    )
