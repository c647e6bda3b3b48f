"""What is made in the cluster for a backup set, snapshots of volumes: removed if the set is not to be, or is gone."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.backups import FileRefused, Store
from cluster.errors import DowntimeError
from cluster.manifest import ManifestError
from cluster.part_source import DeclaredSource, FileSource


def undo(sources: Iterable[FileSource | DeclaredSource]) -> list[str]:
    """Remove the snapshots that were made for a set that is not to be; what could not be removed, in sentences."""
    failed = []
    for one in sources:
        if isinstance(one, DeclaredSource) and one.undo is not None:
            try:
                one.undo()
            except DowntimeError as error:
                failed.append(f"{one.external.where} is left over: {error.message}")
    return failed


def tidy(store: Store, sources: Iterable[FileSource | DeclaredSource]) -> list[str]:
    """Remove what no set in the store names any more; what could not be done, in sentences.

    To be called once the new set is good, and older ones were removed.
    """
    found = [one.tidy for one in sources if isinstance(one, DeclaredSource) and one.tidy is not None]
    if not found:
        return []
    try:
        kept = declared(store)
        for each in found:
            each(kept)
    except DowntimeError as error:
        return [f"older snapshots were not removed: {error.message}"]
    return []


def declared(store: Store) -> list[str]:
    """Where the external backups are that the sets of a store declare.

    Raises:
        DowntimeError: a set cannot be read, so that nobody knows what it names.
    """
    kept = []
    for entry in store.sets():
        try:
            manifest = store.read_manifest(entry.id)
        except (ManifestError, FileRefused) as error:
            if error.code == "manifest-missing":
                continue
            raise
        kept += [part.external.where for part in manifest.parts if part.external is not None]
    return kept
