"""Small clusters drawn at random, beside each other in one lab: nodes of their own, and pods that go to no others.

Nothing runs on these nodes, not even a kubelet: the scheduler, which is asked, looks at objects alone. A cluster lives
for seconds, less than it takes until a node that does not report counts as not ready.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lab.api import Api
from lab.runai import objects

JSON = dict[str, Any]
NAMESPACE = "forecast"
LABEL = "forecast-world"
GPU = "nvidia.com/gpu"
TAINT = {"key": "forecast", "value": "kept", "effect": "NoSchedule"}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ZONE = "forecast-zone"


@dataclass
class World:
    """One of them: the first node goes down, and is cordoned from the start.

    Attributes:
        bound: pods that run on a node from the start.
        early: pods that are left to the scheduler before anything moves: some may wait.
    """

    name: str
    nodes: list[JSON] = field(default_factory=list)
    bound: list[JSON] = field(default_factory=list)
    early: list[JSON] = field(default_factory=list)

    @property
    def leaving(self) -> str:
        """The node that goes down."""
        return str(self.nodes[0]["metadata"]["name"])

    @property
    def moving(self) -> list[JSON]:
        """The pods on it."""
        return [one for one in self.bound if one["spec"]["nodeName"] == self.leaving]


def draw(name: str, chance: random.Random) -> World:
    """A cluster of two to six nodes, in which there is some room, but often not for all."""
    world = World(name)
    for at in range(chance.randint(2, 6)):
        world.nodes.append(_node(world, at, chance))
    for at, node in enumerate(world.nodes):
        for number in range(chance.randint(1, 4) if at == 0 else chance.randint(0, 2)):
            pod = _pod(world, f"r{at}-{number}", chance)
            pod["spec"]["nodeName"] = node["metadata"]["name"]
            world.bound.append(pod)
    for number in range(chance.choice((0, 0, 1, 3))):
        world.early.append(_pod(world, f"early-{number}", chance))
    return world


def again(pod: JSON) -> JSON:
    """The pod that a controller would make in the place of this one."""
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    metadata = {**pod["metadata"], "name": f"{pod['metadata']['name']}-again"}
    return {**pod, "metadata": metadata, "spec": spec}


def create(api: Api, bodies: Iterable[JSON]) -> None:
    """Create the objects, several at a time."""
    _all(lambda body: objects.create(api, body), bodies)


def delete(api: Api, bodies: Iterable[JSON]) -> None:
    """Delete the objects at once."""
    _all(lambda body: api.delete(objects.path(body), gracePeriodSeconds=0), bodies)


def clear(api: Api) -> None:
    """Take away whatever there is of any of them."""
    delete(api, [{**one, **_kind("Pod")} for one in api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")])
    delete(api, [{**one, **_kind("Node")} for one in api.items(f"/api/v1/nodes?labelSelector={LABEL}")])


def _all(do: Callable[[JSON], object], bodies: Iterable[JSON]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(do, bodies))


def _kind(kind: str) -> JSON:
    return {"apiVersion": "v1", "kind": kind}


def _node(world: World, at: int, chance: random.Random) -> JSON:
    name = f"{world.name}-n{at}"
    room = {
        "cpu": str(chance.randint(4, 12)),
        "memory": f"{chance.randint(8, 32)}Gi",
        "pods": str(chance.choice((3, 10, 110))),
        "ephemeral-storage": "100Gi",
        GPU: str(chance.choice((0, 2, 4, 8))),
    }
    return {
        **_kind("Node"),
        "metadata": {
            "name": name,
            "labels": {LABEL: world.name, "kubernetes.io/hostname": name, _ZONE: chance.choice("ab")},
        },
        "spec": {
            "unschedulable": at == 0 or chance.random() < 0.08,
            "taints": [TAINT] if chance.random() < 0.2 else [],
        },
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "drawn"}],
        },
    }


def _pod(world: World, name: str, chance: random.Random) -> JSON:
    requests = {"cpu": f"{chance.randint(1, 40) * 100}m", "memory": f"{chance.randint(1, 12)}Gi"}
    gpus = chance.choice((0, 0, 1, 2, 4))
    asked = {"requests": requests, **({"limits": {GPU: str(gpus)}} if gpus else {})}
    spec: JSON = {
        "nodeSelector": {LABEL: world.name},
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": "none", "resources": asked}],
    }
    if chance.random() < 0.15:
        spec["nodeSelector"][_ZONE] = chance.choice("ab")
    if chance.random() < 0.3:
        spec["tolerations"] = [{"key": TAINT["key"], "operator": "Exists"}]
    if chance.random() < 0.3:
        spec["priorityClassName"] = chance.choice(("train", "build"))
    if chance.random() < 0.1:
        spec["initContainers"] = [
            {"name": "first", "image": "none", "resources": {"requests": {"cpu": f"{chance.randint(1, 6)}"}}}
        ]
    app = f"{world.name}-{chance.choice('xyz')}"
    _rules(spec, world, chance)
    metadata = {"name": f"{world.name}-{name}", "namespace": NAMESPACE, "labels": {LABEL: world.name, "app": app}}
    return {**_kind("Pod"), "metadata": metadata, "spec": spec}


def _rules(spec: JSON, world: World, chance: random.Random) -> None:
    near = {
        "labelSelector": {"matchLabels": {"app": f"{world.name}-{chance.choice('xyz')}"}},
        "topologyKey": chance.choice(("kubernetes.io/hostname", _ZONE)),
    }
    affinity: JSON = {}
    if chance.random() < 0.06:
        affinity["podAntiAffinity"] = {_REQUIRED: [near]}
    if chance.random() < 0.03:
        affinity["podAffinity"] = {_REQUIRED: [near]}
    if chance.random() < 0.1:
        term = {"matchExpressions": [{"key": _ZONE, "operator": "NotIn", "values": [chance.choice("ab")]}]}
        affinity["nodeAffinity"] = {_REQUIRED: {"nodeSelectorTerms": [term]}}
    if affinity:
        spec["affinity"] = affinity
    if chance.random() < 0.04:
        spec["topologySpreadConstraints"] = [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **near}]
