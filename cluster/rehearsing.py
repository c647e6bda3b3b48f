"""A rehearsal as it is asked for: which set, with which key, on which server, before which API server; and its note."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from cluster import api as apis
from cluster import given_postgres, rehearsal, rehearsal_store
from cluster.age_identity import identities
from cluster.api import Api
from cluster.config import Settings
from cluster.downtime import who
from cluster.errors import Blocked, DowntimeError, Misused
from cluster.manifest import Manifest, ManifestError
from cluster.postgres_programs import SERVER, find
from cluster.postgres_server import Server
from cluster.reach import MASKER, secret_reader
from cluster.recovery import storage_options
from cluster.rehearsal import Means, Tell
from cluster.rehearsal_note import RehearsalNote
from cluster.scratch_postgres import scratch_server
from cluster.secret_refs import ReadSecret, SecretRef, resolve
from cluster.store_writing import WritableStore
from cluster.verdict import Line


@dataclass(frozen=True)
class Asked:
    """What a person asked for.

    Attributes:
        set: an id; empty: the newest set that has a manifest.
        server: a reference to the URL of a PostgreSQL server; empty: one of the rehearsal's own.
        api: a kubeconfig for the dry run; None: the configured cluster, if it answers.
        hours: for each dump.
        by: who wants it; empty: whoever runs this process.
    """

    set: str = ""
    server: str = ""
    api: Path | None = None
    hours: float = rehearsal.HOURS
    by: str = ""


class RehearsalReport(RehearsalNote):
    """What the command prints: the note, and where it lies in the store (empty: it could not be written)."""

    noted: str = Field(default="", description="Where the note lies in the store; empty: it could not be written.")


def run(settings: Settings, asked: Asked, tell: Tell = lambda _: None) -> RehearsalReport:
    """Rehearse the restore of a set, and note what was found.

    Raises:
        Misused: wrong usage or configuration.
        Blocked: it could not be made: no such set, no key, no programs, …; the set's note is then as before.
    """
    where = given_postgres.reference(asked.server) if asked.server else None
    cluster = _cluster(settings)
    store = store_of(settings, cluster)
    manifest = chosen(store, asked.set)
    _require_own(manifest, settings)
    keys = _keys(settings, manifest, _reader(cluster))
    means = Means(
        identities=keys,
        server=_servers(settings, where, _reader(cluster)),
        api=_dry_api(settings, asked.api) if asked.api is not None else cluster,
        api_required=asked.api is not None,
        masker=MASKER,
        by=asked.by or who(),
        seconds=asked.hours * 3600,
    )
    note = rehearsal.rehearse(store, manifest, means, tell)
    try:
        return RehearsalReport(**_fields(note), noted=rehearsal_store.write(store, note))
    except DowntimeError as error:
        # What was found is told all the same; but a rehearsal that nobody can read of later does not count.
        line = Line(level="FAILED", check="note", reason=error.message, remedy=error.remedy)
        tell(line)
        return RehearsalReport(**{**_fields(note), "result": "FAILED", "lines": (*note.lines, line)})


def refusal(note: RehearsalNote) -> Blocked | None:
    """The error that says why the set could not be restored; None: it could."""
    bad = [line for line in note.lines if line.level == "FAILED"]
    if note.passed or not bad:
        return None
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return Blocked(
        "rehearsal-failed",
        f"The set {note.set} could not be restored as it should be: {bad[0].check}: {bad[0].reason}{more}",
        " ".join(dict.fromkeys(line.remedy for line in bad if line.remedy)),
    )


def store_of(settings: Settings, cluster: Api | None) -> WritableStore:
    """The configured store.

    Raises:
        Misused: there is none, or its secrets cannot be read.
    """
    if not settings.recovery.store:
        raise Misused(
            "no-store", "There is no store of backup sets: [recovery] store is not set", "Set it to a folder or a URL."
        )
    if cluster is None:
        options: dict[str, Any] = {}
        for name, value in settings.recovery.storage_options.items():
            options[name] = resolve(value, MASKER, None) if isinstance(value, SecretRef) else value
        return WritableStore(settings.recovery.store, options)
    return WritableStore(settings.recovery.store, storage_options(cluster, settings))


def chosen(store: WritableStore, set_id: str) -> Manifest:
    """The manifest of the set that was asked for; of the newest that has one, where none was.

    Raises:
        Blocked: there is no such set; ManifestError: its manifest cannot be used.
    """
    if set_id:
        return store.read_manifest(set_id)
    for entry in store.sets():
        try:
            return store.read_manifest(entry.id)
        except ManifestError as error:
            # A folder without one was not finished. A damaged one is told: the newest set cannot be restored.
            if error.code != "manifest-missing":
                raise
    raise Blocked("no-set", f"There is no backup set in {store.name}", "Take one: 'downtime backup'.")


def _require_own(manifest: Manifest, settings: Settings) -> None:
    if manifest.cluster_uid != settings.cluster.uid:
        raise Blocked(
            "other-cluster",
            f"The set {manifest.id} is of the cluster {manifest.cluster_uid}, not of {settings.cluster.uid}",
            "Use the configuration of that cluster, or another store.",
        )


def _keys(settings: Settings, manifest: Manifest, read: ReadSecret | None) -> list[Any]:
    if not any(part.encrypted for part in manifest.parts):
        return []
    if settings.recovery.identity is None:
        rehearsal.require_identity(manifest, [])
        return []
    return identities(resolve(settings.recovery.identity, MASKER, read))


def _cluster(settings: Settings) -> Api | None:
    """A session with the configured cluster; None: there is no usable kubeconfig. A rehearsal needs none."""
    try:
        return apis.connect(settings.cluster, patience=0)
    except Misused:
        return None


def _dry_api(settings: Settings, kubeconfig: Path) -> Api:
    elsewhere = settings.cluster.model_copy(update={"kubeconfig": kubeconfig.expanduser().absolute(), "context": ""})
    return apis.connect(elsewhere, patience=5)


def _reader(cluster: Api | None) -> ReadSecret | None:
    return secret_reader(cluster) if cluster is not None else None


def _servers(settings: Settings, where: SecretRef | None, read: ReadSecret | None) -> Callable[[int], Any]:
    folder = settings.recovery.postgres

    @contextmanager
    def server(major: int) -> Iterator[Server]:
        if where is not None:
            yield given_postgres.given_server(where, MASKER, read, folder, major)
            return
        with scratch_server(find(SERVER, major, folder)) as scratch:
            yield scratch

    return server


def _fields(note: RehearsalNote) -> dict[str, Any]:
    return {name: getattr(note, name) for name in RehearsalNote.model_fields}
