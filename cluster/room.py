"""What a forecast needs to know of a cluster: the room on each node, and the pods that want some. Pure, and small.

Of each pod only what is needed is kept, so that the pods of a large cluster can be read a page at a time: of one that
runs, sums by priority; of one that keeps others away, its labels and affinity; of one that waits, what it asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from cluster import attachable, local_volumes, placement, pod_requests, rivalry
from cluster import node as node_
from cluster import pods as pod_
from cluster.node import Object
from cluster.pod_requests import Amounts

GPU = "nvidia.com/gpu"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_KEPT = ("nodeSelector", "affinity", "tolerations")
_POOL = ("runai/node-pool", "kai.scheduler/node-pool")
_SHARES = ("gpu-fraction", "gpu-memory")
_SHARED_DEVICES = "gpu-fraction-num-devices"
# A GPU that becomes shared is held by a pod of its own on the node. What that asks for besides can be configured, and
# is nothing or little: more than this is not reckoned with.
_RESERVATION: Amounts = {pod_requests.PODS: Fraction(1), "cpu": Fraction(1, 10), "memory": Fraction(128 << 20)}


@dataclass
class Room:
    """A node, and what is used of it.

    Attributes:
        node: the Node.
        used: what the pods that are bound to it ask for; None: that cannot be read, and nothing fits there.
        passing: of that, what may be free soon: of pods that end, or are promised a place here and may take another.
        by_priority: what those that are bound and do not end ask for, by priority, with their number as ``pods``.
        repelling: those that keep others away, as slim pods.
        shunned: those that some pod that moves must not be together with, as slim pods.
        ports: the ports of the node that are taken, with their protocols.
        claims: how many volumes of theirs may be attached.
    """

    node: Object
    used: Amounts | None = field(default_factory=dict)
    passing: Amounts = field(default_factory=dict)
    by_priority: dict[int, Amounts] = field(default_factory=dict)
    repelling: list[Object] = field(default_factory=list)
    shunned: list[Object] = field(default_factory=list)
    ports: set[tuple[int, str]] = field(default_factory=set)
    claims: int = 0

    @property
    def name(self) -> str:
        """The node's name."""
        return node_.name(self.node)

    def add(self, pod: Object, moving: Iterable[Object] = (), sizes: Sizes | None = None) -> None:
        """Count a pod that is bound to the node, or was promised a place on it.

        Args:
            moving: pods that may have to be apart from it.
            sizes: what pods take, as far as it is known already.
        """
        if pod_.is_finished(pod):
            return
        self.claims += attachable.claims(pod)
        asked = (sizes or Sizes()).of(pod)
        if asked is None:
            self.used = None
            return
        if pod_.is_terminating(pod) or not pod_.mapping(pod.get("spec")).get("nodeName"):
            _add(self.passing, asked)
        else:
            _add(self.by_priority.setdefault(priority(pod), {}), asked)
        if self.used is not None:
            _add(self.used, asked)
        self.ports |= ports(pod)
        if anti_affinity(pod):
            self.repelling.append(slim(pod))
        if any(placement.keys_apart(one, pod) for one in moving):
            self.shunned.append(slim(pod))

    @cached_property
    def free(self) -> rivalry.Units | None:
        """What is left for more pods; None: it cannot be read. Asked for when all pods are counted."""
        return self._without(self.used)

    def spare(self, priority: int | None) -> rivalry.Units | None:
        """What could be free at most: with all gone that may go soon, and all below a priority preempted."""
        if self.used is None:
            return None
        kept = [one for at, one in self.by_priority.items() if priority is None or at >= priority]
        return self._without(pod_requests.total(kept))

    def _without(self, used: Amounts | None) -> rivalry.Units | None:
        try:
            has = rivalry.room(pod_requests.allocatable(self.node))
        except ValueError:
            return None
        if used is None:
            return None
        taken = rivalry.units(used)
        return {key: amount - taken.get(key, 0) for key, amount in has.items()}


class Sizes:
    """What pods take of their nodes. Most of a cluster's pods are like others, and are counted once."""

    def __init__(self) -> None:
        self._known: dict[str, Amounts | None] = {}

    def of(self, pod: Object) -> Amounts | None:
        """What a bound pod takes; None: that cannot be read."""
        spec, status = pod_.mapping(pod.get("spec")), pod_.mapping(pod.get("status"))
        containers = [
            (one.get("resources"), one.get("restartPolicy"))
            for key in ("containers", "initContainers")
            for one in pod_.objects(spec.get(key))
        ]
        parts = len(pod_.objects(spec.get("initContainers"))), spec.get("resources"), spec.get("overhead")
        granted = [
            (one.get("allocatedResources"), one.get("resources"))
            for one in pod_.objects(status.get("containerStatuses"))
        ]
        key = repr((containers, parts, granted))
        if key not in self._known:
            try:
                self._known[key] = occupied(pod)
            except ValueError:
                self._known[key] = None
        return self._known[key]


