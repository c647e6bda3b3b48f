"""Researchers' workloads, as they look on a Run:ai cluster, for the lab and for tests to make more of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.api import Api
from lab.runai.definitions import POOL_LABEL
from lab.runai.objects import create

JSON = dict[str, Any]
IMAGE = "localhost/kube/lab:1"
SPREAD = "lab/spread"
TOLERATE_EVERYTHING = [{"operator": "Exists"}]


@dataclass(frozen=True)
class Work:
    """What a workload asks for and how it behaves.

    ``node`` pins it to one node, ``prefers`` names one where it starts if there is room. ``lingers`` is how many
    seconds its program takes to end when asked to; ``finishes_after`` how many until it ends by itself (0: never).
    ``spread`` names a group of workloads that keeps apart where it can. ``fraction`` is a share of one GPU (with
    ``gpus`` 0); ``volumes`` are mounted nowhere. ``pool`` is the node pool that it was submitted to.
    """

    project: str = "team-a"
    user: str = "anna"
    gpus: int = 1
    node: str = ""
    prefers: str = ""
    lingers: float = 0
    finishes_after: float = 0
    grace_seconds: int = 30
    priority: str = ""
    fraction: float = 0
    volumes: tuple[JSON, ...] = ()
    finalizers: tuple[str, ...] = ()
    spread: str = ""
    image: str = IMAGE
    tolerate_everything: bool = False
    pool: str = ""

    @property
    def namespace(self) -> str:
        return f"runai-{self.project}"


def training(name: str, work: Work) -> JSON:
    """A training workload of the old command line: a Job."""
    labels = labels_of(name, work)
    pod = template(labels, work, priority=work.priority or "train")
    pod["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata_of(name, work, {**labels, "priorityClassName": work.priority or "train"}),
        "spec": {"backoffLimit": 6, "template": pod},
    }


def interactive(name: str, work: Work) -> JSON:
    """An interactive workload of the old command line: a StatefulSet with one replica."""
    labels = labels_of(name, work)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata_of(name, work, {**labels, "priorityClassName": work.priority or "build"}),
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "selector": {"matchLabels": {"release": name}},
            "template": template(labels, work, priority=work.priority or "build"),
        },
    }


def bare_pod(name: str, work: Work) -> JSON:
    """A pod that nobody owns, of no kind that one could tell."""
    pod = template({"app": name, SPREAD: work.spread or "none"}, work, priority=work.priority)
    pod["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": work.namespace, **pod["metadata"]},
        "spec": pod["spec"],
    }


def create_runaijob(api: Api, name: str, work: Work, *, kind: str = "train") -> tuple[JSON, JSON]:
    """A RunaiJob and its pod, which nothing makes anew; ``kind`` is its priority class. Returns both."""
    job = create(
        api,
        {
            "apiVersion": "run.ai/v1",
            "kind": "RunaiJob",
            "metadata": metadata_of(name, work, {**labels_of(name, work), "priorityClassName": kind}),
            "spec": {"template": {}},
        },
    )
    labels = {"app": "runaijob", "project": work.project, "release": name, "createdBy": "RunaiJob"}
    made = template(labels, work, priority=work.priority)
    made["metadata"]["annotations"]["pod-group-name"] = f"pg-{name}"
    made["spec"]["restartPolicy"] = "Never"
    owner = {
        "apiVersion": "run.ai/v1",
        "kind": "RunaiJob",
        "name": name,
        "uid": job["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-0-0",
            "namespace": work.namespace,
            "ownerReferences": [owner],
            **made["metadata"],
        },
        "spec": made["spec"],
    }
    return job, create(api, pod)


def disruption_budget(name: str, namespace: str, labels: dict[str, str], *, max_unavailable: int = 0) -> JSON:
    """A PodDisruptionBudget for the pods with these labels; by default it allows nothing."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"maxUnavailable": max_unavailable, "selector": {"matchLabels": labels}},
    }


def labels_of(name: str, work: Work) -> dict[str, str]:
    """What the old command line puts on a workload and its pods."""
    labels = {
        "app": name,
        "release": name,
        "project": work.project,
        "createdBy": "runai-cli",
        "runai/queue": work.project,
    }
    # Run:ai marks the pods of a pool by the pool's own label, and its scheduler keeps them there.
    more = {key: value for key, value in ((SPREAD, work.spread), (POOL_LABEL, work.pool)) if value}
    return {**labels, **more}


def metadata_of(name: str, work: Work, labels: dict[str, str]) -> JSON:
    return {"name": name, "namespace": work.namespace, "labels": labels, "annotations": {"user": work.user}}


def template(labels: dict[str, str], work: Work, *, priority: str) -> JSON:
    """The pod of such a workload."""
    annotations = {"user": work.user}
    if work.fraction:
        annotations["gpu-fraction"] = f"{work.fraction:g}"
    if work.lingers:
        annotations["lab/ends-after"] = f"{work.lingers:g}s"
    if work.finishes_after:
        annotations["lab/finishes-after"] = f"{work.finishes_after:g}s"
    metadata: JSON = {"labels": labels, "annotations": annotations}
    if work.finalizers:
        metadata["finalizers"] = list(work.finalizers)
    return {"metadata": metadata, "spec": _pod_spec(work, priority)}


def _pod_spec(work: Work, priority: str) -> JSON:
    environment = {}
    if work.lingers:
        environment["IGNORE_TERM_SECONDS"] = f"{work.lingers:g}"
    if work.finishes_after:
        environment["EXIT_AFTER"] = f"{work.finishes_after:g}"
    container: JSON = {
        "name": "work",
        "image": work.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["lab-work"],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
    }
    if work.gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": str(work.gpus)}}
    spec: JSON = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": work.grace_seconds,
        "containers": [container],
    }
    if priority:
        spec["priorityClassName"] = priority
    if work.node:
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_named(work.node)]}}
        spec["affinity"] = {"nodeAffinity": required}
    elif work.prefers:
        preferred = [{"weight": 100, "preference": _named(work.prefers)}]
        spec["affinity"] = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    if work.spread:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {SPREAD: work.spread}},
            }
        ]
    chosen = {
        "nodeSelector": {POOL_LABEL: work.pool} if work.pool else {},
        "tolerations": TOLERATE_EVERYTHING if work.tolerate_everything else [],
        "volumes": list(work.volumes),
    }
    return {**spec, **{key: value for key, value in chosen.items() if value}}


def _named(node: str) -> JSON:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
