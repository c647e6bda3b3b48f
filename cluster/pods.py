"""Reading a Pod object: whether the drain takes it away, and how long that lasts. Pure functions on the API's JSON.

None of them raises, whatever the pod looks like. What cannot be read is taken as the case that keeps a node from
being called drained: a pod that must go.
"""

from __future__ import annotations

import math
from typing import Any

from cluster import names
from cluster.node import Object

# https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#lifecycle
DEFAULT_GRACE_SECONDS = 30.0
MIRROR = "kubernetes.io/config.mirror"
_GPU_RESOURCES = ("nvidia.com/gpu", "nvidia.com/mig-", "amd.com/gpu")
# Shares of a GPU are asked for by annotation: https://github.com/NVIDIA/KAI-Scheduler/tree/main/docs/gpu-sharing
_SYSTEM_PATHS = ("/dev", "/proc", "/sys", "/run", "/var/run", "/etc", "/usr", "/lib", "/var/lib/kubelet", "/var/log")
_FRACTION, _FRACTION_DEVICES = "gpu-fraction", "gpu-fraction-num-devices"


def mapping(value: Any) -> Object:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Object]:
    """The JSON objects in the value if it is a list, else none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def name(pod: Object) -> str:
    """The pod's name."""
    return str(mapping(pod.get("metadata")).get("name", ""))


def namespace(pod: Object) -> str:
    """Its namespace."""
    return str(mapping(pod.get("metadata")).get("namespace", ""))


def uid(pod: Object) -> str:
    """Its uid."""
    return str(mapping(pod.get("metadata")).get("uid", ""))


def full_name(pod: Object) -> str:
    """``namespace/name``."""
    return f"{namespace(pod)}/{name(pod)}"


def labels(pod: Object) -> dict[str, str]:
    """Its labels."""
    return {str(key): str(value) for key, value in mapping(mapping(pod.get("metadata")).get("labels")).items()}


def notes(pod: Object) -> dict[str, str]:
    """Its annotations."""
    return {str(key): str(value) for key, value in mapping(mapping(pod.get("metadata")).get("annotations")).items()}


def controller(pod: Object) -> Object:
    """The owner reference that controls it, else its first one; empty when it has none."""
    references = objects(mapping(pod.get("metadata")).get("ownerReferences"))
    controlling = [one for one in references if one.get("controller") is True]
    return next(iter((*controlling, *references)), {})


def is_mirror(pod: Object) -> bool:
    """Whether it stands for a static pod of the kubelet's own: it can be neither evicted nor deleted."""
    return MIRROR in notes(pod)


def is_daemon(pod: Object) -> bool:
    """Whether a DaemonSet controls it."""
    return controller(pod).get("kind") == "DaemonSet"


def is_finished(pod: Object) -> bool:
    """Whether all its containers have ended for good."""
    return mapping(pod.get("status")).get("phase") in ("Succeeded", "Failed")


def is_ready(pod: Object) -> bool:
    """Whether its Ready condition is True."""
    conditions = objects(mapping(pod.get("status")).get("conditions"))
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def keeps_failing(pod: Object) -> bool:
    """Whether one of its containers does not get to run: its kubelet waits before the next try."""
    status = mapping(pod.get("status"))
    waits = (mapping(mapping(one.get("state")).get("waiting")) for one in objects(status.get("containerStatuses")))
    return any(one.get("reason") not in (None, "", "ContainerCreating", "PodInitializing") for one in waits)


def is_terminating(pod: Object) -> bool:
    """Whether its deletion was asked for."""
    return bool(mapping(pod.get("metadata")).get("deletionTimestamp"))


def toleration_seconds(pod: Object) -> float | None:
    """For how long it may stay under the drain taint: 0 when it does not tolerate it, None when it does for ever.

    As the taint eviction controller counts (``GetMatchingTolerations``, Kubernetes 1.34): the *first* toleration that
    matches decides, even when a later one is shorter.
    """
    for toleration in objects(mapping(pod.get("spec")).get("tolerations")):
        if _tolerates_drain(toleration):
            seconds = toleration.get("tolerationSeconds")
            return None if seconds is None else max(0.0, number(seconds))
    return 0.0


def _tolerates_drain(toleration: Object) -> bool:
    # https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    if (toleration.get("effect") or names.DRAIN_EFFECT) != names.DRAIN_EFFECT:
        return False
    if operator == "Exists":
        return key in ("", names.DRAIN_KEY)
    return operator == "Equal" and key == names.DRAIN_KEY and toleration.get("value") == names.DRAIN_VALUE


def tolerates_for_ever(pod: Object) -> bool:
    """Whether the drain taint leaves it where it is."""
    return toleration_seconds(pod) is None


def must_go(pod: Object) -> bool:
    """Whether it must be gone before the node is drained: neither a mirror pod, nor tolerating the taint for ever.

    Finished pods too: the taint removes them like any other, and one that stays shows that it did not.
    """
    return not is_mirror(pod) and not tolerates_for_ever(pod)


def grace_seconds(pod: Object) -> float:
    """How long it is given to end after its deletion was asked for."""
    deleting = mapping(pod.get("metadata")).get("deletionGracePeriodSeconds") if is_terminating(pod) else None
    given = mapping(pod.get("spec")).get("terminationGracePeriodSeconds") if deleting is None else deleting
    return DEFAULT_GRACE_SECONDS if given is None else max(0.0, number(given))


def gpus(pod: Object) -> float:
    """How many GPUs it asks for: whole ones and MIG slices by resource, shares by annotation."""
    spec = mapping(pod.get("spec"))
    running = sum(_asked(container) for container in objects(spec.get("containers")))
    starting = max((_asked(container) for container in objects(spec.get("initContainers"))), default=0.0)
    said = notes(pod)
    share = number(said.get(_FRACTION, 0)) * number(said.get(_FRACTION_DEVICES, 1))
    return max(running, starting) + share


def _asked(container: Object) -> float:
    resources = mapping(container.get("resources"))
    asked = {**mapping(resources.get("limits")), **mapping(resources.get("requests"))}
    return sum(number(value) for key, value in asked.items() if str(key).startswith(_GPU_RESOURCES))


def number(value: Any) -> float:
    """The value as a finite number that is not negative; 0 when it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return found if math.isfinite(found) and found >= 0 else 0.0


def local_data(pod: Object) -> tuple[str, ...]:
    """Volumes whose content is lost with the pod or left behind on the node: ``emptyDir`` on disk and ``hostPath``."""
    volumes = objects(mapping(pod.get("spec")).get("volumes"))
    return tuple(
        f"{one.get('name', '')} ({kind})"
        for one in volumes
        for kind, holds in (("emptyDir", _on_disk), ("hostPath", _keeps_files))
        if kind in one and holds(mapping(one[kind]))
    )


def _on_disk(volume: Object) -> bool:
    # In memory it is shared memory, which every training asks for, and nobody's data.
    return volume.get("medium") != "Memory"


def _keeps_files(volume: Object) -> bool:
    """Whether a ``hostPath`` may hold somebody's data, rather than a device, a socket or the system's own files."""
    path = str(volume.get("path") or "")
    system = any(path == top or path.startswith(f"{top}/") for top in _SYSTEM_PATHS)
    return not system and volume.get("type") not in ("Socket", "CharDevice", "BlockDevice")
