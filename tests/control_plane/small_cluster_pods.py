"""Pods drawn at random for small clusters, with every rule by which the scheduler places pods."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

JSON = dict[str, Any]
NAMESPACE = "forecast"
LABEL = "forecast-world"
GPU, MIG, NIC = "nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "example.com/nic"
TAINT = {"key": "forecast", "value": "kept", "effect": "NoSchedule"}
HOSTNAME, ZONE, POOL = "kubernetes.io/hostname", "forecast-zone", "runai/node-pool"
RUNTIME = "forecast-sandboxed"
# Of these the lab has none that preempts.
PRIORITIES = {"forecast-low": (-5, "PreemptLowerPriority"), "forecast-urgent": (1000, "PreemptLowerPriority")}
_CLASSES = (*PRIORITIES, "train", "build")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def ground() -> list[JSON]:
    """What they refer to: their namespace, priority classes, a runtime class with an overhead."""
    classes = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "preemptionPolicy": policy,
        }
        for name, (value, policy) in PRIORITIES.items()
    ]
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *classes]


def runtime_class() -> JSON:
    """A runtime class whose pods take more than their containers ask for."""
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": RUNTIME},
        "handler": "none",
        "overhead": {"podFixed": {"cpu": "700m", "memory": "1Gi"}},
    }


def draw(world: str, name: str, chance: random.Random, *, pools: bool) -> JSON:
    """A pod for the cluster of this name, bound to no node."""
    spec: JSON = {
        "nodeSelector": {LABEL: world},
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [{"name": "main", "image": "none", "resources": _asked(chance)}],
    }
    if pools and chance.random() < 0.6:
        spec["nodeSelector"][POOL] = chance.choice(("a100", "h100"))
    if chance.random() < 0.12:
        spec["nodeSelector"][ZONE] = chance.choice("ab")
    if chance.random() < 0.3:
        spec["tolerations"] = [{"key": TAINT["key"], "operator": "Exists"}]
    elif chance.random() < 0.04:
        spec["tolerations"] = [{"operator": "Exists"}]
    if chance.random() < 0.3:
        spec["priorityClassName"] = chance.choice(_CLASSES)
    if chance.random() < 0.05:
        spec["runtimeClassName"] = RUNTIME
    _more_containers(spec, chance)
    _rules(spec, world, chance)
    labels = {LABEL: world, "app": f"{world}-{chance.choice('xyz')}"}
    metadata = {"name": f"{world}-{name}", "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def named(pod: JSON, name: str, **spec: Any) -> JSON:
    """The same pod by another name."""
    return {**pod, "metadata": {**pod["metadata"], "name": name}, "spec": {**pod["spec"], **spec}}


def again(pod: JSON) -> JSON:
    """The pod that a controller would make in the place of this one."""
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    return named({**pod, "spec": spec}, f"{pod['metadata']['name']}-again")


def _asked(chance: random.Random) -> JSON:
    if chance.random() < 0.05:
        return {}
    requests = {"cpu": f"{chance.randint(1, 40) * 100}m", "memory": f"{chance.randint(1, 12)}Gi"}
    if chance.random() < 0.1:
        requests["ephemeral-storage"] = f"{chance.randint(1, 8)}Gi"
    limits: JSON = {}
    gpus = chance.choice((0, 0, 1, 2, 4))
    if gpus:
        limits[GPU] = str(gpus)
    if chance.random() < 0.08:
        limits[MIG] = str(chance.randint(1, 3))
    if chance.random() < 0.06:
        limits[NIC] = "1"
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _more_containers(spec: JSON, chance: random.Random) -> None:
    def one(name: str, **more: str) -> JSON:
        asked = {"cpu": str(chance.randint(1, 4)), "memory": f"{chance.randint(1, 4)}Gi"}
        return {"name": name, "image": "none", "resources": {"requests": asked}, **more}

    first = []
    if chance.random() < 0.1:
        first.append(one("first"))
    if chance.random() < 0.06:
        first.append(one("beside", restartPolicy="Always"))
    if first:
        spec["initContainers"] = chance.sample(first, len(first))
    if chance.random() < 0.05:
        spec["containers"].append(one("second"))


def _rules(spec: JSON, world: str, chance: random.Random) -> None:
    def near() -> JSON:
        selector = {"matchLabels": {"app": f"{world}-{chance.choice('xyz')}"}}
        return {"labelSelector": selector, "topologyKey": chance.choice((HOSTNAME, ZONE))}

    affinity: JSON = {}
    rules: tuple[tuple[float, Callable[[], tuple[str, str, Any]]], ...] = (
        (0.07, lambda: ("podAntiAffinity", _REQUIRED, [near()])),
        (0.05, lambda: ("podAntiAffinity", _PREFERRED, [{"weight": 50, "podAffinityTerm": near()}])),
        (0.03, lambda: ("podAffinity", _REQUIRED, [near()])),
        (0.10, lambda: ("nodeAffinity", _REQUIRED, {"nodeSelectorTerms": [_zone(chance)]})),
        (0.08, lambda: ("nodeAffinity", _PREFERRED, [{"weight": 50, "preference": _zone(chance)}])),
    )
    for rate, drawn in rules:
        if chance.random() < rate:
            kind, strength, terms = drawn()
            affinity.setdefault(kind, {})[strength] = terms
    if affinity:
        spec["affinity"] = affinity
    if chance.random() < 0.06:
        strict = chance.choice(("DoNotSchedule", "ScheduleAnyway"))
        spec["topologySpreadConstraints"] = [{"maxSkew": 1, "whenUnsatisfiable": strict, **near()}]
    if chance.random() < 0.06:
        port = {"containerPort": 80, "hostPort": chance.choice((8080, 8081)), "protocol": chance.choice(("TCP", "UDP"))}
        spec["containers"][0]["ports"] = [port]


def _zone(chance: random.Random) -> JSON:
    operator = chance.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    values = {"values": [chance.choice("ab")]} if operator in ("In", "NotIn") else {}
    return {"matchExpressions": [{"key": ZONE, "operator": operator, **values}]}