@dataclass(frozen=True)
class Claimant:
    """A pod that wants room: it moves, or it waits already.

    Attributes:
        pod: slim: labels, node selector, affinity, tolerations.
        asks: what it may take; None: that cannot be read.
        least: what must be free of it where it is put: without a GPU for a share, of which one may be shared already.
        pool: the Run:ai node pool that it must stay in; None: it is not tied to one.
        volumes: the required node affinities of the volumes that it uses.
        ports: the ports of the node that it asks for, with their protocols.
        attaches: the CSI driver of each of its volumes that is attached.
        claims: how many volumes of its may have to be attached.
        share: MiB of one GPU that it shares: every GPU of its node must have them; 0: it does not say so.
        doubt: why it cannot be judged whether it finds a place, as the end of a sentence; empty: it can.
    """

    pod: Object
    asks: Amounts | None
    least: Amounts | None
    priority: int = 0
    preempts: bool = True
    pool: str | None = None
    volumes: tuple[Object, ...] = ()
    ports: frozenset[tuple[int, str]] = frozenset()
    attaches: tuple[str, ...] = ()
    claims: int = 0
    share: int = 0
    doubt: str = ""

    @property
    def name(self) -> str:
        """``namespace/name``."""
        return pod_.full_name(self.pod)


@dataclass(frozen=True)
class Volumes:
    """The volumes by which a pod can be judged.

    Attributes:
        affinities: claim (namespace/name) to the required node affinity of its volume; empty: any node will do.
        drivers: claim to the CSI driver of its volume, if it has one.
    """

    affinities: Mapping[str, Object] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)


def claimant(pod: Object, volumes: Volumes, pool: str = "", *, moving: bool = False) -> Claimant:
    """What a pod would ask for if it had to be placed anew.

    Args:
        pool: the node pool of the node where it runs now; empty: it runs nowhere, or there is no pool.
        moving: it is among those by which the rooms were gathered: what it must be apart from is known.
    """
    spec = pod_.mapping(pod.get("spec"))
    foreign = scheduler(pod) != ""
    said = {**pod_.notes(pod), **pod_.labels(pod)}
    named = next((said[key] for key in _POOL if said.get(key)), pool if foreign and pool else None)
    doubt, affinities = _doubt(pod, volumes)
    if anti_affinity(pod) and not moving:
        doubt = "it must be apart from other pods, which is not judged"
    try:
        least = pod_requests.of(pod)
        asks = _with_share(pod, least)
    except ValueError:
        least, asks, doubt = None, None, "what it asks for cannot be read"
    return Claimant(
        pod=slim(pod),
        asks=asks,
        least=least,
        priority=priority(pod),
        preempts=spec.get("preemptionPolicy") != "Never",
        pool=named,
        volumes=tuple(affinities),
        ports=frozenset(ports(pod)),
        attaches=tuple(volumes.drivers[one] for one in local_volumes.claims_of(pod) if one in volumes.drivers),
        claims=attachable.claims(pod),
        # Of another one that waits, a GPU too small is not sure to keep it away.
        share=math.ceil(pod_.number(pod_.notes(pod).get(_SHARES[1]))) if moving else 0,
        doubt=doubt,
    )


def scheduler(pod: Object) -> str:
    """Who places it; empty: Kubernetes' own scheduler."""
    name = str(pod_.mapping(pod.get("spec")).get("schedulerName") or "default-scheduler")
    return "" if name == "default-scheduler" else name


def priority(pod: Object) -> int:
    """Its priority, as the API server resolved it."""
    found = pod_.mapping(pod.get("spec")).get("priority")
    return found if isinstance(found, int) else 0


def anti_affinity(pod: Object) -> list[Object]:
    """The terms of its required anti-affinity."""
    affinity = pod_.mapping(pod_.mapping(pod.get("spec")).get("affinity"))
    return pod_.objects(pod_.mapping(affinity.get("podAntiAffinity")).get(REQUIRED))


def ports(pod: Object) -> set[tuple[int, str]]:
    """The ports of the node that it asks for, with their protocols; on whichever address."""
    spec = pod_.mapping(pod.get("spec"))
    containers = [*pod_.objects(spec.get("containers")), *pod_.objects(spec.get("initContainers"))]
    return {
        (int(pod_.number(port["hostPort"])), str(port.get("protocol") or "TCP"))
        for one in containers
        for port in pod_.objects(one.get("ports"))
        if port.get("hostPort")
    }


def slim(pod: Object) -> Object:
    """What placing a pod and keeping it apart from others needs of it."""
    metadata = pod_.mapping(pod.get("metadata"))
    spec = pod_.mapping(pod.get("spec"))
    return {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata},
        "spec": {key: spec[key] for key in _KEPT if spec.get(key)},
        "status": {"phase": pod_.mapping(pod.get("status")).get("phase")},
    }


def slim_node(node: Object) -> Object:
    """What placing pods needs of a Node: not its images, which are most of it."""
    metadata, spec, status = node["metadata"], pod_.mapping(node.get("spec")), pod_.mapping(node.get("status"))
    return {
        "metadata": {"name": metadata["name"], "labels": metadata.get("labels") or {}},
        "spec": {"taints": spec.get("taints") or [], "unschedulable": spec.get("unschedulable", False)},
        "status": {
            "conditions": [one for one in pod_.objects(status.get("conditions")) if one.get("type") == "Ready"],
            "allocatable": status.get("allocatable") or {},
        },
    }


