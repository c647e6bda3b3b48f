"""Small clusters drawn at random, beside each other in one lab: nodes of their own, and pods that go to no others.

They do not weaken what is shown: every pod asks for the label of its cluster's nodes, no rule that keeps pods apart or
near reaches over it, and the forecast is given the nodes and pods of its cluster alone.

Nothing runs on these nodes, not even a kubelet: the scheduler, which is asked, looks at objects alone. So that they do
not count as not ready after a few seconds, somebody must renew their leases (:class:`Heart`).
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.api import Api
from lab.errors import LabError
from lab.runai import objects
from tests.control_plane import small_cluster_pods, small_cluster_volumes
from tests.control_plane.small_cluster_pods import GPU, HOSTNAME, LABEL, MIG, NAMESPACE, NIC, POOL, TAINT, ZONE

JSON = dict[str, Any]
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_LEASE_SECONDS = 40
_RENEWED_EVERY = 1.5


@dataclass
class World:
    """One of them: the first node goes down, and is cordoned from the start.

    Attributes:
        bound: pods that run on a node from the start.
        early: pods that are left to the scheduler before anything moves: some may wait.
        storage: volumes of some of the pods, and what the nodes say of their driver.
        gangs: the pods that move, by what they are called, as workloads of one or several pods.
    """

    name: str
    nodes: list[JSON] = field(default_factory=list)
    bound: list[JSON] = field(default_factory=list)
    early: list[JSON] = field(default_factory=list)
    storage: list[JSON] = field(default_factory=list)
    gangs: list[list[str]] = field(default_factory=list)

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
    pools = chance.random() < 0.3
    for at in range(chance.randint(2, 6)):
        world.nodes.append(_node(world, at, chance, pools=pools))
    crowd = chance.choice((1, 1, 2))
    for at, node in enumerate(world.nodes):
        for number in range(chance.randint(1, 3) if at == 0 else chance.randint(0, crowd)):
            pod = small_cluster_pods.draw(name, f"r{at}-{number}", chance, pools=pools)
            alike = chance.choice((2, 3)) if at == 0 and chance.random() < 0.15 else 1
            gang = []
            for copy in range(alike):
                one = small_cluster_pods.named(pod, f"{name}-r{at}-{number}-{copy}", nodeName=node["metadata"]["name"])
                world.bound.append(one)
                gang.append(one["metadata"]["name"])
            if at == 0:
                world.gangs.append(gang)
    for number in range(chance.choice((0, 0, 0, 1, 3))):
        world.early.append(small_cluster_pods.draw(name, f"early-{number}", chance, pools=pools))
    if chance.random() < 0.2:
        _draw_volumes(world, chance)
    return world


def _draw_volumes(world: World, chance: random.Random) -> None:
    for node in world.nodes:
        if chance.random() < 0.85:
            world.storage.append(small_cluster_volumes.csi_node(node, chance))
    for pod in (*world.bound, *world.early):
        if chance.random() < 0.4:
            world.storage += small_cluster_volumes.give(pod, f"{pod['metadata']['name']}-data")


def create(api: Api, bodies: Iterable[JSON]) -> None:
    """Create the objects, several at a time."""
    _all(lambda body: objects.create(api, body), bodies)


def delete(api: Api, bodies: Iterable[JSON]) -> None:
    """Delete the objects at once."""
    _all(lambda body: api.delete(objects.path(body), gracePeriodSeconds=0), bodies)


def clear(api: Api) -> None:
    """Take away whatever there is of any of them."""
    api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods", gracePeriodSeconds=0)
    api.delete(f"/api/v1/nodes?labelSelector={LABEL}")
    api.delete(f"{_LEASES}?labelSelector={LABEL}")
    small_cluster_volumes.clear(api)


class Heart:
    """Renews the leases of nodes, as their kubelets would."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._leases: list[JSON] = []
        self._ended = threading.Event()

    @contextlib.contextmanager
    def beating(self, worlds: Iterable[World]) -> Iterator[None]:
        """Make leases for their nodes, and renew them for as long as this lasts."""
        names = [node["metadata"]["name"] for world in worlds for node in world.nodes]
        self._leases = [_lease(name) for name in names]
        create(self._api, self._leases)
        self._ended.clear()
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(30)

    def _beat(self) -> None:
        while not self._ended.wait(_RENEWED_EVERY):
            with contextlib.suppress(LabError):  # the next one comes soon; nodes that are lost are noticed
                _all(self._renew, self._leases, threads=4)

    def _renew(self, lease: JSON) -> None:
        if not self._ended.is_set():
            self._api.patch(f"{_LEASES}/{lease['metadata']['name']}", {"spec": {"renewTime": _now()}})


def lost(api: Api) -> list[str]:
    """Nodes that count as lost, as if nobody had renewed their leases."""
    return [
        node["metadata"]["name"]
        for node in api.items(f"/api/v1/nodes?labelSelector={LABEL}")
        if any(one["key"].startswith("node.kubernetes.io/un") and one["effect"] == "NoExecute" for one in _taints(node))
    ]


def taken_in(api: Api) -> bool:
    """Whether no node is tainted as not ready any more, as each is for a moment when it is made."""
    nodes = api.items(f"/api/v1/nodes?labelSelector={LABEL}")
    return not any(one["key"].startswith("node.kubernetes.io/not-ready") for node in nodes for one in _taints(node))


def _taints(node: JSON) -> list[JSON]:
    return node["spec"].get("taints") or []


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(name: str) -> JSON:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease", "labels": {LABEL: "drawn"}},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": _now()},
    }


def _all(do: Callable[[JSON], object], bodies: Iterable[JSON], threads: int = 8) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(do, bodies))


def _node(world: World, at: int, chance: random.Random, *, pools: bool) -> JSON:
    name = f"{world.name}-n{at}"
    room = {
        "cpu": str(chance.randint(4, 12)),
        "memory": f"{chance.randint(8, 32)}Gi",
        "pods": str(chance.choice((3, 10, 110))),
        "ephemeral-storage": f"{chance.choice((10, 100))}Gi",
        GPU: str(chance.choice((0, 2, 4, 8))),
    }
    if chance.random() < 0.2:
        room[MIG] = str(chance.randint(1, 7))
    if chance.random() < 0.2:
        room[NIC] = str(chance.randint(1, 2))
    labels = {LABEL: world.name, HOSTNAME: name}
    if chance.random() < 0.9:
        labels[ZONE] = chance.choice("ab")
    if pools:
        labels[POOL] = chance.choice(("a100", "h100"))
    taints = [TAINT] if chance.random() < 0.2 else []
    if at and chance.random() < 0.04:
        taints.append({"key": "runai", "value": "drain", "effect": "NoExecute"})
    if chance.random() < 0.1:
        taints.append({"key": "rather", "value": "not", "effect": "PreferNoSchedule"})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"unschedulable": at == 0 or chance.random() < 0.08, "taints": taints},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "drawn"}],
        },
    }
