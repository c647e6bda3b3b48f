"""The last system node of a lab: the others cordoned, parts of the service on it, and a node that could stand in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.options import PlannedOptions
from lab.api import Api
from lab.patience import until
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED

JSON = dict[str, Any]
LABEL = "node-role.kubernetes.io/runai-system"
DESIGNATED = "runai-downtime/designated"
LAB_SYSTEMS = ("system-1", "system-2")
NAMESPACE = "runai"
GROUP = "lab/group"


@dataclass(frozen=True)
class Last:
    """A system node that no other can take over from, and one that could be designated.

    Attributes:
        parts: names of the controllers whose pods run on it: a Deployment and a StatefulSet.
    """

    api: Api
    system: str
    spare: str
    parts: tuple[str, str]
    namespace: str = NAMESPACE

    def options(self, **more: Any) -> PlannedOptions:
        """Through everything without a person, with the spare one designated."""
        return UNATTENDED.model_copy(update={"designate": self.spare, **more})

    def where(self) -> dict[str, str]:
        """On which node each of its parts runs now; empty: on none."""
        found: dict[str, str] = dict.fromkeys(self.parts, "")
        for pod in self.api.items(f"/api/v1/namespaces/{self.namespace}/pods"):
            name = pod["metadata"].get("labels", {}).get("app", "")
            if name in found and pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                found[name] = pod["spec"].get("nodeName", "")
        return found

    def all_on(self, node: str) -> bool:
        """Whether all of its parts run there."""
        return set(self.where().values()) == {node}

    def labelled(self, node: str = "") -> bool:
        """Whether the spare one (or another) carries the label of a system node."""
        return LABEL in self.node(node or self.spare)["metadata"]["labels"]

    def mark(self) -> str:
        """The annotation on the spare one."""
        return str(self.node(self.spare)["metadata"].get("annotations", {}).get(DESIGNATED, ""))

    def node(self, name: str) -> JSON:
        """A Node."""
        return self.api.get(f"/api/v1/nodes/{name}")


@contextmanager
def others_cordoned(api: Api) -> Iterator[None]:
    """The lab's own system nodes take nothing over meanwhile."""
    try:
        for name in LAB_SYSTEMS:
            api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
        yield
    finally:
        for name in LAB_SYSTEMS:
            api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": None}})


def last_one(api: Api, make_node: MakeNode, make_object: MakeObject, *, volume: bool = False, group: str = "") -> Last:
    """Make a system node with parts of the service on it, and a CPU node beside it.

    Args:
        volume: the StatefulSet keeps its data on a volume of the node itself.
        group: only these two nodes suit the parts, so that others of their kind may be there as well. What moves of
            one must not count as a degraded Run:ai service for the next, so they are no parts of it.
    """
    system, spare = make_node(role="system").node, make_node(role="cpu").node
    parts = (f"part-{system}", f"database-{system}")
    if volume:
        for body in local_volume(parts[1], system):
            make_object(body)
    for name in (system, spare) if group else ():
        api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {GROUP: group}}})
    namespace = "kube-system" if group else NAMESPACE
    make_object(part("Deployment", parts[0], group=group, namespace=namespace))
    make_object(part("StatefulSet", parts[1], claim=parts[1] if volume else "", group=group, namespace=namespace))
    made = Last(api, system, spare, parts, namespace)
    until(lambda: made.all_on(system), seconds=40, what=f"the parts of the service do not run on {system}")
    return made


def part(kind: str, name: str, *, claim: str = "", group: str = "", namespace: str = NAMESPACE) -> JSON:
    """A part of the service that asks for a system node."""
    labels = {"app": name}
    container = {"name": "main", "image": "localhost/kube/lab:1", "resources": {"requests": {"cpu": "1"}}}
    selector = {LABEL: "true", **({GROUP: group} if group else {})}
    spec: JSON = {"nodeSelector": selector, "terminationGracePeriodSeconds": 1, "containers": [container]}
    if claim:
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    body: JSON = {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    if kind == "StatefulSet":
        body["spec"]["serviceName"] = name
    return body


def local_volume(name: str, node: str) -> list[JSON]:
    """A volume that lies on this node alone, and the claim that it is bound to."""
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    size = {"storage": "1Gi"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": size,
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "local": {"path": "/data"},
                "claimRef": {"namespace": NAMESPACE, "name": name},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "volumeName": name,
                "resources": {"requests": size},
            },
        },
    ]
