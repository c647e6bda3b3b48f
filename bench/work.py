"""The workloads that are measured: the same set for each node that loses power, with room for all of it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.runai.workloads import Work, interactive, training

JSON = dict[str, Any]
PROJECT = "team-a"
NAMESPACE = f"runai-{PROJECT}"
TRAINING = "training (Job)"
INFERENCE = "inference (Deployment)"
NOTEBOOK = "notebook (StatefulSet)"
WITH_VOLUME = "notebook with a volume (StatefulSet)"
KINDS = (TRAINING, INFERENCE, NOTEBOOK, WITH_VOLUME)
GPUS_OF_A_SET = 4
"""GPUs that one node's set asks for; the notebook with a volume asks for none."""
DRIVER = "csi.bench"


def of_node(node: str, spares: Sequence[str], *, volumes: bool) -> dict[str, JSON]:
    """What runs on a node: name to object. It prefers that node, and may run on the spares, which no other set needs.

    Args:
        volumes: also a notebook with a ReadWriteOnce volume; see :mod:`bench.volumes` for who attaches it.
    """
    work = Work(project=PROJECT, user="bench")
    bodies = [
        training(f"train-1-{node}", work),
        training(f"train-2-{node}", work),
        _deployment(f"serve-{node}", work),
        interactive(f"note-{node}", work),
    ]
    if volumes:
        bodies.append(_with_volume(f"disk-{node}"))
    for body in bodies:
        body["spec"]["template"]["spec"]["affinity"] = _affinity(node, spares)
    return {str(body["metadata"]["name"]): body for body in bodies}


def kind_of(name: str) -> str:
    """What kind of workload it is, by its name."""
    kinds = {"train": TRAINING, "serve": INFERENCE, "note": NOTEBOOK, "disk": WITH_VOLUME}
    return kinds[name.partition("-")[0]]


def persistent_volume(name: str) -> JSON:
    """The volume of a notebook, as an administrator makes one by hand: bound to its claim, of a CSI driver."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pv-{name}"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": NAMESPACE, "name": f"data-{name}-0"},
            "csi": {"driver": DRIVER, "volumeHandle": name},
        },
    }


def _deployment(name: str, work: Work) -> JSON:
    body = interactive(name, work)
    body["kind"] = "Deployment"
    del body["spec"]["serviceName"]
    return body


def _with_volume(name: str) -> JSON:
    body = interactive(name, Work(project=PROJECT, user="bench", gpus=0))
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    body["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}, "spec": claim}]
    return body


def _affinity(node: str, spares: Sequence[str]) -> JSON:
    def on(*names: str) -> JSON:
        return {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}]}

    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [on(node, *spares)]},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": on(node)}],
        }
    }
