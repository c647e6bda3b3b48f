"""Gathers what a restore plan is made of: manifest, where the set and its key are, and the values if they can be read.

The cluster that the set is of may be lost: only the store is needed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from cluster import restore_plan
from cluster.age_identity import identities
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.manifest import Manifest
from cluster.part_stream import DamagedError, WrongKeyError
from cluster.reach import MASKER
from cluster.rehearsal import PartReader
from cluster.rehearsing import chosen, store_of
from cluster.restore_commands import Database, database_of
from cluster.restore_plan import RestorePlan
from cluster.secret_refs import resolve
from cluster.store_writing import WritableStore


def make(settings: Settings, set_id: str) -> RestorePlan:
    """The plan for a set; for the newest, where none is named.

    Raises:
        Misused: no store is configured.
        Blocked: there is no such set, its manifest cannot be used, or the store is away.
    """
    store = store_of(settings, None)
    manifest = chosen(store, set_id)
    identity = settings.recovery.identity
    key = str(identity.file) if identity is not None and identity.file is not None else ""
    plan = restore_plan.make(
        manifest,
        settings.recovery.store,
        key,
        _database(settings, store, manifest),
        settings.recovery.storage_options,
    )
    if identity is not None and identity.secret is not None:
        lost = f"The private key is configured as {identity}: that is lost with its cluster. Keep it elsewhere too."
        return plan.model_copy(update={"warnings": (*plan.warnings, lost)})
    return plan


def _database(settings: Settings, store: WritableStore, manifest: Manifest) -> Database | None:
    """Where the database is, by the saved values; None: they cannot be read here, for want of a key perhaps."""
    part = next((one for one in manifest.files if (one.kind, one.name) == ("helm-values", "runai-backend")), None)
    if part is None:
        return None
    with suppress(DowntimeError, DamagedError, WrongKeyError, ValueError):
        keys: list[Any] = []
        if part.encrypted and settings.recovery.identity is not None:
            keys = identities(resolve(settings.recovery.identity, MASKER, None))
        if not part.encrypted or keys:
            values = json.loads(PartReader(store, manifest.id, keys).whole(part))
            return database_of(values) if isinstance(values, dict) else None
    return None
