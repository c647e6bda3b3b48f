"""The parts of Run:ai's control plane that keep data on volumes: its database, and the store of its metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.runai.definitions import BACKEND
from lab.runai.releases import PASSWORD_KEY, PASSWORD_SECRET

JSON = dict[str, Any]
POSTGRESQL, THANOS = "runai-backend-postgresql", "runai-backend-thanos-receive"


@dataclass(frozen=True)
class Volume:
    """A part's volume.

    ``mount`` is its folder in the container and ``path`` the one on the node; it lies on ``node`` alone, or is
    everywhere ("").
    """

    mount: str
    path: str
    node: str = ""


@dataclass(frozen=True)
class Kept:
    """The database and the metrics of a lab.

    ``image`` is what both run, with ``thanos_command``; "": an image that is never started, as nodes are simulated.
    """

    password: str
    postgresql: Volume
    thanos: Volume
    image: str = ""
    thanos_command: tuple[str, ...] = ()


def volume(name: str, where: Volume) -> JSON:
    """The PersistentVolume for a part's first pod, bound to the claim that its StatefulSet will make."""
    body: JSON = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"lab/content": "service"}},
        "spec": {
            "capacity": {"storage": "8Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": BACKEND,
                "name": claim(name),
            },
        },
    }
    if where.node:
        term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [where.node]}]}
        body["spec"]["local"] = {"path": where.path}
        body["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    else:
        body["spec"]["hostPath"] = {"path": where.path, "type": "DirectoryOrCreate"}
    return body


def claim(name: str) -> str:
    """The claim of a part's first pod."""
    return f"data-{name}-0"


def keeping(body: JSON, where: Volume) -> JSON:
    """The StatefulSet, with its volume at ``where.mount``."""
    spec = body["spec"]
    spec["volumeClaimTemplates"] = [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "resources": {"requests": {"storage": "8Gi"}},
            },
        }
    ]
    spec["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": where.mount}]
    return body


def started_as_database(body: JSON, kept: Kept) -> JSON:
    """The StatefulSet of the database, with what its image needs; it is ready when it takes connections."""
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["name"] = "postgresql"
    container["ports"] = [{"name": "tcp-postgresql", "containerPort": 5432}]
    reference = {"secretKeyRef": {"name": PASSWORD_SECRET, "key": PASSWORD_KEY}}
    container["env"] = [{"name": "POSTGRES_PASSWORD", "valueFrom": reference}]
    if kept.image:
        container["image"] = kept.image
        del container["command"]
        command = ["pg_isready", "--quiet", "--username=postgres"]
        container["startupProbe"] = {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 120}
        container["readinessProbe"] = {"tcpSocket": {"port": 5432}, "periodSeconds": 10}
    return body


def started_as_metrics(body: JSON, kept: Kept) -> JSON:
    """The StatefulSet of the metrics' store."""
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["name"] = "receive"
    if kept.image:
        container |= {"image": kept.image, "command": list(kept.thanos_command)}
    return body
