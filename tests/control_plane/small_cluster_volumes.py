"""Volumes of a CSI driver for small clusters: nodes that hold a few of them, and pods that need one each."""

from __future__ import annotations

import random
from typing import Any

from lab.api import Api
from lab.patience import until
from tests.control_plane.small_cluster_pods import LABEL, NAMESPACE

JSON = dict[str, Any]
DRIVER = "disks.forecast"
VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
_SECONDS = 60


def csi_node(node: JSON, chance: random.Random) -> JSON:
    """What a node says of the driver; of some it does not say how many volumes it holds."""
    count = chance.choice((None, 1, 2, 4))
    driver = {"name": DRIVER, "nodeID": "drawn", **({"allocatable": {"count": count}} if count else {})}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSINode",
        "metadata": {"name": node["metadata"]["name"], "labels": {LABEL: "drawn"}},
        "spec": {"drivers": [driver]},
    }


def give(pod: JSON, name: str) -> list[JSON]:
    """Let the pod use a volume of this name; the volume and its claim, bound to each other."""
    used = {"name": "data", "persistentVolumeClaim": {"claimName": name}}
    pod["spec"]["volumes"] = [used]
    common: JSON = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {LABEL: "drawn"}},
        "spec": {
            **common,
            "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": DRIVER, "volumeHandle": name},
            "claimRef": {"namespace": NAMESPACE, "name": name},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {LABEL: "drawn"}},
        "spec": {**common, "resources": {"requests": {"storage": "1Gi"}}, "volumeName": name},
    }
    return [volume, claim]


def await_bound(api: Api) -> None:
    """Wait until each volume is bound to its claim."""

    def bound() -> bool:
        found = [one for path in (VOLUMES, CLAIMS) for one in api.items(f"{path}?labelSelector={LABEL}")]
        return all(one["status"].get("phase") == "Bound" for one in found if "deletionTimestamp" not in one["metadata"])

    until(bound, seconds=_SECONDS, what="volumes are not bound")


def clear(api: Api) -> None:
    """Take them away; a claim stays for a moment after the pods that used it, and so does its volume."""
    for path in (CLAIMS, VOLUMES, CSI_NODES):
        api.delete(f"{path}?labelSelector={LABEL}")
