"""What of GPUs a pod asks for, in whole ones, slices and shares, and the pods that only hold a GPU for others. Pure.

Shares are asked for by annotation, slices (MIG) as a resource of their own. For a GPU that is shared the scheduler
makes a pod of its own that takes the whole of it; that one is nobody's work, and goes with those that share.
Sources: Run:ai's documentation of GPU fractions; NVIDIA/KAI-Scheduler, docs/gpu-sharing and pkg/common/constants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cluster import pods as pod_
from cluster.node import Object

RESERVATIONS = frozenset({"runai-reservation", "kai-resource-reservation"})
"""Namespaces, and values of the label ``app``, of pods that hold a GPU for others."""
_RESERVATION_NAME = "gpu-reservation-"
_RESERVATION_LABELS = ("runai-gpu-group", "kai.scheduler/gpu-group")
_WHOLE = ("nvidia.com/gpu", "amd.com/gpu")
_SLICE = "nvidia.com/mig-"
_FRACTION, _MEMORY, _DEVICES = "gpu-fraction", "gpu-memory", "gpu-fraction-num-devices"


def is_reservation(pod: Object) -> bool:
    """Whether the pod only holds a GPU for others that share it. Its namespace may have another name than usual."""
    labels = pod_.labels(pod)
    named = pod_.name(pod).startswith(_RESERVATION_NAME) and any(key in labels for key in _RESERVATION_LABELS)
    return pod_.namespace(pod) in RESERVATIONS or labels.get("app") in RESERVATIONS or named


def whole(pods: Iterable[Object]) -> int:
    """How many whole GPUs the pods ask for."""
    return sum(count for pod in pods for name, count in _asked(pod).items() if name in _WHOLE)


def shared(pods: Iterable[Object]) -> tuple[str, ...]:
    """The slices and shares of GPUs that the pods ask for, in words."""
    found: Counter[str] = Counter()
    for pod in pods:
        for name, count in _asked(pod).items():
            if name.startswith(_SLICE):
                found[f"MIG {name.removeprefix(_SLICE)}"] += count
        said = pod_.notes(pod)
        devices = max(1, int(pod_.number(said.get(_DEVICES, 1))))
        if fraction := pod_.number(said.get(_FRACTION)):
            found[f"{fraction:g} of a GPU"] += devices
        elif memory := pod_.number(said.get(_MEMORY)):
            found[f"{memory:g} MiB of a GPU"] += devices
    return tuple(f"{count} × {what}" if count > 1 else what for what, count in sorted(found.items()) if count)


def _asked(pod: Object) -> Counter[str]:
    """What its containers ask for together, or one that runs before them alone, whichever is more."""
    spec = pod_.mapping(pod.get("spec"))
    together: Counter[str] = Counter()
    for container in pod_.objects(spec.get("containers")):
        together.update(_of_container(container))
    for container in pod_.objects(spec.get("initContainers")):
        together |= _of_container(container)
    return together


def _of_container(container: Object) -> Counter[str]:
    resources = pod_.mapping(container.get("resources"))
    asked = {**pod_.mapping(resources.get("limits")), **pod_.mapping(resources.get("requests"))}
    return Counter({str(name): int(pod_.number(amount)) for name, amount in asked.items()})
