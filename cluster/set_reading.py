"""Looks at backup sets in a store, for the recovery check to judge. Nothing here judges, and nothing here writes.

Others write and remove sets meanwhile: what is gone when it is read is evidence like any other, never an error. Only
the store itself failing is one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster import dump_reading, rehearsal_note
from cluster.backups import DOCUMENT_BYTES, FileRefused, SetEntry, Store, StoreError
from cluster.dump_contents import DumpError
from cluster.encryption import HEADER_BYTES, MAGIC, stored_bytes
from cluster.evidence import GateSettings, Seen, SetEvidence
from cluster.manifest import Manifest, ManifestError, Part
from cluster.part_stream import DamagedError, WrongKeyError, deliver
from cluster.rehearsal_note import NoteError, RehearsalNote

# A rehearsal a day for a month; the newest ones tell how a set stands.
_NOTES_OF_A_SET = 5
_SETS_WITH_NOTES = 60
# More than are usually kept. A slow store is asked for the newest of them alone: what is compared is no more than a
# warning, and must not use up the time of the check.
_SETS_TO_COMPARE, _COMPARING_SECONDS = 40, 10.0


def look(store: Store, entry: SetEntry, end: float) -> SetEvidence:
    """What a folder of the store shows without reading its files back.

    Args:
        end: when it must be done, as ``time.monotonic()`` counts.

    Raises:
        StoreError: the store failed, or the time is over.
    """
    try:
        manifest = store.read_manifest(entry.id)
    except (ManifestError, FileRefused) as error:
        return SetEvidence(entry.id, entry.taken, problem=error, half_taken=error.code == "manifest-missing")
    files = {}
    for part in manifest.files:
        left(store, end)
        files[part.path or ""] = _see(store, entry.id, part)
    notes, problems = _notes(store, entry.id, end)
    return SetEvidence(entry.id, entry.taken, manifest, files=files, notes=notes, note_problems=problems)


def compared(
    store: Store, evidence: SetEvidence, older: Iterable[SetEntry], settings: GateSettings, now: datetime, end: float
) -> SetEvidence:
    """The same, with what earlier sets of its cluster tell: manifests, and the rehearsals of the one before it.

    Where a rehearsal is asked for, those of still earlier ones too, until one counts.

    Args:
        older: the folders that are listed after this one.
        now: the moment that a rehearsal's age counts from.
    """
    if evidence.manifest is None:
        return evidence
    earlier: list[Manifest] = []
    compares, until = True, time.monotonic() + _COMPARING_SECONDS
    notes = evidence.notes
    wanted = settings.rehearsal_max_age is not None and not _proven(notes, now, settings)
    for at, entry in enumerate(older):
        compares = compares and at < _SETS_TO_COMPARE
        if not compares and (not wanted or at >= _SETS_WITH_NOTES):
            break
        left(store, end)
        manifest = _earlier(store, entry, evidence.manifest)
        if manifest is None:
            continue
        if wanted or not earlier:
            notes = (*notes, *_notes(store, entry.id, end)[0])
            wanted = wanted and not _proven(notes, now, settings)
        if compares:
            earlier.append(manifest)
            # Those before one that was accepted are none to compare with any more.
            compares = not manifest.smaller_accepted_by and time.monotonic() < until
    return replace(evidence, earlier=tuple(earlier), notes=notes)


@dataclass(frozen=True)
class Tools:
    """What files are looked into with.

    Attributes:
        identities: private keys, to look into what is encrypted; none: what was noted when it was taken will count.
        postgres: the folder with PostgreSQL's programs; None: where they usually are.
    """

    identities: Sequence[Any] = ()
    postgres: Path | None = None


def read_back(store: Store, evidence: SetEvidence, end: float, tools: Tools) -> SetEvidence:
    """The same, with every file read: its checksum, and what a dump or the runaiconfig holds."""
    files = dict(evidence.files)
    for part in evidence.manifest.files if evidence.manifest else ():
        path = part.path or ""
        try:
            files[path] = _read_part(store, evidence.id, part, files[path], end, tools)
        except FileRefused as error:
            files[path] = Seen(problem=error.message)
    return replace(evidence, files=files)


def left(store: Store, end: float) -> float:
    """Seconds until the end.

    Raises:
        StoreError: ``store-slow``: it has come.
    """
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise StoreError(
            "store-slow",
            f"the backup store {store.name} was not read in time",
            "See that the store is fast enough for its backup sets, then run again.",
        )
    return seconds


def _see(store: Store, set_id: str, part: Part) -> Seen:
    try:
        size = store.size(set_id, part)
        readable = part.kind == "runaiconfig" and not part.encrypted and size <= DOCUMENT_BYTES
        return Seen(size, content=store.read(set_id, part.path or "") if readable else None)
    except FileRefused as error:
        return Seen(problem=error.message)


def _read_part(store: Store, set_id: str, part: Part, seen: Seen, end: float, tools: Tools) -> Seen:
    opens = bool(tools.identities) or not part.encrypted
    dump_problem: DumpError | None = None
    if part.kind == "database" and opens:
        try:
            listed, dump_problem = dump_reading.look_into(
                store, set_id, part, tools.identities, tools.postgres, lambda: left(store, end)
            )
            # All of it passed, and was compared with the manifest.
            is_age = True if part.encrypted else None
            return replace(seen, sha256=part.sha256, is_age=is_age, dump=listed, dump_problem=dump_problem)
        except DumpError as error:
            dump_problem = error
        except DamagedError as error:
            dump_problem = dump_reading.unreadable(str(error))
        except WrongKeyError:
            opens = False
    seen = replace(seen, sha256=store.checksum(set_id, part, left(store, end)))
    if seen.sha256 != part.sha256:
        return seen
    if part.encrypted:
        with store.opened(set_id, part.path or "") as file:
            beginning = file.read(HEADER_BYTES)
        clear = part.contents.bytes if part.contents is not None else None
        implied = stored_bytes(beginning, clear) if clear is not None else None
        seen = replace(seen, is_age=beginning.startswith(MAGIC), implied=implied)
    if part.kind == "runaiconfig" and part.encrypted and opens and (part.bytes or 0) <= DOCUMENT_BYTES:
        return replace(seen, content=_opened_up(store, set_id, part, tools.identities))
    return replace(seen, dump_problem=dump_problem if seen.is_age is not False else None)


def _opened_up(store: Store, set_id: str, part: Part, identities: Sequence[Any]) -> bytes | None:
    pieces: list[bytes] = []
    try:
        deliver(store, set_id, part, identities, pieces.append)
    except WrongKeyError:
        return None
    except DamagedError:
        return b""
    return b"".join(pieces)


def _earlier(store: Store, entry: SetEntry, than: Manifest) -> Manifest | None:
    """The manifest of a set, if it is an earlier one of the same cluster."""
    try:
        manifest = store.read_manifest(entry.id)
    except (ManifestError, FileRefused):
        return None
    return manifest if manifest.cluster_uid == than.cluster_uid and manifest.began < than.began else None


def _notes(store: Store, set_id: str, end: float) -> tuple[tuple[RehearsalNote, ...], tuple[str, ...]]:
    notes: list[RehearsalNote] = []
    problems: list[str] = []
    try:
        names = sorted(
            (name for name in store.names(set_id, rehearsal_note.FOLDER) if rehearsal_note.is_file_name(name)),
            reverse=True,
        )
    except FileRefused as error:
        return (), (error.message,)
    for name in names[:_NOTES_OF_A_SET]:
        left(store, end)
        path = f"{rehearsal_note.FOLDER}/{name}"
        try:
            note = rehearsal_note.parse(store.read(set_id, path), f"{set_id}/{path}")
        except (FileRefused, NoteError) as error:
            problems.append(error.message)
            continue
        if note.set == set_id:
            notes.append(note)
        else:
            problems.append(f"{set_id}/{path} is of the set {note.set}")
    return tuple(notes), tuple(problems)


def _proven(notes: Iterable[RehearsalNote], now: datetime, settings: GateSettings) -> bool:
    """Whether one of them will count: it passed, neither too long ago nor in the future."""
    limit = settings.rehearsal_max_age
    return any(
        note.passed and (limit is None or now - note.finished <= limit) and note.finished - now <= settings.clock_skew
        for note in notes
    )
