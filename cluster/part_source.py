"""What a part of a backup set is taken from: the seam between those who read the cluster and the one who writes a set.

A source knows how to produce one file, in the clear and in order, as a stream; it knows nothing of stores, hashes or
encryption. The writer of the set gives it a sink, counts and hashes what passes, encrypts it and stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cluster.manifest import External


class Sink(Protocol):
    """Where a source writes: each call takes all of it, or raises what the store says; memory stays flat."""

    def write(self, data: bytes, /) -> int:
        """Take the next bytes."""
        ...


@dataclass(frozen=True)
class Produced:
    """What a source tells when all was written. The sizes and hashes are the writer's own.

    Attributes:
        began: the moment that the data is of; None: when the set began.
        database, objects, entries, tables, server_version, tool_version: see ``manifest.Contents``.
    """

    began: datetime | None = None
    database: str | None = None
    objects: int | None = None
    entries: int | None = None
    tables: dict[str, int] | None = None
    server_version: str | None = None
    tool_version: str | None = None


@dataclass(frozen=True)
class FileSource:
    """One file of the set to be.

    Attributes:
        kind, name: see ``manifest.Part``.
        path: relative to the set's folder, without the ending ``.age``.
        produce: writes the file's content and says what it was. It raises ``DowntimeError`` if any of it is missing;
            it may be called again from the beginning (with another sink) where it failed.
    """

    kind: str
    name: str
    path: str
    produce: Callable[[Sink], Produced]


@dataclass(frozen=True)
class DeclaredSource:
    """A backup that somebody else took, and that the set only names.

    Attributes:
        undo: removes what was made for this set alone, if the set is not to be.
        tidy: removes what earlier sets left, once this one is good; it is given what the sets that are kept declare.
    """

    kind: str
    name: str
    external: External
    undo: Callable[[], None] | None = None
    tidy: Callable[[Sequence[str]], None] | None = None


@dataclass(frozen=True)
class Gathered:
    """All that a set is to hold, as found in the cluster.

    Attributes:
        sources: in the order in which they are taken.
        versions: see ``manifest.Manifest``.
        warnings: what could not be saved and is not required, in sentences.
    """

    sources: tuple[FileSource | DeclaredSource, ...]
    versions: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
