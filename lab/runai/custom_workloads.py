"""Run:ai's own objects for workloads, as people submit them; the lab's controller makes their pods."""

from __future__ import annotations

from typing import Any, Literal

from lab.runai.workloads import SPREAD, Work, template

JSON = dict[str, Any]
Kind = Literal["training", "interactive", "distributed", "inference"]

KINDS: dict[Kind, str] = {
    "training": "TrainingWorkload",
    "interactive": "InteractiveWorkload",
    "distributed": "DistributedWorkload",
    "inference": "InferenceWorkload",
}
PRIORITIES: dict[Kind, str] = {
    "training": "train",
    "interactive": "build",
    "distributed": "train",
    "inference": "inference",
}
BACKOFF_LIMIT = 6
STALE_SECONDS = 60.0
# How long members of a gang may be missing before the others are evicted ("5s").
STALE_AFTER = "lab/stale-after"
SUSPENDED = "lab.runai/suspended"


def custom(
    kind: Kind,
    name: str,
    work: Work,
    *,
    workers: int = 1,
    backoff_limit: int = BACKOFF_LIMIT,
    stale_after: float = STALE_SECONDS,
) -> JSON:
    """A Training-, Interactive-, Distributed- or InferenceWorkload; each field of its spec is wrapped in a ``value``.

    ``workers`` is how many pods a distributed one or an inference service has. ``template`` is no field of Run:ai's: it
    is the pod that Run:ai would derive from the others.
    """
    priority = work.priority or PRIORITIES[kind]
    pod = template(_labels(kind, name, work), work, priority=priority)
    pod["spec"]["restartPolicy"] = "Always" if kind == "inference" else "Never"
    fields: JSON = {
        "name": name,
        "image": work.image,
        "gpu": f"{work.fraction or work.gpus:g}",
        "username": work.user,
        "backoffLimit": backoff_limit,
        "template": pod,
    }
    if kind == "distributed":
        fields |= {"distributedFramework": "PyTorch", "numWorkers": workers}
    if kind == "inference":
        fields |= {"minScale": workers}
    return {
        "apiVersion": "run.ai/v2alpha1",
        "kind": KINDS[kind],
        "metadata": {
            "name": name,
            "namespace": work.namespace,
            "labels": {"project": work.project, "runai/queue": work.project, "priorityClassName": priority},
            "annotations": {"user": work.user, STALE_AFTER: f"{stale_after:g}s"},
        },
        "spec": {key: {"value": value} for key, value in fields.items()},
    }


def runaijob(name: str, work: Work, *, kind: Kind = "training", backoff_limit: int = BACKOFF_LIMIT) -> JSON:
    """A RunaiJob, of an older version of Run:ai; ``kind`` is training or interactive, and only its priority class says
    so.
    """
    priority = work.priority or PRIORITIES[kind]
    labels = {"app": "runaijob", "project": work.project, "release": name, "createdBy": "RunaiJob"}
    pod = template({**labels, SPREAD: work.spread} if work.spread else labels, work, priority=priority)
    pod["metadata"]["annotations"]["pod-group-name"] = f"pg-{name}"
    pod["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "run.ai/v1",
        "kind": "RunaiJob",
        "metadata": {
            "name": name,
            "namespace": work.namespace,
            "labels": {**labels, "priorityClassName": priority},
            "annotations": {"user": work.user},
        },
        "spec": {"backoffLimit": backoff_limit, "template": pod},
    }


def _labels(kind: Kind, name: str, work: Work) -> dict[str, str]:
    """What newer versions put on pods."""
    labels = {"workloadName": name, "workloadKind": KINDS[kind], "runai/queue": work.project, "user": work.user}
    return {**labels, SPREAD: work.spread} if work.spread else labels
