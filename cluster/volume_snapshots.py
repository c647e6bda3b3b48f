"""Snapshots of a volume by its CSI driver: https://kubernetes.io/docs/concepts/storage/volume-snapshots/ (v1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster.api import Api, Object
from cluster.config import RecoverySettings
from cluster.errors import Failed
from cluster.manifest import External
from cluster.probing import probe

GROUP = "snapshot.storage.k8s.io"
_ROOT = f"/apis/{GROUP}/v1"
_OURS = "runai-downtime/snapshot-of"
_DEFAULT_CLASS = "snapshot.storage.kubernetes.io/is-default-class"
_READY_SECONDS = 600.0


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


def take(api: Api, namespace: str, claim: str, snapshot_class: str, seconds: float = _READY_SECONDS) -> External:
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
    return External(where=f"VolumeSnapshot {namespace}/{name}", taken=taken)


def prune(api: Api, namespace: str, claim: str, settings: RecoverySettings) -> None:
    """Delete own snapshots that are both older and more than what is kept of sets: no set that is kept names them."""
    own = api.list(_collection(namespace), labels=f"{_OURS}={claim[:63].rstrip('-.')}")
    own.sort(key=lambda one: str(one["metadata"]["creationTimestamp"]), reverse=True)
    limit = datetime.now(UTC) - timedelta(days=settings.keep_days)
    for one in own[settings.keep_sets :]:
        if datetime.fromisoformat(str(one["metadata"]["creationTimestamp"])) < limit:
            api.delete(f"{_collection(namespace)}/{one['metadata']['name']}", uid=str(one["metadata"]["uid"]))


def _collection(namespace: str) -> str:
    return f"{_ROOT}/namespaces/{namespace}/volumesnapshots"
