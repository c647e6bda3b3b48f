"""Commands that make the metrics' volume anew from a snapshot that the old cluster's storage still has. Pure.

A VolumeSnapshot is an object of the cluster that is lost; what lasts is the storage's own handle. A new cluster takes
it by a static VolumeSnapshotContent, that names driver and handle:
https://kubernetes.io/docs/concepts/storage/volume-snapshots/#static
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

_WHERE = re.compile(
    r"VolumeSnapshot [a-z0-9-]+/(?P<name>[a-z0-9.-]+), driver (?P<driver>[A-Za-z0-9.-]+), handle (?P<handle>.+)"
)
_GROUP = "snapshot.storage.k8s.io/v1"
_PVC = (
    '{apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: {name: $claim}, spec: {'
    'accessModes: ["ReadWriteOnce"], resources: {requests: {storage: $size}}, '
    'dataSource: {apiGroup: "snapshot.storage.k8s.io", kind: "VolumeSnapshot", name: $snapshot}}}'
)


def from_snapshot(where: str, claim: str, namespace: str) -> list[str]:
    """Commands that end with the claim, filled from the snapshot; none when ``where`` tells no driver and handle.

    Args:
        where: of the external backup, as a manifest has it (``VolumeSnapshot NS/NAME, driver DRIVER, handle HANDLE``).
        claim: the PersistentVolumeClaim that the control plane is going to look for.
        namespace: where that is.
    """
    told = _WHERE.fullmatch(where)
    if told is None or not told["handle"].isprintable():
        return []
    name = told["name"]
    content: dict[str, Any] = {
        "apiVersion": _GROUP,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": f"restored-{name}"[:253]},
        "spec": {
            # What stays is the storage's only copy: no object that is deleted may take it along.
            "deletionPolicy": "Retain",
            "driver": told["driver"],
            "source": {"snapshotHandle": told["handle"]},
            "volumeSnapshotRef": {"namespace": namespace, "name": name},
        },
    }
    snapshot = {
        "apiVersion": _GROUP,
        "kind": "VolumeSnapshot",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"source": {"volumeSnapshotContentName": content["metadata"]["name"]}},
    }
    read = f"kubectl get volumesnapshot -n {namespace} {name} -o jsonpath='{{.status.restoreSize}}'"
    return [
        f"kubectl create namespace {namespace} --dry-run=client -o yaml | kubectl apply -f -",
        f"printf '%s\\n' {shlex.quote(json.dumps(content))} {shlex.quote(json.dumps(snapshot))} | kubectl apply -f -",
        f"kubectl wait -n {namespace} volumesnapshot/{name} --for=jsonpath='{{.status.readyToUse}}'=true --timeout=15m",
        f'size="$({read})"',
        f'jq -n --arg claim {claim} --arg snapshot {name} --arg size "${{size:?the size of the volume}}" '
        f"{shlex.quote(_PVC)} \\\n  | kubectl apply -n {namespace} -f -",
    ]
