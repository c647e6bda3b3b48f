"""Taking a backup set: gathered from the cluster, written, read back, and only then older ones removed.

One at a time in a cluster, by a Lease. Whatever happens before the manifest is written leaves no set, and the earlier
ones untouched; what was written of it is removed, and where that cannot be, it is named. A process that is killed
leaves a folder without a manifest: the gate names it, and a later backup removes it after two days.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata

from cluster import gate, keeping, made_for_a_set, recovery
from cluster.api import Api
from cluster.backup_report import BackupReport, TakenPart
from cluster.config import RecoverySettings, Settings
from cluster.downtime import Say, require_cluster, silent
from cluster.encryption import Recipients
from cluster.errors import Blocked, DowntimeError, Failed, LockLost, Misused
from cluster.lock import Lock, Purpose
from cluster.manifest import BY_LENGTH, Manifest, Part
from cluster.part_source import DeclaredSource, FileSource, Gathered
from cluster.reach import MASKER
from cluster.set_writer import SetWriter, new_set, refused_plaintext, remove_half
from cluster.showing_sizes import size
from cluster.store_writing import WritableStore
from cluster.verdict import Verdict

Gather = Callable[[Api, Settings], Gathered]
"""Finds in the cluster what a set is to hold: ``gathering.gather``."""

LEASE = "recovery-backup"
PURPOSE = Purpose(
    LEASE,
    "is taking a backup",
    "Wait until it has ended. A backup that died gives way after the lease's duration.",
    "Take the backup again.",
)
# How long a lock that ran out while the API server was away may take to be renewed, after hours of work.
RENEWAL_SECONDS = 120.0
_TELL_SECONDS = 10.0
# What these checks refuse is damaged: it must not be taken for a set. Others say what the set lacks.
_DAMAGE = ("manifest", "size", "checksum", "contents", "cluster")


def take(
    api: Api,
    settings: Settings,
    gather: Gather,
    *,
    by: str,
    accept_smaller: bool = False,
    say: Say = silent,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> BackupReport:
    """Take a backup set of the cluster.

    Args:
        gather: finds what there is to save.
        by: who wants it; kept in the manifest, where it is cut if it is too long.
        accept_smaller: a person says that it may be much smaller than earlier ones; for a schedule never.
        say: is told how far it is.
        clock: the time.

    Raises:
        Misused: wrong cluster, no store configured, a key that is none.
        Blocked: nothing to save here, another backup under way, secrets would be written in the clear, or (as
            ``StoreError``) the store cannot be used.
        Failed: a part could not be read, or the set is not good when it is read back.
    """
    try:
        return _take(api, settings, gather, _Asked(by[:BY_LENGTH], accept_smaller), _masked(say), clock)
    except DowntimeError as error:
        # Parts come from the whole cluster, and their errors with texts of many programs.
        error.message, error.remedy = MASKER.mask(error.message), MASKER.mask(error.remedy)
        error.args = (error.message,)
        raise


def _take(
    api: Api, settings: Settings, gather: Gather, asked: _Asked, say: Say, clock: Callable[[], datetime]
) -> BackupReport:
    uid = require_cluster(api, settings)
    recipients = Recipients(settings.recovery.recipients)
    if not recipients and not settings.recovery.allow_plaintext:
        raise refused_plaintext()
    store = _store(api, settings)
    store.ids()
    if api.get(recovery.BACKEND) is None:
        raise Blocked(
            "not-self-hosted",
            "There is no namespace runai-backend: the control plane is not on this cluster (SaaS), nothing to save",
            "Take backups where the control plane is.",
        )
    lock = Lock(api, LEASE, settings.cluster.lock_seconds, purpose=PURPOSE)
    lock.acquire()
    try:
        # Before anything is read: a set is as old as what was read first.
        began = clock().replace(microsecond=0)
        gathered = _gathered(api, settings, gather, say)
        draft = _Draft(uid, asked, began, gathered)
        manifest, verdict = _finished(store, settings, draft, recipients, say, clock, lock)
        removed, failed = _pruned(api, store, settings.recovery, uid, lock, clock, gathered.sources)
    finally:
        lock.release()
    for set_id in removed:
        say("retention", f"removed the old set {set_id}")
    warnings = [MASKER.mask(text) for text in (*gathered.warnings, *failed)]
    return _report(store, manifest, verdict, warnings, removed)


def _finished(
    store: WritableStore,
    settings: Settings,
    draft: _Draft,
    recipients: Recipients,
    say: Say,
    clock: Callable[[], datetime],
    lock: Lock,
) -> tuple[Manifest, Verdict]:
    """The set, written and found good. Where none is left in the store, nothing that was made for it is either."""
    manifest = None
    try:
        manifest = _written(store, draft, recipients, say, clock, lock)
        say("check", "reading everything back")
        return manifest, _judged(store, settings, manifest, draft.cluster_uid, clock)
    except BaseException as error:
        # One that lacks something stays, and what it names with it.
        if manifest is None or (isinstance(error, DowntimeError) and not error.changed):
            for text in made_for_a_set.undo(draft.gathered.sources):
                say("gather", f"WARN {text}")
        raise


def _store(api: Api, settings: Settings) -> WritableStore:
    if not settings.recovery.store:
        raise Misused(
            "no-store",
            "There is no store to take a backup into: [recovery] store is not set",
            "Set it to a folder or a URL, on another machine than those of the cluster.",
        )
    return WritableStore(settings.recovery.store, recovery.storage_options(api, settings))


def _gathered(api: Api, settings: Settings, gather: Gather, say: Say) -> Gathered:
    say("gather", "looking at what there is to save")
    gathered = gather(api, settings)
    for warning in gathered.warnings:
        say("gather", f"WARN {warning}")
    return gathered


@dataclass(frozen=True)
class _Asked:
    """Who wants a set, and whether it may be smaller than earlier ones."""

    by: str
    accept_smaller: bool


@dataclass(frozen=True)
class _Draft:
    """What is known of a set before it is written."""

    cluster_uid: str
    asked: _Asked
    began: datetime
    gathered: Gathered


def _written(
    store: WritableStore, draft: _Draft, recipients: Recipients, say: Say, clock: Callable[[], datetime], lock: Lock
) -> Manifest:
    """The set, finished in the store; else its folder is removed again."""
    set_id = new_set(store, draft.began)
    try:
        say("set", f"{set_id} in {store.name}")
        parts = _parts(SetWriter(store, set_id, recipients), draft.gathered, say, lock)
        manifest = Manifest(
            schema_version=2,
            id=set_id,
            cluster_uid=draft.cluster_uid,
            began=draft.began,
            finished=max(draft.began, clock().replace(microsecond=0)),
            by=draft.asked.by,
            smaller_accepted_by=(draft.asked.by or "somebody") if draft.asked.accept_smaller else "",
            versions={"downtime": _version(), **draft.gathered.versions},
            recipients=recipients.keys,
            parts=parts,
        )
        _still_held(lock)
        store.write_manifest(manifest)
    except DowntimeError as error:
        raised = remove_half(store, set_id, error)
        if raised is error:
            raise
        raise raised from None
    except BaseException:
        # The process is being ended: what can be removed is.
        remove_half(store, set_id, Failed("interrupted", "interrupted", ""))
        raise
    return manifest


def _parts(writer: SetWriter, gathered: Gathered, say: Say, lock: Lock) -> tuple[Part, ...]:
    parts = []
    for at, source in enumerate(gathered.sources, start=1):
        if lock.taken:
            lock.check()
        title = f"{source.kind}/{source.name}"
        say("part", f"{at} of {len(gathered.sources)}: {title}")
        started = told = time.monotonic()

        def passing(seen: int, title: str = title, started: float = started) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= _TELL_SECONDS:
                told = now
                say("part", f"{title}: {size(seen)}, {size(seen / (now - started))}/s")

        part = writer.take(source, passing)
        if part.bytes is not None:
            say("part", f"{title}: done, {size(part.bytes)}")
        parts.append(part)
    return tuple(parts)


def _still_held(lock: Lock) -> None:
    """Two backups never both finish. A lock that ran out while the API server was away is waited for a while."""
    end = time.monotonic() + RENEWAL_SECONDS
    while True:
        try:
            return lock.check()
        except LockLost:
            if lock.taken or time.monotonic() >= end:
                raise
        time.sleep(0.5)


def _judged(
    store: WritableStore, settings: Settings, manifest: Manifest, uid: str, clock: Callable[[], datetime]
) -> Verdict:
    """What the gate says of the new set, all of it read back.

    Raises:
        Failed: it is not good. What is damaged is removed; what only lacks something stays, and the gate refuses it.
    """
    # How old a rehearsal is, is a matter of the gate alone: no new set has one.
    limits = replace(recovery.limits(settings), cluster_uid=uid, rehearsal_max_age=None)
    tools = gate.Tools(postgres=settings.recovery.postgres)
    verdict = gate.check_set(store, manifest.id, settings=limits, clock=clock, tools=tools)
    if not verdict.blocks:
        return verdict
    first = verdict.failed[0]
    error = Failed(
        "backup-not-good",
        f"The backup set {manifest.id} was taken, and is not good: {first.check}: {first.reason}",
        first.remedy,
        (f"the set {manifest.id} in {store.name}, which the recovery gate refuses",),
    )
    if any(line.check in _DAMAGE for line in verdict.failed):
        unchanged = Failed(error.code, error.message, error.remedy)
        raise remove_half(store, manifest.id, unchanged)
    raise error


def _pruned(
    api: Api,
    store: WritableStore,
    settings: RecoverySettings,
    uid: str,
    lock: Lock,
    clock: Callable[[], datetime],
    sources: Sequence[FileSource | DeclaredSource] = (),
) -> tuple[list[str], list[str]]:
    """The old sets that were removed, and what speaks against it, in sentences. The new set is good whatever comes."""
    try:
        _still_held(lock)
        doubt = keeping.doubt(clock(), api.server_time())
    except DowntimeError as error:
        doubt = error.message
    if doubt:
        return [], [f"no old set was removed: {doubt}"]
    # Sets that are held back are no reason to keep what no set names.
    return keeping.prune(store, settings, uid, clock(), lambda: made_for_a_set.tidy(store, sources))


def _report(
    store: WritableStore, manifest: Manifest, verdict: Verdict, warnings: list[str], removed: list[str]
) -> BackupReport:
    return BackupReport(
        set=manifest.id,
        store=store.name,
        cluster=manifest.cluster_uid,
        by=manifest.by,
        began=manifest.began,
        finished=manifest.finished,
        bytes=sum(part.bytes or 0 for part in manifest.files),
        recipients=manifest.recipients,
        parts=tuple(
            TakenPart(
                title=part.title,
                path=part.path,
                bytes=part.bytes,
                clear_bytes=part.contents.bytes if part.contents else None,
                encrypted=part.encrypted,
                declared=part.external.where if part.external else "",
            )
            for part in manifest.parts
        ),
        check=verdict,
        warnings=tuple(warnings),
        removed=tuple(removed),
    )


def _masked(say: Say) -> Say:
    return lambda step, text: say(step, MASKER.mask(text))


def _version() -> str:
    try:
        return metadata.version("runai-downtime")
    except metadata.PackageNotFoundError:
        return "unknown"
