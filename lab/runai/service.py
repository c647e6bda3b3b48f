"""The pods of the Run:ai service itself, and of what comes with GPU nodes."""

from __future__ import annotations

from typing import Any

from lab.runai.definitions import BACKEND
from lab.runai.volumes import POSTGRESQL, THANOS, Kept, Volume, keeping, started_as_database, started_as_metrics, volume

JSON = dict[str, Any]
SYSTEM = {"node-role.kubernetes.io/runai-system": "true"}
GPU_WORKER = {"node-role.kubernetes.io/runai-gpu-worker": "true"}
CONTENT = {"lab/content": "service"}
CLUSTER_PART = ("runai-operator", "runai-scheduler-default", "runai-agent")
FOR_GOOD = "lab/for-good"
"""The key of a taint that an administrator leaves on a node for good, and lets the GPU device plugin tolerate."""
GPU_OPERATOR_TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def backend(image: str, kept: Kept) -> list[JSON]:
    """The self-hosted control plane, on system nodes."""
    return [
        _workload("Deployment", BACKEND, "runai-backend-backend", image, selector=SYSTEM),
        _workload("Deployment", BACKEND, "runai-backend-frontend", image, selector=SYSTEM),
        _workload("StatefulSet", BACKEND, "keycloak", image, selector=SYSTEM),
        volume(POSTGRESQL, kept.postgresql),
        volume(THANOS, kept.thanos),
        started_as_database(_keeping(POSTGRESQL, image, kept.postgresql), kept),
        started_as_metrics(_keeping(THANOS, image, kept.thanos), kept),
    ]


def cluster_part(image: str) -> list[JSON]:
    """What Run:ai runs on each cluster: on system nodes, and an agent on each GPU node."""
    parts = [_workload("Deployment", "runai", name, image, selector=SYSTEM) for name in CLUSTER_PART]
    return [*parts, _workload("DaemonSet", "runai", "runai-container-toolkit", image, selector=GPU_WORKER)]


def node_agent(image: str) -> JSON:
    """A DaemonSet that tolerates everything, like a network plugin: a drain leaves its pods."""
    body = _workload("DaemonSet", "kube-system", "node-agent", image, selector={})
    body["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    return body


def gpu_plugin(image: str, gpus: int) -> JSON:
    """The GPU device plugin, with the gpu-operator's tolerations and one for :data:`FOR_GOOD`: the drain evicts it."""
    body = _workload("DaemonSet", "gpu-operator", "nvidia-device-plugin-daemonset", image, selector=GPU_WORKER)
    spec = body["spec"]["template"]["spec"]
    spec["tolerations"] = [*GPU_OPERATOR_TOLERATIONS, {"key": FOR_GOOD, "operator": "Exists"}]
    spec["terminationGracePeriodSeconds"] = 5
    # The folder and not the file: a file is mounted as the one it was at the pod's start.
    mounts = {"plugins": "/var/lib/kubelet/device-plugins", "gpus": "/etc/lab/gpus"}
    spec["volumes"] = [{"name": name, "hostPath": {"path": where}} for name, where in mounts.items()]
    spec["containers"][0] |= {
        "command": ["gpu-plugin"],
        "env": [{"name": "GPUS", "value": str(gpus)}],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": name, "mountPath": where} for name, where in mounts.items()],
    }
    return body


def _keeping(name: str, image: str, where: Volume) -> JSON:
    return keeping(_workload("StatefulSet", BACKEND, name, image, selector=SYSTEM), where)


def _workload(kind: str, namespace: str, name: str, image: str, *, selector: dict[str, str]) -> JSON:
    labels = {"app": name, "app.kubernetes.io/name": name}
    spec: JSON = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "automountServiceAccountToken": False,
                "nodeSelector": selector,
                "terminationGracePeriodSeconds": 10,
                "containers": [
                    {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": ["lab-work"]}
                ],
            },
        },
    }
    if kind != "DaemonSet":
        spec["replicas"] = 1
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {**labels, **CONTENT}},
        "spec": spec,
    }
