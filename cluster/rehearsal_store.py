"""Writes the note of a rehearsal beside the set that it is of. Only ever adds one small file, under a name of its own."""

from __future__ import annotations

import secrets

from cluster.backups import Store
from cluster.errors import Blocked
from cluster.rehearsal_note import FOLDER, RehearsalNote, file_name


def write(store: Store, note: RehearsalNote) -> str:
    """Write the note; its path in the store.

    Raises:
        StoreError: it cannot be written, or the store failed.
        Blocked: ``set-gone``: the set was removed meanwhile (its retention is over): nothing is written.
    """
    # A note must not make a folder for a set that is no more.
    if not store.has_manifest(note.set):
        raise Blocked("set-gone", f"The set {note.set} is gone from the store: nothing was noted", "Rehearse a newer one.")
    name = file_name(note.finished, secrets.token_hex(3))
    text = note.model_dump_json(indent=2).encode() + b"\n"
    store.add_small(note.set, f"{FOLDER}/{name}", text)
    return f"{note.set}/{FOLDER}/{name}"
