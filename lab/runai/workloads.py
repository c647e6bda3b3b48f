"""Researchers' workloads, as they look on a Run:ai cluster, for the lab and for tests to make more of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.api import Api
from lab.runai.objects import create

JSON = dict[str, Any]
IMAGE = "localhost/kube/lab:1"
SPREAD = "lab/spread"
TOLERATE_EVERYTHING = [{"operator": "Exists"}]


@dataclass(frozen=True)
class Work:
    """What a workload asks for and how it behaves.

    ``node`` pins it to one node. ``lingers`` is how many seconds its program takes to end when asked to;
    ``finishes_after`` how many until it ends by itself (0: never). ``spread`` names a group of workloads that keeps
    apart where it can.
    """

    project: str = "team-a"
    user: str = "anna"
    gpus: int = 1
    node: str = ""
    lingers: float = 0
    finishes_after: float = 0
    grace_seconds: int = 30
    priority: str = ""
    spread: str = ""
    image: str = IMAGE
    tolerate_everything: bool = False

    @property
    def namespace(self) -> str:
        return f"runai-{self.project}"


def training(name: str, work: Work) -> JSON:
    """A training workload of the old command line: a Job."""
    labels = _labels(name, work)
    template = _template(labels, work, priority=work.priority or "train")
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, work, {**labels, "priorityClassName": work.priority or "train"}),
        "spec": {"backoffLimit": 6, "template": template},
    }


def interactive(name: str, work: Work) -> JSON:
    """An interactive workload of the old command line: a StatefulSet with one replica."""
    labels = _labels(name, work)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(name, work, {**labels, "priorityClassName": work.priority or "build"}),
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "selector": {"matchLabels": {"release": name}},
            "template": _template(labels, work, priority=work.priority or "build"),
        },
    }


def bare_pod(name: str, work: Work) -> JSON:
    """A pod that nobody owns, of no kind that one could tell."""
    template = _template({"app": name, SPREAD: work.spread or "none"}, work, priority=work.priority)
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": work.namespace, **template["metadata"]},
        "spec": template["spec"],
    }


def create_runaijob(api: Api, name: str, work: Work, *, kind: str = "train") -> tuple[JSON, JSON]:
    """A RunaiJob and its pod, which nothing makes anew; ``kind`` is its priority class. Returns both."""
    job = create(
        api,
        {
            "apiVersion": "run.ai/v1",
            "kind": "RunaiJob",
            "metadata": _metadata(name, work, {**_labels(name, work), "priorityClassName": kind}),
            "spec": {"template": {}},
        },
    )
    labels = {"app": "runaijob", "project": work.project, "release": name, "createdBy": "RunaiJob"}
    template = _template(labels, work, priority=work.priority)
    template["metadata"]["annotations"]["pod-group-name"] = f"pg-{name}"
    template["spec"]["restartPolicy"] = "Never"
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
            **template["metadata"],
        },
        "spec": template["spec"],
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


def _labels(name: str, work: Work) -> dict[str, str]:
    labels = {
        "app": name,
        "release": name,
        "project": work.project,
        "createdBy": "runai-cli",
        "runai/queue": work.project,
    }
    return {**labels, SPREAD: work.spread} if work.spread else labels


def _metadata(name: str, work: Work, labels: dict[str, str]) -> JSON:
    return {"name": name, "namespace": work.namespace, "labels": labels, "annotations": {"user": work.user}}


def _template(labels: dict[str, str], work: Work, *, priority: str) -> JSON:
    annotations = {"user": work.user}
    environment = {}
    if work.lingers:
        annotations["lab/ends-after"] = f"{work.lingers:g}s"
        environment["IGNORE_TERM_SECONDS"] = f"{work.lingers:g}"
    if work.finishes_after:
        annotations["lab/finishes-after"] = f"{work.finishes_after:g}s"
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
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [work.node]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        spec["affinity"] = {"nodeAffinity": required}
    if work.spread:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {SPREAD: work.spread}},
            }
        ]
    if work.tolerate_everything:
        spec["tolerations"] = TOLERATE_EVERYTHING
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}
