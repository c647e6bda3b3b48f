"""Reading a Node object: what it says about itself. Pure functions on the JSON of the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cluster import names
from cluster.plan import NodeKind

Object = dict[str, Any]
Taint = dict[str, str]

_ROLE = "node-role.kubernetes.io/"
SYSTEM_ROLE = "runai-system"
GPU_ROLE = "runai-gpu-worker"
CONTROL_PLANE_ROLES = ("control-plane", "master")
# Counted devices of the GPU vendors' plugins, MIG slices included (nvidia.com/mig-1g.5gb).
_GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/mig-", "amd.com/gpu")


def name(node: Object) -> str:
    """The Node's name."""
    return str(node["metadata"]["name"])


def roles(node: Object) -> tuple[str, ...]:
    """The roles that its ``node-role.kubernetes.io/`` labels give it (``true`` or empty; ``false`` is none)."""
    labels: dict[str, str] = node["metadata"].get("labels") or {}
    return tuple(
        sorted(key.removeprefix(_ROLE) for key, value in labels.items() if key.startswith(_ROLE) and value != "false")
    )


def kind(node: Object) -> NodeKind:
    """What kind of node it is, by this precedence: control plane, Run:ai system, GPU worker, CPU worker."""
    its = roles(node)
    if any(role in its for role in CONTROL_PLANE_ROLES):
        return "control-plane"
    if SYSTEM_ROLE in its:
        return "system"
    return "gpu-worker" if GPU_ROLE in its or gpus(node) else "cpu-worker"


def pool(node: Object) -> str:
    """The name of its Run:ai node pool, as Run:ai labels it; empty when it has none."""
    labels: dict[str, str] = node["metadata"].get("labels") or {}
    return labels.get("runai/node-pool", "")


def taints(node: Object) -> list[Taint]:
    """All its taints."""
    return list(node.get("spec", {}).get("taints") or ())


def is_drain(taint: Taint) -> bool:
    """Whether it is Run:ai's drain taint ``runai=drain:NoExecute``."""
    return (taint.get("key"), taint.get("value"), taint.get("effect")) == (
        names.DRAIN_KEY,
        names.DRAIN_VALUE,
        names.DRAIN_EFFECT,
    )


def drained_by_taint(node: Object) -> bool:
    """Whether Run:ai's drain taint stands on it."""
    return any(is_drain(taint) for taint in taints(node))


def is_out_of_service(taint: Taint) -> bool:
    """Whether it is Kubernetes' out-of-service taint, which force-deletes the pods of a node that is not Ready."""
    return taint.get("key") == names.OUT_OF_SERVICE_KEY and taint.get("effect") == names.DRAIN_EFFECT


def out_of_service(node: Object) -> bool:
    """Whether the out-of-service taint stands on it."""
    return any(is_out_of_service(taint) for taint in taints(node))


def unschedulable(node: Object) -> bool:
    """Whether it is cordoned."""
    return bool(node.get("spec", {}).get("unschedulable"))


def condition(node: Object, kind_of: str) -> Object:
    """One of its status conditions; empty when it has none of that type."""
    conditions: list[Object] = node.get("status", {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind_of), {})


def ready(node: Object) -> bool:
    """Whether its Ready condition is True. Just after a power-off that still holds: it proves nothing alone."""
    return condition(node, "Ready").get("status") == "True"


def boot_id(node: Object) -> str:
    """The boot id that its kubelet reported."""
    return str(node.get("status", {}).get("nodeInfo", {}).get("bootID", ""))


def machine_id(node: Object) -> str:
    """The machine id that its kubelet reported."""
    return str(node.get("status", {}).get("nodeInfo", {}).get("machineID", ""))


def address(node: Object) -> str:
    """Its first InternalIP; empty when it has none."""
    addresses: list[Object] = node.get("status", {}).get("addresses") or []
    return next((str(one["address"]) for one in addresses if one["type"] == "InternalIP"), "")


def gpus(node: Object) -> dict[str, int]:
    """The GPU resources that it can allocate now, by resource name."""
    allocatable: dict[str, Any] = node.get("status", {}).get("allocatable") or {}
    return {
        key: int(value)
        for key, value in sorted(allocatable.items())
        if key.startswith(_GPU_RESOURCES) and str(value).isdigit()
    }


def time_of(text: str) -> datetime:
    """A time of the API (RFC 3339, with or without fractions)."""
    return datetime.fromisoformat(text)
