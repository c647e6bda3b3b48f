"""A lab's workloads and their pods as Run:ai's REST API tells of them, and what suspends and resumes one.

The id of a workload is the uid of its topmost object; so are those of pods. What is suspended has no pods: the lab's
controller sees to it for Run:ai's own kinds, and Kubernetes' controllers for what the old command line made.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from lab.api import Api, ApiError
from lab.runai.custom_workloads import SUSPENDED
from lab.runai.objects import path

JSON = dict[str, Any]
_PREFIX = "runai-"
_STORAGE_SECONDS = 10.0
# The resource, its API version and kind, what "type" says of it, and under which path it is suspended.
_KINDS = (
    ("run.ai/v2alpha1", "InteractiveWorkload", "interactiveworkloads", "workspace", "workspaces"),
    ("run.ai/v2alpha1", "TrainingWorkload", "trainingworkloads", "training", "trainings"),
    ("run.ai/v2alpha1", "DistributedWorkload", "distributedworkloads", "distributed", "distributed"),
    ("run.ai/v2alpha1", "InferenceWorkload", "inferenceworkloads", "inference", ""),
    ("run.ai/v1", "RunaiJob", "runaijobs", "runai-job", "trainings"),
    ("batch/v1", "Job", "jobs", "runai-job", "trainings"),
    ("apps/v1", "StatefulSet", "statefulsets", "runai-job", "workspaces"),
    ("apps/v1", "Deployment", "deployments", "", ""),
    ("apps/v1", "ReplicaSet", "replicasets", "", ""),
)


@dataclass(frozen=True)
class Work:
    """One workload: its object, what the API calls it, its pods."""

    body: JSON
    type: str
    path: str
    pods: tuple[JSON, ...]

    @property
    def project(self) -> str:
        return str(self.body["metadata"]["namespace"]).removeprefix(_PREFIX)

    @property
    def suspended(self) -> bool:
        if self.body["kind"] == "Job":
            return bool(self.body["spec"].get("suspend"))
        if self.body["kind"] == "StatefulSet":
            return not self.body["spec"].get("replicas", 1)
        return (self.body["metadata"].get("annotations") or {}).get(SUSPENDED) == "true"

    @property
    def phase(self) -> str:
        if self.body["metadata"].get("deletionTimestamp"):
            return "Deleting"
        if self.suspended:
            return "Stopping" if self.pods else "Stopped"
        told = str((self.body.get("status") or {}).get("phase", ""))
        if told in ("Completed", "Failed"):
            return told
        return "Running" if any(pod["status"].get("phase") == "Running" for pod in self.pods) else "Pending"

    def document(self) -> JSON:
        """As ``GET /api/v1/workloads/{id}`` answers."""
        metadata = self.body["metadata"]
        return {
            "id": metadata["uid"],
            "name": metadata["name"],
            "type": self.type,
            "namespace": metadata["namespace"],
            "projectName": self.project,
            "submittedBy": (metadata.get("annotations") or {}).get("user", ""),
            "phase": self.phase,
            "preemptible": self.path != "workspaces",
            "runningPods": sum(pod["status"].get("phase") == "Running" for pod in self.pods),
            "actionsSupport": {"delete": True, "suspend": bool(self.path)},
        }

    def pod_document(self, pod: JSON, *, full: bool) -> JSON:
        """As ``GET /api/v1/workloads/pods`` lists it."""
        brief = {
            "id": pod["metadata"]["uid"],
            "name": pod["metadata"]["name"],
            "workloadId": self.body["metadata"]["uid"],
            "nodeName": pod["spec"].get("nodeName"),
            "priorityClassName": pod["spec"].get("priorityClassName", ""),
            "createdAt": pod["metadata"]["creationTimestamp"],
            "k8sPhase": pod["status"].get("phase", "Pending"),
            "containers": [{"name": one["name"], "image": one["image"]} for one in pod["spec"]["containers"]],
        }
        names = {"projectName": self.project, "workloadName": self.body["metadata"]["name"]}
        return {**brief, **names} if full else brief


def every(api: Api) -> dict[str, Work]:
    """All workloads of projects, by id."""
    objects, owners = dict[str, tuple[JSON, str, str]](), dict[str, str]()
    for version, kind, plural, told, where in _KINDS:
        for body in _list(api, version, plural):
            if not _in_project(body):
                continue
            uid, above = body["metadata"]["uid"], _owner(body)
            objects[uid] = ({**body, "apiVersion": version, "kind": kind}, told, _path(body, kind, where))
            if above:
                owners[uid] = above
    pods: dict[str, list[JSON]] = {}
    for pod in api.items("/api/v1/pods"):
        if _in_project(pod):
            pods.setdefault(_top(_owner(pod), owners, objects), []).append(pod)
    return {
        uid: Work(body, told, where, tuple(pods.get(uid, ())))
        for uid, (body, told, where) in objects.items()
        if told and owners.get(uid) not in objects
    }


def set_suspended(api: Api, work: Work, *, suspended: bool) -> None:
    """Suspend or resume it. Raises ApiError."""
    kind = work.body["kind"]
    if kind == "Job":
        change: JSON = {"spec": {"suspend": suspended}}
    elif kind == "StatefulSet":
        change = {"spec": {"replicas": 0 if suspended else 1}}
    else:
        change = {"metadata": {"annotations": {SUSPENDED: "true" if suspended else None}}}
    api.patch(path(work.body), change)


def _path(body: JSON, kind: str, where: str) -> str:
    interactive = (body["metadata"].get("labels") or {}).get("priorityClassName") == "build"
    return "workspaces" if kind == "RunaiJob" and interactive else where


def _list(api: Api, version: str, plural: str) -> list[JSON]:
    end = time.monotonic() + _STORAGE_SECONDS
    while True:
        try:
            return api.items(f"/apis/{version}/{plural}")
        except ApiError as error:
            if error.status == 404:
                return []
            # The API server says 429 for as long as it prepares its storage of a kind that nobody has asked for yet.
            if error.status not in (0, 429) or time.monotonic() > end:
                raise
        time.sleep(0.3)


def _in_project(body: JSON) -> bool:
    namespace = str(body["metadata"].get("namespace", ""))
    return namespace.startswith(_PREFIX) and namespace not in ("runai-backend", "runai-reservation", "runai-downtime")


def _owner(body: JSON) -> str:
    references = body["metadata"].get("ownerReferences") or []
    return next((str(one["uid"]) for one in references if one.get("controller")), "")


def _top(uid: str, owners: dict[str, str], objects: dict[str, tuple[JSON, str, str]]) -> str:
    while owners.get(uid) in objects:
        uid = owners[uid]
    return uid
