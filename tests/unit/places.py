"""Nodes with room and labels, and pods that ask for them, for tests of where pods can be placed."""

from __future__ import annotations

from typing import Any

from cluster.node import Object
from cluster.placement import Place
from tests.unit.pod_objects import pod

SYSTEM = "node-role.kubernetes.io/runai-system"
GPU_WORKER = "node-role.kubernetes.io/runai-gpu-worker"


def place(
    name: str,
    *pods: Object,
    role: str = SYSTEM,
    labels: dict[str, str] | None = None,
    taints: list[dict[str, str]] | None = None,
    ready: bool = True,
    cordoned: bool = False,
    **allocatable: str,
) -> Place:
    """A node with four cores and 8 GiB, if nothing else is said; ``gpus="4"`` gives it GPUs."""
    amounts = {"cpu": "4", "memory": "8Gi", "pods": "110", **allocatable}
    if "gpus" in amounts:
        amounts["nvidia.com/gpu"] = amounts.pop("gpus")
    node: Object = {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, **({role: "true"} if role else {}), **(labels or {})},
        },
        "spec": {"taints": taints or [], "unschedulable": cordoned},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
            "allocatable": amounts,
        },
    }
    return Place(node, pods)


def asking(name: str, cpu: str = "1", memory: str = "1Gi", namespace: str = "runai", **more: Any) -> Object:
    """A pod that asks for so much."""
    containers = [{"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]
    return pod(name, namespace, **{"containers": containers, **more})


def apart_from(app: str, topology: str = "kubernetes.io/hostname") -> Object:
    """An affinity that keeps a pod away from those of this app."""
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": topology}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def node_affinity(*expressions: Object, fields: bool = False) -> Object:
    """A required node affinity of one term."""
    term = {"matchFields" if fields else "matchExpressions": list(expressions)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