def volumes_of(found: Iterable[Object]) -> Volumes:
    """Which claims are bound to PersistentVolumes that a pod can be judged by.

    Not those of zones by label, nor those that one pod alone may use, nor those attached by other means than CSI.
    """
    affinities: dict[str, Object] = {}
    drivers: dict[str, str] = {}
    for one in found:
        spec = pod_.mapping(one.get("spec"))
        driver = str(pod_.mapping(spec.get("csi")).get("driver") or "")
        plain = bool(driver) or any(key in spec for key in ("nfs", "hostPath", "local"))
        zones = any(key.endswith(("/zone", "/region")) for key in pod_.labels(one))
        once = "ReadWriteOncePod" in (spec.get("accessModes") or ())
        bound = pod_.mapping(one.get("status")).get("phase") == "Bound"
        claim = local_volumes.claim_of(one)
        if claim and bound and plain and not zones and not once:
            affinities[claim] = pod_.mapping(pod_.mapping(spec.get("nodeAffinity")).get("required"))
            if driver:
                drivers[claim] = driver
    return Volumes(affinities, drivers)


def occupied(pod: Object) -> Amounts:
    """What a pod that is bound takes of its node: what it asks for, or what it still has while it is being resized.

    Raises:
        ValueError: it cannot be read.
    """
    asked = pod_requests.of(pod)
    status = pod_.mapping(pod.get("status"))
    had = [
        {key: value for source in _granted(one) for key, value in source.items()}
        for one in pod_.objects(status.get("containerStatuses"))
    ]
    if not any(had):
        return asked
    resized = {"spec": {"containers": [{"resources": {"requests": one}} for one in had]}}
    given = pod_requests.of(resized)
    return {key: max(asked.get(key, Fraction(0)), given.get(key, Fraction(0))) for key in {**asked, **given}}


def _granted(status: Object) -> tuple[Object, Object]:
    # Whichever of the two is the larger; in nearly all cases they are the same.
    allocated = pod_.mapping(status.get("allocatedResources"))
    actual = pod_.mapping(pod_.mapping(status.get("resources")).get("requests"))
    try:
        bigger = pod_requests.of({"spec": {"containers": [{"resources": {"requests": actual}}]}})
        other = pod_requests.of({"spec": {"containers": [{"resources": {"requests": allocated}}]}})
    except ValueError:
        return allocated, actual
    more = {key: actual[key] for key in actual if bigger[key] >= other.get(key, Fraction(0))}
    return allocated, more


def _add(total: Amounts, more: Amounts) -> None:
    # As the scheduler counts: parts of a unit are rounded up, of each pod.
    for key, amount in more.items():
        total[key] = total.get(key, Fraction(0)) + rivalry.rounded(key, amount)


def _with_share(pod: Object, asked: Amounts) -> Amounts:
    """A share of a GPU may need a whole one, and a pod that holds it: whether one is shared already is not known."""
    said = pod_.notes(pod)
    if not any(key in said for key in _SHARES):
        return asked
    devices = Fraction(max(1, math.ceil(pod_.number(said.get(_SHARED_DEVICES, 1)) or 1)))
    each = {GPU: Fraction(1), **_RESERVATION}
    return pod_requests.total((asked, {key: devices * amount for key, amount in each.items()}))


def _doubt(pod: Object, volumes: Volumes) -> tuple[str, list[Object]]:
    """Why it cannot be judged where the pod can be placed; and the node affinities of its volumes."""
    spec = pod_.mapping(pod.get("spec"))
    affinity = pod_.mapping(spec.get("affinity"))
    if pod_.mapping(affinity.get("podAffinity")).get(REQUIRED):
        return "it must be near other pods, which is not judged", []
    spread = pod_.objects(spec.get("topologySpreadConstraints"))
    if any(one.get("whenUnsatisfiable") != "ScheduleAnyway" for one in spread):
        return "it must be spread over nodes or zones, which is not judged", []
    if spec.get("resourceClaims"):
        return "it claims devices, which is not judged", []
    return _volumes_doubt(spec, pod_.namespace(pod), volumes)


def _volumes_doubt(spec: Object, namespace: str, volumes: Volumes) -> tuple[str, list[Object]]:
    found: list[Object] = []
    for one in pod_.objects(spec.get("volumes")):
        claim = pod_.mapping(one.get("persistentVolumeClaim")).get("claimName")
        if not claim:
            if not attachable.EVERYWHERE & set(one):
                return f"its volume {one.get('name')} is of a kind that is not judged", []
            continue
        if f"{namespace}/{claim}" not in volumes.affinities:
            return f"whether the volume of its claim {claim} can be had on another node is not judged", []
        required = volumes.affinities[f"{namespace}/{claim}"]
        if required:
            found.append(required)
    return "", found
