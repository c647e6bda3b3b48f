"""What the recovery check is told, and what it is shown of the sets in the store, before it judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from cluster.dump_contents import DumpContents
from cluster.errors import DowntimeError
from cluster.manifest import Manifest
from cluster.rehearsal_note import RehearsalNote

Depth = Literal["sizes", "checksums"]


@dataclass(frozen=True)
class GateSettings:
    """What the gate is told.

    Attributes:
        cluster_uid: uid of the namespace kube-system of the cluster that is about to change.
        max_age: how old the oldest dump of a set may be.
        clock_skew: how far in the future a time in a manifest may be, for clocks that differ a little.
        allow_plaintext: sets in the clear are wanted so.
        rehearsal_max_age: how long ago a set must have been restored in rehearsal; None: it is not asked for.
    """

    cluster_uid: str
    max_age: timedelta = timedelta(hours=30)
    clock_skew: timedelta = timedelta(minutes=5)
    allow_plaintext: bool = False
    rehearsal_max_age: timedelta | None = None


@dataclass(frozen=True)
class Seen:
    """What the store showed of one file.

    Attributes:
        size: in bytes; None: not looked at.
        sha256: of the file as it lies there; None: not read back.
        content: of a small document, in the clear; None: not read, or encrypted and no key here.
        problem: why the file could not be seen.
        is_age: whether it begins as age files do; None: not looked at.
        implied: how large the age file must be, by its header and what was written into it; None: not known.
        dump: a dump's table of contents; None: not read, or encrypted and no key here.
        dump_problem: why that could not be read.
    """

    size: int | None = None
    sha256: str | None = None
    content: bytes | None = None
    problem: str = ""
    is_age: bool | None = None
    implied: int | None = None
    dump: DumpContents | None = None
    dump_problem: DowntimeError | None = None


@dataclass(frozen=True)
class SetEvidence:
    """What was gathered about one folder of the store.

    Attributes:
        id: the folder's name.
        taken: the moment that the name tells.
        manifest: the manifest, if it could be read.
        problem: why it could not.
        half_taken: there is no manifest at all: not a set.
        files: what was seen of each part's file, by its path.
        earlier: manifests of sets of its cluster before it, the newest first, for comparison.
        notes: of rehearsals of this set, and of earlier ones where they matter.
        note_problems: notes that cannot be used, in sentences.
    """

    id: str
    taken: datetime | None = None
    manifest: Manifest | None = None
    problem: DowntimeError | None = None
    half_taken: bool = False
    files: Mapping[str, Seen] = field(default_factory=dict)
    earlier: tuple[Manifest, ...] = ()
    notes: tuple[RehearsalNote, ...] = ()
    note_problems: tuple[str, ...] = ()
