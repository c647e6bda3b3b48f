"""Run:ai's custom resource definitions, as far as they are in use, priority classes, projects and its configuration."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

# group, version, kind, plural, cluster-wide
KINDS = (
    ("run.ai", "v1", "Project", "projects", True),
    ("run.ai", "v1", "RunaiConfig", "runaiconfigs", False),
    ("run.ai", "v1", "RunaiJob", "runaijobs", False),
    ("run.ai", "v1alpha1", "NodePool", "nodepools", True),
    ("run.ai", "v2alpha1", "TrainingWorkload", "trainingworkloads", False),
    ("run.ai", "v2alpha1", "InteractiveWorkload", "interactiveworkloads", False),
    ("run.ai", "v2alpha1", "DistributedWorkload", "distributedworkloads", False),
    ("run.ai", "v2alpha1", "InferenceWorkload", "inferenceworkloads", False),
    ("run.ai", "v2alpha1", "ExternalWorkload", "externalworkloads", False),
    ("scheduling.run.ai", "v2", "Queue", "queues", True),
    ("scheduling.run.ai", "v2alpha2", "PodGroup", "podgroups", False),
)
PRIORITIES = {
    "train": 50,
    "train-high": 55,
    "train-critical": 60,
    "interactive-preemptible": 75,
    "build": 100,
    "inference": 125,
}
PROJECTS = ("team-a", "team-b")
NODE_POOLS = ("h100", "a100")
POOL_KEY, POOL_LABEL = "lab/gpu-model", "runai/node-pool"
NAMESPACES = ("runai", "runai-reservation", *(f"runai-{project}" for project in PROJECTS))
BACKEND = "runai-backend"


def namespaces(saas: bool) -> list[JSON]:
    """Run:ai's namespaces; that of its own control plane exists only where it is self-hosted."""
    bodies = []
    for name in (*NAMESPACES, *(() if saas else (BACKEND,)), "gpu-operator"):
        project = name.removeprefix("runai-")
        labels = {"runai/queue": project} if project in PROJECTS else {}
        bodies.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    return bodies


def definitions() -> list[JSON]:
    return [_definition(*kind) for kind in KINDS]


def priorities() -> list[JSON]:
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "preemptionPolicy": "Never",
            "description": "made by the lab",
        }
        for name, value in PRIORITIES.items()
    ]


def projects() -> list[JSON]:
    bodies: list[JSON] = []
    for name in PROJECTS:
        bodies += [
            {
                "apiVersion": "run.ai/v1",
                "kind": "Project",
                "metadata": {"name": name},
                "spec": {"deservedGpus": 8, "namespace": f"runai-{name}"},
                "status": {"namespace": f"runai-{name}"},
            },
            {"apiVersion": "scheduling.run.ai/v2", "kind": "Queue", "metadata": {"name": name}, "spec": {}},
        ]
    return bodies


def node_pools() -> list[JSON]:
    """Two pools. Run:ai labels the nodes that have a pool's label with its name; a test's nodes come with both."""
    return [
        {
            "apiVersion": "run.ai/v1alpha1",
            "kind": "NodePool",
            "metadata": {"name": name},
            "spec": {"labelKey": POOL_KEY, "labelValue": name, "placementStrategy": {"gpu": "binpack"}},
        }
        for name in NODE_POOLS
    ]


def pool_labels(name: str) -> dict[str, str]:
    """What a node of the pool carries: the administrator's label, and Run:ai's own."""
    return {POOL_KEY: name, POOL_LABEL: name}


def runaiconfig() -> JSON:
    return {
        "apiVersion": "run.ai/v1",
        "kind": "RunaiConfig",
        "metadata": {"name": "runai", "namespace": "runai"},
        "spec": {"global": {"nodeAffinity": {"restrictScheduling": False}}},
    }


def runaiconfig_status(available: bool) -> JSON:
    """What the operator writes: whether the service is there."""
    now = "2026-01-01T00:00:00Z"
    conditions = [
        {
            "type": kind,
            "status": str(value),
            "reason": "Deployed" if available else "Degraded",
            "message": "",
            "lastTransitionTime": now,
        }
        for kind, value in (("Available", available), ("Degraded", not available), ("Reconciled", True))
    ]
    return {"status": {"conditions": conditions}}


def _definition(group: str, version: str, kind: str, plural: str, cluster_wide: bool) -> JSON:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster" if cluster_wide else "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
