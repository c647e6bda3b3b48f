"""Pods and owners for the unit tests, as the API would send them."""

from __future__ import annotations

from typing import Any

from cluster.node import Object
from cluster.owners import Owner

DRAIN_FOR_EVER: Object = {"key": "runai", "operator": "Equal", "value": "drain", "effect": "NoExecute"}
GROUPS = {
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "StatefulSet": "apps/v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "RunaiJob": "run.ai/v1",
    "InteractiveWorkload": "run.ai/v2alpha1",
    "TrainingWorkload": "run.ai/v2alpha1",
    "DistributedWorkload": "run.ai/v2alpha1",
    "InferenceWorkload": "run.ai/v2alpha1",
    "PyTorchJob": "kubeflow.org/v1",
    "MPIJob": "kubeflow.org/v2beta1",
    "InferenceService": "serving.kserve.io/v1beta1",
    "Service": "serving.knative.dev/v1",
}


def owner(kind: str, name: str, **more: Any) -> Owner:
    """An owner of a kind whose API group is known here."""
    return Owner(api_version=GROUPS.get(kind, "example.org/v1"), kind=kind, name=name, uid=f"{kind}-{name}", **more)


def pod(
    name: str = "train-0",
    namespace: str = "runai-team-a",
    *,
    top: Owner | None = None,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    tolerations: list[Object] | None = None,
    phase: str = "Running",
    ready: bool = True,
    **spec: Any,
) -> Object:
    """A pod that runs on a node; ``top`` owns it directly."""
    metadata: Object = {
        "name": name,
        "namespace": namespace,
        "uid": f"{namespace}/{name}",
        "labels": labels or {},
        "annotations": annotations or {},
    }
    if top is not None:
        metadata["ownerReferences"] = [
            {"apiVersion": top.api_version, "kind": top.kind, "name": top.name, "uid": top.uid, "controller": True}
        ]
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main"}], "tolerations": tolerations or [], **spec},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def pdb(selector: Object | None, allowed: int, namespace: str = "team") -> Object:
    """A PodDisruptionBudget whose controller has looked at it."""
    return {
        "metadata": {"name": "budget", "namespace": namespace, "generation": 1},
        "spec": {"minAvailable": 1} if selector is None else {"minAvailable": 1, "selector": selector},
        "status": {"observedGeneration": 1, "disruptionsAllowed": allowed},
    }
