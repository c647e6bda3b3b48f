"""Restores a backup set in rehearsal, for nothing else proves that it can be restored.

Each file is read back, checked and decrypted; dumps are restored into a PostgreSQL server and compared with what was
counted when they were made; Run:ai's objects are put before an API server in a dry run. The cluster that the set is of
is not touched, and neither is the set: what was found becomes a note beside it.

What speaks against the *set* is a FAILED line. What keeps the rehearsal from being made (no key, no programs, a full
disk, a store that is away) is an error, and nothing is noted: it says nothing about the set.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster import part_stream, rehearsed_databases, restorable
from cluster.api import Api
from cluster.backups import FileRefused, Store
from cluster.dry_apply import DryRun
from cluster.dump_listing import some
from cluster.errors import Blocked, DowntimeError, Misused
from cluster.manifest import Manifest, Part
from cluster.masking import Masker
from cluster.part_stream import DamagedError, WrongKeyError
from cluster.postgres_server import Server
from cluster.rehearsal_note import RehearsalNote, result_of
from cluster.verdict import Level, Line

HOURS = 6.0
_DOCUMENT_BYTES = 256 << 20
_NEW_SET = "Take a new backup set, and find out what damaged this one."
_OBJECTS = ("runaiconfig", "resources")
_DATABASES = ("database", "database-globals")

Tell = Callable[[Line], None]
ServerFor = Callable[[int], Any]
"""Gives a context manager of a ``Server`` for dumps of a major version (0: not known)."""


@dataclass(frozen=True)
class Means:
    """What a rehearsal is made with.

    Attributes:
        identities: private keys (``age_identity``); empty: only a set in the clear can be rehearsed.
        server: the server to restore into.
        api: the API server for the dry run; None: there is none.
        api_required: it was asked for, so that one that does not answer ends the rehearsal.
        masker: what it knows is in no line.
        by: who rehearses.
        seconds: for each single dump.
    """

    identities: Sequence[Any]
    server: ServerFor
    api: Api | None
    api_required: bool
    masker: Masker
    by: str
    seconds: float = HOURS * 3600
    scratch: Path | None = None


class Report:
    """The lines of a rehearsal, told as they come."""

    def __init__(self, masker: Masker, tell: Tell) -> None:
        self._masker, self._tell, self.lines = masker, tell, list[Line]()

    def add(self, level: Level, check: str, reason: str, remedy: str = "") -> None:
        """One more line; a FAILED one without a remedy asks for a new set."""
        remedy = remedy or (_NEW_SET if level == "FAILED" else "")
        line = Line(level=level, check=check, reason=self._masker.mask(reason), remedy=remedy)
        self.lines.append(line)
        self._tell(line)


def rehearse(store: Store, manifest: Manifest, means: Means, tell: Tell = lambda _: None) -> RehearsalNote:
    """Restore the set in rehearsal; what was found, to be noted.

    Raises:
        Blocked: the rehearsal could not be made: ``no-identity``, ``wrong-identity``, ``postgres-missing``,
            ``postgres-too-old``, ``scratch-server``, ``scratch-full``, ``rehearsal-timeout``, the store's errors.
    """
    began = datetime.now(UTC)
    require_identity(manifest, means.identities)
    report = Report(means.masker, tell)
    reader = PartReader(store, manifest.id, means.identities)
    bodies = {part.title: _document(reader, part, report) for part in manifest.parts if part.kind not in _DATABASES}
    _dry_run(bodies, means, report)
    rehearsed_databases.rehearse(manifest, reader, means.server, means.seconds, report.add)
    lines = tuple(report.lines)
    return RehearsalNote(
        set=manifest.id,
        began=began,
        finished=max(began, datetime.now(UTC)),
        by=means.by[:500],
        result=result_of(lines),
        lines=lines,
    )


def require_identity(manifest: Manifest, identities: Sequence[Any]) -> None:
    """Refuse an encrypted set where there is no private key.

    Raises:
        Blocked: ``no-identity``.
    """
    if not identities and any(part.encrypted for part in manifest.parts):
        raise Blocked(
            "no-identity",
            f"The set {manifest.id} is encrypted, and there is no private key to rehearse its restore with",
            "Let [recovery] identity name the private key of one of its recipients, on the machine that rehearses.",
        )


class PartReader:
    """Reads the parts of one set in the clear."""

    def __init__(self, store: Store, set_id: str, identities: Sequence[Any]) -> None:
        self._store, self._set_id, self._identities = store, set_id, identities

    def deliver(self, part: Part, take: part_stream.Take) -> None:
        """Give ``take`` all of it.

        Raises:
            DamagedError: it is not what the manifest says, or it is missing.
            Blocked: ``wrong-identity``: no key fits; the store's errors.
        """
        try:
            part_stream.deliver(self._store, self._set_id, part, self._identities, take)
        except FileRefused as error:
            raise DamagedError(error.message) from None
        except WrongKeyError:
            raise Blocked(
                "wrong-identity",
                f"The set {self._set_id} was not encrypted for the private key that is configured ({part.title})",
                "Let [recovery] identity name the private key of one of the recipients in its manifest.",
            ) from None

    def whole(self, part: Part) -> bytes:
        """All of a small one. Raises as ``deliver``, and DamagedError if it is larger than any document."""
        pieces: list[bytes] = []
        size = 0

        def take(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > _DOCUMENT_BYTES:
                raise DamagedError(f"it is larger than {_DOCUMENT_BYTES} bytes, which no such document is")
            pieces.append(data)

        self.deliver(part, take)
        return b"".join(pieces)


def _document(reader: PartReader, part: Part, report: Report) -> list[restorable.Object]:
    """Check a part that is no dump; the objects in it that an API server can judge."""
    if part.external is not None:
        report.add("WARN", part.title, f"is declared to be at {part.external.where}: it was not rehearsed")
        return []
    try:
        if part.kind == "metrics":
            report.add("PASS", part.title, f"read back whole: {_files(reader, part)} files")
            return []
        content = reader.whole(part)
        found = restorable.objects(content) if part.kind in _OBJECTS else []
        if not found and not _is_json(content):
            raise ValueError("it is not JSON")
    except (DamagedError, ValueError, tarfile.TarError) as error:
        report.add("FAILED", part.title, _reason(error))
        return []
    expected = part.contents.objects if part.contents is not None and part.kind in _OBJECTS else None
    if expected is not None and expected != len(found):
        report.add("FAILED", part.title, f"holds {len(found)} objects, not {expected}")
    elif part.kind in _OBJECTS:
        report.add("PASS", part.title, f"read back whole: {len(found)} objects")
    else:
        report.add("PASS", part.title, "read back whole")
    return found


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _reason(error: Exception) -> str:
    # What a JSON error says quotes nothing, but its position alone does not tell what is wrong.
    return f"it is not JSON ({error})" if isinstance(error, json.JSONDecodeError) else str(error)


def _files(reader: PartReader, part: Part) -> int:
    """How many files the tar in the part holds; it is read through, and never unpacked."""
    from cluster.tar_stream import TarCounter

    counter = TarCounter()
    reader.deliver(part, counter.feed)
    return counter.files()


def _dry_run(bodies: dict[str, list[restorable.Object]], means: Means, report: Report) -> None:
    asked = {title: found for title, found in bodies.items() if found}
    if not asked:
        return
    if means.api is None:
        report.add("WARN", "dry run", "Run:ai's objects were put before no API server", "Name one with --api.")
        return
    server = DryRun(means.api)
    for title, found in asked.items():
        try:
            answers = server.ask(found)
        except Misused:
            raise
        except DowntimeError as error:
            if means.api_required:
                raise
            remedy = "Name another API server with --api KUBECONFIG, or grant 'patch' on these objects."
            report.add("WARN", "dry run", f"{server.server} could not be asked: {error.message}", remedy)
            return
        _answered(f"{title} dry run", answers.accepted, answers.refused, answers.unknown, server.server, report)


def _answered(check: str, accepted: int, refused: list[str], unknown: list[str], server: str, report: Report) -> None:
    if refused:
        remedy = "See whether Run:ai on that server is of the version that the set is of."
        report.add("FAILED", check, f"{server} would refuse {len(refused)} of them: {some(refused)}", remedy)
    if unknown:
        remedy = "Name an API server that has Run:ai's kinds and namespaces with --api KUBECONFIG."
        report.add("WARN", check, f"{server} cannot judge {len(unknown)} of them: {some(unknown)}", remedy)
    if accepted and not refused:
        report.add("PASS", check, f"{server} would take {accepted} objects")


__all__ = ["HOURS", "Means", "PartReader", "Report", "Server", "rehearse", "require_identity"]
