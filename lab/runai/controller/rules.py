"""What is to be done about one workload and its pods, as they are now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.runai.custom_workloads import STALE_AFTER, STALE_SECONDS, SUSPENDED

JSON = dict[str, Any]
# On every pod that the controller makes: which one it is of its workload.
MADE_BY, INDEX = "lab/made-by", "lab/index"


@dataclass(frozen=True)
class Todo:
    """Pods to make and to delete (by name), and what the workload's status shall say."""

    make: tuple[JSON, ...] = ()
    delete: tuple[str, ...] = ()
    status: JSON | None = None


def value(body: JSON, field: str, default: Any = None) -> Any:
    """A field of the spec, wrapped in a ``value`` or not."""
    found = body.get("spec", {}).get(field, default)
    return found.get("value", default) if isinstance(found, dict) and set(found) == {"value"} else found


def suspended(*bodies: JSON) -> bool:
    """Whether one of them (a workload, or what it was made for) is suspended."""
    return any((body["metadata"].get("annotations") or {}).get(SUSPENDED) == "true" for body in bodies)


def owner_of(body: JSON) -> JSON:
    """The reference that makes an object the workload's own."""
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": body["metadata"]["name"],
        "uid": body["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def single(body: JSON, pods: list[JSON], *, halted: bool) -> Todo:
    """A workload with one pod: a RunaiJob. ``pods`` are its own; ``halted`` if it is suspended."""
    status = body.get("status") or {}
    alive = [pod for pod in pods if not finished(pod)]
    if halted:
        return Todo(delete=_names(pods), status={"phase": "Stopping" if pods else "Stopped", "made": 0})
    here = [pod for pod in alive if not terminating(pod)]
    if not status.get("made") and pods and not here:
        return Todo(status={"phase": "Resuming"})  # what was suspended is still ending
    made = max([int(status.get("made", 0)), *(_index(pod) + 1 for pod in pods)])
    if any(phase_of(pod) == "Succeeded" for pod in pods):
        return Todo(status={"phase": "Completed", "made": made})
    if here:
        return Todo(status={"phase": phase_of(here[0]), "made": made})
    again = _trains(body) and made <= int(value(body, "backoffLimit", 6))
    if made and not again:
        return Todo(status={"phase": "Failed", "made": made})
    name = body["metadata"]["name"]
    return Todo(make=(_pod(body, f"{name}-{made}-0", made),), status={"phase": "Pending", "made": made + 1})


def gang(body: JSON, pods: list[JSON], *, now: float, halted: bool) -> Todo:
    """A distributed workload: all of its pods, or none for longer than it may be stale. ``now`` is in seconds."""
    status = body.get("status") or {}
    alive = [pod for pod in pods if not finished(pod)]
    if halted:
        fresh = {"phase": "Stopping" if pods else "Stopped", "evicted": 0, "staleSince": None}
        return Todo(delete=_names(pods), status=fresh)
    wanted = [f"{body['metadata']['name']}-worker-{number}" for number in range(int(value(body, "numWorkers", 1)))]
    evicted = int(status.get("evicted", 0))
    if evicted > int(value(body, "backoffLimit", 6)):
        return Todo(delete=_names(alive), status={"phase": "Failed", "evicted": evicted, "staleSince": None})
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    ended = [pod for pod in pods if phase_of(pod) == "Succeeded"]
    if len(ended) == len(wanted):
        return Todo(status={"phase": "Completed", "evicted": evicted, "staleSince": None})
    runs = [pod for pod in alive if phase_of(pod) == "Running" and not terminating(pod)]
    stale = bool(runs) and len(runs) + len(ended) < len(wanted)
    since = (status.get("staleSince") or now) if stale else None
    if since is not None and now - since >= _stale_seconds(body):
        return Todo(delete=_names(alive), status={"phase": "Pending", "evicted": evicted + 1, "staleSince": None})
    failed = tuple(pod["metadata"]["name"] for pod in pods if phase_of(pod) == "Failed" and not terminating(pod))
    missing = [name for name in wanted if name not in by_name]
    make = tuple(_pod(body, name, wanted.index(name)) for name in missing)
    whole = len(runs) + len(ended) == len(wanted)
    phase = "Running" if whole else "Degraded" if runs else "Pending"
    return Todo(make, failed, {"phase": phase, "evicted": evicted, "staleSince": since})


def pod_group(body: JSON) -> JSON:
    """The PodGroup of a distributed workload."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    return {
        "apiVersion": "scheduling.run.ai/v2alpha2",
        "kind": "PodGroup",
        "metadata": {
            "name": group_name(body),
            "namespace": metadata["namespace"],
            "annotations": {
                "user": (metadata.get("annotations") or {}).get("user", ""),
                "run.ai/top-owner-metadata": _top_owner(body),
            },
            "ownerReferences": [owner_of(body)],
        },
        "spec": {
            "minMember": int(value(body, "numWorkers", 1)),
            "queue": labels.get("runai/queue", ""),
            "priorityClassName": labels.get("priorityClassName", ""),
        },
    }


def group_name(body: JSON) -> str:
    return f"pg-{body['metadata']['name']}-{body['metadata']['uid']}"


def job_of(body: JSON) -> JSON:
    """The RunaiJob that a training or interactive workload is run by."""
    metadata = body["metadata"]
    return {
        "apiVersion": "run.ai/v1",
        "kind": "RunaiJob",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata.get("labels") or {},
            "annotations": {"user": (metadata.get("annotations") or {}).get("user", "")},
            "ownerReferences": [owner_of(body)],
        },
        "spec": {"backoffLimit": value(body, "backoffLimit", 6), "template": value(body, "template", {})},
    }


def deployment_of(body: JSON) -> JSON:
    """The Deployment that an inference workload is served by."""
    metadata = body["metadata"]
    template = value(body, "template", {})
    labels = {"workloadName": metadata["name"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner_of(body)],
        },
        "spec": {"replicas": replicas(body), "selector": {"matchLabels": labels}, "template": template},
    }


def replicas(body: JSON) -> int:
    return 0 if suspended(body) else int(value(body, "minScale", 1))


def finished(pod: JSON) -> bool:
    return phase_of(pod) in ("Succeeded", "Failed")


def terminating(pod: JSON) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def phase_of(pod: JSON) -> str:
    return str((pod.get("status") or {}).get("phase", "Pending"))


def _trains(body: JSON) -> bool:
    spec = (value(body, "template", {}) or {}).get("spec", {})
    return str(spec.get("priorityClassName", "train")).startswith("train")


def _stale_seconds(body: JSON) -> float:
    said = (body["metadata"].get("annotations") or {}).get(STALE_AFTER, "")
    return float(said.removesuffix("s")) if said else STALE_SECONDS


def _names(pods: list[JSON]) -> tuple[str, ...]:
    return tuple(pod["metadata"]["name"] for pod in pods if not terminating(pod))


def _index(pod: JSON) -> int:
    return int((pod["metadata"].get("labels") or {}).get(INDEX, -1))


def _pod(body: JSON, name: str, index: int) -> JSON:
    template = value(body, "template", {})
    metadata = template.get("metadata", {})
    notes = {"run.ai/top-owner-metadata": _top_owner(body), **(metadata.get("annotations") or {})}
    if body["kind"] == "DistributedWorkload":
        notes["pod-group-name"] = group_name(body)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": name,
            "namespace": body["metadata"]["namespace"],
            "labels": {**(metadata.get("labels") or {}), MADE_BY: "controller", INDEX: str(index)},
            "annotations": notes,
            "ownerReferences": [owner_of(body)],
        },
        "spec": template["spec"],
    }


def _top_owner(body: JSON) -> str:
    """As NVIDIA's KAI scheduler writes it: YAML."""
    group, _, version = body["apiVersion"].rpartition("/")
    metadata = body["metadata"]
    return (
        f"name: {metadata['name']}\nuid: {metadata['uid']}\ngroup: {group}\nversion: {version}\nkind: {body['kind']}\n"
    )
