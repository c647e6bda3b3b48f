"""Snapshots of a volume by its CSI driver: https://kubernetes.io/docs/concepts/storage/volume-snapshots/ (v1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cluster.api import Api, Object
from cluster.config import RecoverySettings
from cluster.errors import DowntimeError, Failed
from cluster.manifest import WHERE_LENGTH, External
from cluster.probing import probe

GROUP = "snapshot.storage.k8s.io"
_ROOT = f"/apis/{GROUP}/v1"
_OURS = "runai-downtime/snapshot-of"
_DEFAULT_CLASS = "snapshot.storage.kubernetes.io/is-default-class"
_READY_SECONDS = 600.0
_NAMED = re.compile(r"VolumeSnapshot ([^\s,]+)")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is ready.

    Attributes:
        where: names it for people, with the handle that the storage itself knows it by: another cluster needs that.
        taken: when, as the driver tells.
        path: of the object in the API.
        warnings: what may stand in the way of a restore, in sentences.
    """

    where: str
    taken: datetime
    path: str
    warnings: tuple[str, ...] = ()

    @property
    def external(self) -> External:
        """How a set declares it."""
        return External(where=self.where, taken=self.taken)


def usable_class(api: Api, namespace: str, claim: str, wanted: str) -> str | None:
    """The VolumeSnapshotClass for this claim's volume; None: no snapshot can be made of it.

    Args:
        wanted: a class by its name; empty: the default one of the volume's driver, or its only one.
    """
    if api.get(_ROOT) is None:
        return None
    found = api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
    name = ((found or {}).get("spec") or {}).get("volumeName")
    volume = api.get(f"/api/v1/persistentvolumes/{name}") if name else None
    driver = (((volume or {}).get("spec") or {}).get("csi") or {}).get("driver")
    if not driver:
        return None
    classes = [one for one in api.list(f"{_ROOT}/volumesnapshotclasses") if one.get("driver") == driver]
    if wanted:
        return wanted if any(one["metadata"]["name"] == wanted for one in classes) else None
    default = [one for one in classes if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"]
    chosen = default or (classes if len(classes) == 1 else [])
    return str(chosen[0]["metadata"]["name"]) if chosen else None


def take(api: Api, namespace: str, claim: str, snapshot_class: str, seconds: float = _READY_SECONDS) -> Snapshot:
    """Make a snapshot, and wait until it can be restored from.

    Raises:
        Failed: ``snapshot-failed``: it did not become ready, in the driver's words; it is deleted again.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    body = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "VolumeSnapshot",
        "metadata": {
            "generateName": f"downtime-{stamp}-",
            "namespace": namespace,
            "labels": {_OURS: claim[:63].rstrip("-.")},
        },
        "spec": {"volumeSnapshotClassName": snapshot_class, "source": {"persistentVolumeClaimName": claim}},
    }
    made = api.create(_collection(namespace), body)
    name = str(made["metadata"]["name"])
    path = f"{_collection(namespace)}/{name}"
    said = ""

    def ready() -> Object | None:
        nonlocal said
        status = (api.get(path) or {}).get("status") or {}
        said = str((status.get("error") or {}).get("message", ""))[:300]
        return status if status.get("readyToUse") is True else None

    status = probe(ready, seconds)
    if status is None:
        api.delete(path)
        raise Failed(
            "snapshot-failed",
            f"The VolumeSnapshot of {namespace}/{claim} was not ready within {seconds:g} s: {said or 'no reason'}.",
            "See 'kubectl describe volumesnapshot' and the driver's logs; it was deleted again.",
        )
    taken = datetime.fromisoformat(str(status.get("creationTime") or made["metadata"]["creationTimestamp"]))
    where, warnings = _whereabouts(api, f"{namespace}/{name}", str(status.get("boundVolumeSnapshotContentName") or ""))
    return Snapshot(where, taken, path, warnings)


def discard(api: Api, snapshot: Snapshot) -> None:
    """Delete a snapshot that no set will name."""
    api.delete(snapshot.path)


def prune(api: Api, namespace: str, claim: str, settings: RecoverySettings, kept: Sequence[str] = ()) -> None:
    """Delete own snapshots that are both older and more than what is kept of sets, and that no kept set names.

    Args:
        kept: what the sets that are kept declare: ``where`` of their external backups.
    """
    named = {found[1] for where in kept if (found := _NAMED.match(where))}
    own = api.list(_collection(namespace), labels=f"{_OURS}={claim[:63].rstrip('-.')}")
    own.sort(key=lambda one: str(one["metadata"]["creationTimestamp"]), reverse=True)
    limit = datetime.now(UTC) - timedelta(days=settings.keep_days)
    for one in own[settings.keep_sets :]:
        metadata = one["metadata"]
        old = datetime.fromisoformat(str(metadata["creationTimestamp"])) < limit
        if old and f"{namespace}/{metadata['name']}" not in named:
            api.delete(f"{_collection(namespace)}/{metadata['name']}", uid=str(metadata["uid"]))


def _whereabouts(api: Api, title: str, content_name: str) -> tuple[str, tuple[str, ...]]:
    """Where the snapshot is, for a cluster that does not have the object; and what speaks against that."""
    where = f"VolumeSnapshot {title}"
    try:
        content = (api.get(f"{_ROOT}/volumesnapshotcontents/{content_name}") if content_name else None) or {}
    except DowntimeError as error:
        return where, (f"{where} can be restored in this cluster alone: its handle is not known ({error.message}).",)
    spec = content.get("spec") or {}
    driver, handle = spec.get("driver"), (content.get("status") or {}).get("snapshotHandle")
    if not driver or not handle:
        return where, (f"{where} can be restored in this cluster alone: its driver tells no handle of it.",)
    warnings = (
        (
            f"{where} is deleted on the storage together with its object or its namespace: its VolumeSnapshotClass has "
            "deletionPolicy Delete, and Retain is safer.",
        )
        if spec.get("deletionPolicy") == "Delete"
        else ()
    )
    return f"{where}, driver {driver}, handle {handle}"[:WHERE_LENGTH], warnings


def _collection(namespace: str) -> str:
    return f"{_ROOT}/namespaces/{namespace}/volumesnapshots"
