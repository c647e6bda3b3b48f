"""The recovery gate as part of a procedure: judged once, before anything is changed, and kept in the record."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cluster import gate
from cluster.age_identity import identities
from cluster.api import Api
from cluster.backups import Store
from cluster.check_lines import warning
from cluster.config import Settings
from cluster.errors import Blocked, DowntimeError
from cluster.evidence import Depth, GateSettings
from cluster.reach import MASKER, secret_reader
from cluster.secret_refs import SecretRef, resolve
from cluster.set_reading import Tools
from cluster.step import Seen, Step
from cluster.verdict import Line, Verdict

if TYPE_CHECKING:
    from cluster.downtime import Downtime

BACKEND = "/api/v1/namespaces/runai-backend"


def judge(api: Api, settings: Settings, depth: Depth) -> Verdict:
    """The verdict on the backup sets of this cluster.

    Args:
        depth: ``sizes`` for a plan; ``checksums`` reads every part back, before a run's first change.
    """
    self_hosted = api.get(BACKEND) is not None
    keys, unread = _identities(api, settings) if depth == "checksums" and self_hosted else ([], [])
    verdict = gate.check(
        _store(api, settings),
        self_hosted=self_hosted,
        settings=limits(settings),
        depth=depth,
        tools=Tools(keys, settings.recovery.postgres),
    )
    return verdict.model_copy(update={"lines": (*verdict.lines, *unread)})


def limits(settings: Settings) -> GateSettings:
    """What the gate is told by the configuration."""
    found = settings.recovery
    days = found.rehearsal_max_age_days
    return GateSettings(
        cluster_uid=settings.cluster.uid,
        max_age=timedelta(hours=found.max_age_hours),
        allow_plaintext=found.allow_plaintext,
        rehearsal_max_age=timedelta(days=days) if days is not None else None,
    )


def refusal(verdict: Verdict) -> Blocked | None:
    """The error that says why the check failed; None: it did not."""
    if not verdict.blocks:
        return None
    remedies = dict.fromkeys(line.remedy for line in verdict.failed if line.remedy)
    return Blocked("recovery-check", verdict.blocker_message(), " ".join(remedies))


def _identities(api: Api, settings: Settings) -> tuple[list[Any], list[Line]]:
    """The private keys, if any are configured. The check does without them; but then it says so."""
    if settings.recovery.identity is None:
        return [], []
    try:
        return identities(resolve(settings.recovery.identity, MASKER, secret_reader(api))), []
    except DowntimeError as error:
        return [], [warning("identity", f"encrypted files were not looked into: {error.message}", error.remedy)]


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
