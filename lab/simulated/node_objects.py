"""Node objects of simulated hosts: as they are made, and what a kubelet would write into their status."""

from __future__ import annotations

import datetime
import time
from typing import Any

from lab.binaries import KUBERNETES_VERSION
from lab.runai.service import FOR_GOOD
from lab.simulated.host import Host

JSON = dict[str, Any]
GPU = "nvidia.com/gpu"
POWERED = ("lab/powered", "on")
DRAIN_TAINT_OWNERS = "node.kubernetes.io/"
CONDITIONS = (
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
ROLE_LABELS = {
    "control-plane": {"node-role.kubernetes.io/control-plane": ""},
    "system": {"node-role.kubernetes.io/runai-system": "true"},
    "gpu": {"node-role.kubernetes.io/runai-gpu-worker": "true"},
    "cpu": {"node-role.kubernetes.io/runai-cpu-worker": "true"},
}


def stamp(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(stamp_text: str) -> float:
    return datetime.datetime.fromisoformat(stamp_text.replace("Z", "+00:00")).timestamp()


def manifest(host: Host) -> JSON:
    """A new Node, ready and with its GPUs."""
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": host.hostname,
        "kubernetes.io/os": "linux",
        POWERED[0]: POWERED[1],
        **ROLE_LABELS[host.role],
        # As GPU feature discovery has it.
        **({"nvidia.com/gpu.memory": "81559"} if host.gpus else {}),
    }
    taints = []
    if host.role == "control-plane":
        taints.append({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
    status = boot_status(host, {}, gpus=host.gpus)
    resources = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "1Ti"}
    status["capacity"] = {**resources, **status["capacity"]}
    status["allocatable"] = {**resources, **status["allocatable"]}
    status["addresses"] = [
        {"type": "InternalIP", "address": host.address},
        {"type": "Hostname", "address": host.hostname},
        # Where the API server finds the one process that runs commands in the pods of all simulated nodes.
        {"type": "InternalDNS", "address": "localhost"},
    ]
    status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": host.kubelet_port}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": host.node, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": taints},
        "status": status,
    }


def boot_status(host: Host, node: JSON, *, gpus: int = 0) -> JSON:
    """What a kubelet writes when it has started: its conditions, the boot id, and no GPU until a plugin registers."""
    now = stamp(time.time())
    before = {condition["type"]: condition for condition in node.get("status", {}).get("conditions", [])}
    conditions = []
    for kind, value, reason, message in CONDITIONS:
        old = before.get(kind, {})
        changed = now if old.get("status") != value else old["lastTransitionTime"]
        conditions.append(
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": changed,
            }
        )
    resources = {GPU: str(gpus)} if host.gpus else {}
    return {
        "phase": "Running",
        "conditions": conditions,
        "capacity": dict(resources),
        "allocatable": dict(resources),
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": host.boot_id,
            "containerRuntimeVersion": "containerd://1.6.20",
            "kernelVersion": "6.1.0",
            "kubeProxyVersion": "",
            "kubeletVersion": KUBERNETES_VERSION,
            "machineID": host.machine_id,
            "operatingSystem": "linux",
            "osImage": "Debian GNU/Linux 12 (bookworm)",
            "systemUUID": host.machine_id,
        },
    }


def heartbeat(node: JSON) -> float:
    """When the node last reported (seconds since the epoch); 0 if it never did."""
    for condition in node.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready" and condition.get("lastHeartbeatTime"):
            return seconds(condition["lastHeartbeatTime"])
    return 0.0


def boot_id(node: JSON) -> str:
    return str(node.get("status", {}).get("nodeInfo", {}).get("bootID", ""))


def plugin_evicted(node: JSON) -> bool:
    """Whether a taint keeps the GPU device plugin away, as it tolerates little (``lab.runai.service``).

    (The taints of the node's own conditions and a cordon are tolerated by every DaemonSet.)
    """
    return any(
        taint.get("effect") == "NoExecute" and not taint["key"].startswith((DRAIN_TAINT_OWNERS, FOR_GOOD))
        for taint in node.get("spec", {}).get("taints", [])
    )


def allocatable_gpus(node: JSON) -> int:
    return int(node.get("status", {}).get("allocatable", {}).get(GPU, "0"))
