"""Writes the note of a rehearsal beside the set that it is of: one small file more, under a name of its own."""

from __future__ import annotations

import secrets

from cluster.encryption import Recipients
from cluster.errors import Blocked, DowntimeError
from cluster.rehearsal_note import FOLDER, RehearsalNote, file_name
from cluster.store_writing import WritableStore


def write(store: WritableStore, note: RehearsalNote) -> str:
    """Write the note; its path in the store. It holds no secret, and is not encrypted: the gate reads it without a key.

    Raises:
        Blocked: ``note-not-written``: the store refuses; ``set-gone``: the set was removed meanwhile.
    """
    path = f"{FOLDER}/{file_name(note.finished, secrets.token_hex(3))}"
    try:
        # A note must not make a folder for a set that is no more.
        if not store.has_manifest(note.set):
            raise Blocked("set-gone", f"The set {note.set} is gone from the store", "Rehearse a newer one.")
        outgoing = store.outgoing(note.set, path, Recipients())
        try:
            outgoing.write(note.model_dump_json(indent=2).encode() + b"\n")
            outgoing.finish()
        except BaseException as error:
            outgoing.abandon()
            if outgoing.failure is not None and isinstance(error, Exception):
                raise outgoing.failure from None
            raise
    except DowntimeError as error:
        if error.code == "set-gone":
            raise
        raise Blocked(
            "note-not-written",
            f"The rehearsal of {note.set} could not be noted: {error.message}",
            f"{error.remedy} Then rehearse again: what is not noted does not count.",
        ) from None
    return f"{note.set}/{path}"
