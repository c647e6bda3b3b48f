"""The recovery gate as part of a procedure: judged once, before anything is changed, and kept in the record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cluster import gate
from cluster.api import Api
from cluster.backups import Store
from cluster.config import Settings
from cluster.errors import Blocked
from cluster.gate import Depth, GateSettings, Verdict
from cluster.reach import MASKER, secret_reader
from cluster.secret_refs import SecretRef, resolve
from cluster.step import Seen, Step

if TYPE_CHECKING:
    from cluster.downtime import Downtime

BACKEND = "/api/v1/namespaces/runai-backend"


def judge(api: Api, settings: Settings, depth: Depth) -> Verdict:
    """The verdict on the backup sets of this cluster.

    Args:
        depth: ``sizes`` for a plan; ``checksums`` reads every part back, before a run's first change.
    """
    self_hosted = api.get(BACKEND) is not None
    limits = GateSettings(cluster_uid=settings.cluster.uid, max_age=timedelta(hours=settings.recovery.max_age_hours))
    return gate.check(_store(api, settings), self_hosted=self_hosted, settings=limits, depth=depth)


def _store(api: Api, settings: Settings) -> Store | None:
    if not settings.recovery.store:
        return None
    return Store(settings.recovery.store, storage_options(api, settings))


def storage_options(api: Api, settings: Settings) -> dict[str, Any]:
    """fsspec's options of the configured store, with the secrets that they refer to.

    Raises:
        Misused: one cannot be read.
    """
    read = secret_reader(api)
    return {
        name: resolve(value, MASKER, read) if isinstance(value, SecretRef) else value
        for name, value in settings.recovery.storage_options.items()
    }


def summary(verdict: Verdict) -> str:
    """The verdict in a few words, for the record and the report."""
    about = f", set {verdict.set}" if verdict.set else ""
    return f"{verdict.verdict}{about}"


def _judged(downtime: Downtime) -> Seen:
    # Opening a downtime records the verdict with it; a record without one was made by other means.
    verdict = downtime.record.gate
    if verdict is None or verdict.blocks:
        raise Blocked(
            "recovery-gate",
            f"The record of {downtime.node} holds no verdict of the recovery gate that lets it go down",
            f"'downtime abort {downtime.node}', then start again.",
        )
    return Seen(summary(verdict))


RECOVERY_GATE = Step("recovery-gate", _judged, _judged)
