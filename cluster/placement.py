"""Whether pods could be placed on other nodes: what the scheduler would refuse, said beforehand. Pure.

Judged are readiness, cordon, taints, node selector, required node affinity, required pod anti-affinity (of the pod, and
of those that are there), and requests against what is free. Not judged are required pod *affinity*, topology spread,
host ports and volumes. Several pods are placed one after the other, the largest first; a packing that exists may be
missed, but one that is found is real. What cannot be read counts as not fitting.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from cluster import disruption, inventory, pod_requests, quantities, taints
from cluster import node as node_
from cluster import pods as pod_
from cluster.inventory import NodeSummary
from cluster.node import Object


@dataclass(frozen=True)
class Place:
    """A node, and the pods that are bound to it."""

    node: Object
    pods: tuple[Object, ...] = ()

    @property
    def name(self) -> str:
        """The node's name."""
        return node_.name(self.node)

    @cached_property
    def state(self) -> NodeSummary:
        """The node in a few words."""
        return inventory.summary(self.node)

    @cached_property
    def free(self) -> pod_requests.Amounts:
        """What is left for more pods, by resource. Raises ValueError: it cannot be read."""
        used = pod_requests.total(pod_requests.of(one) for one in self.pods if not pod_.is_finished(one))
        return {key: has - used.get(key, Fraction(0)) for key, has in pod_requests.allocatable(self.node).items()}

    @cached_property
    def repelling(self) -> tuple[Object, ...]:
        """The pods on it that keep others away."""
        return tuple(pod for pod in self.pods if _repels_some(pod))

    def labelled(self, labels: Mapping[str, str]) -> Place:
        """The same node, if it had these labels too."""
        metadata = {**self.node["metadata"], "labels": {**(self.node["metadata"].get("labels") or {}), **labels}}
        return replace(self, node={**self.node, "metadata": metadata})


def unplaced(pods: Iterable[Object], places: Sequence[Place], most: int | None = None) -> dict[str, str]:
    """The pods that would find no place on these nodes: ``namespace/name`` to why, each node named.

    Args:
        most: look no further once so many are found; None: find all.
    """
    now = {place.name: place for place in places}
    left: dict[str, str] = {}
    for pod in sorted(pods, key=_size, reverse=True):
        reasons = []
        for name, place in now.items():
            reason = objection(pod, place, tuple(now.values()))
            if not reason:
                now[name] = replace(place, pods=(*place.pods, pod))
                break
            reasons.append(f"{name} {reason}")
        else:
            left[pod_.full_name(pod)] = "; ".join(reasons) or "there is no node for it"
            if most is not None and len(left) >= most:
                break
    return left


def objection(pod: Object, place: Place, places: Sequence[Place] = ()) -> str:
    """Why the pod cannot be placed on this node now, as the end of a sentence; empty: it can.

    Args:
        places: all nodes whose pods count for anti-affinity across nodes (zones); the node's own always do.
    """
    if not place.state.ready:
        return "is not Ready"
    if place.state.unschedulable:
        return "is cordoned"
    away = taints.keeping_away(pod, node_.taints(place.node))
    if away:
        return f"has a taint that it does not tolerate ({taints.text(away[0])})"
    if not selected(pod, place.node):
        return "has not the labels that it asks for"
    small = _too_small(pod, place)
    if small:
        return small
    near = (place, *(other for other in places if other.name != place.name))
    return "has a pod that it must not be together with" if any(_apart(pod, place, one) for one in near) else ""


def selected(pod: Object, node: Object) -> bool:
    """Whether the pod's node selector and required node affinity accept the node."""
    spec = pod_.mapping(pod.get("spec"))
    labels = pod_.labels(node)
    if any(labels.get(str(key)) != value for key, value in pod_.mapping(spec.get("nodeSelector")).items()):
        return False
    affinity = pod_.mapping(pod_.mapping(spec.get("affinity")).get("nodeAffinity"))
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not isinstance(required, dict):
        return True
    fields = {"metadata.name": node_.name(node)}
    # The terms are alternatives; one without any expression selects nothing.
    return any(
        bool(term.get("matchExpressions") or term.get("matchFields"))
        and all(_holds(one, labels) for one in pod_.objects(term.get("matchExpressions")))
        and all(_holds(one, fields) for one in pod_.objects(term.get("matchFields")))
        for term in pod_.objects(required.get("nodeSelectorTerms"))
    )


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, operator, values = str(expression.get("key")), expression.get("operator"), expression.get("values") or []
    value = labels.get(key)
    if operator in ("Gt", "Lt"):
        try:
            there, bound = int(value or ""), int(values[0])
        except (ValueError, TypeError, IndexError):
            return False
        return there > bound if operator == "Gt" else there < bound
    holds = {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return holds.get(str(operator), False)


def _apart(pod: Object, here: Place, where: Place) -> bool:
    """Whether the pod on this node and one that is there must not be near each other, whichever of them says so."""
    if _repels_some(pod) and any(repels(pod, there, here.node, where.node) for there in where.pods):
        return True
    return any(repels(there, pod, where.node, here.node) for there in where.repelling)


def _terms(pod: Object) -> list[Object]:
    affinity = pod_.mapping(pod_.mapping(pod_.mapping(pod.get("spec")).get("affinity")).get("podAntiAffinity"))
    return pod_.objects(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))


def _repels_some(pod: Object) -> bool:
    return bool(_terms(pod)) and not pod_.is_finished(pod)


def repels(one: Object, other: Object, node: Object, others_node: Object) -> bool:
    """Whether a pod on one node keeps the other away from another node by its required anti-affinity."""
    keys = keys_apart(one, other)
    return bool(keys) and (node_.name(node) == node_.name(others_node) or _share(keys, node, others_node))


def keys_apart(one: Object, other: Object) -> list[str]:
    """The topology keys by which a pod keeps the other away; on the same node it does whatever they are."""
    if pod_.is_finished(other):
        return []
    return [str(term.get("topologyKey")) for term in _terms(one) if _selects(term, one, other)]


def _selects(term: Object, one: Object, other: Object) -> bool:
    selector = term.get("labelSelector")
    # A namespace selector is not looked up: rather one pod too many is kept away.
    namespaces = term.get("namespaces") or [pod_.namespace(one)]
    inside = isinstance(term.get("namespaceSelector"), dict) or pod_.namespace(other) in namespaces
    return inside and isinstance(selector, dict) and disruption.selects(selector, pod_.labels(other))


def _share(keys: Iterable[str], node: Object, other: Object) -> bool:
    here, there = pod_.labels(node), pod_.labels(other)
    return any(key in here and here[key] == there.get(key) for key in keys)


def _too_small(pod: Object, place: Place) -> str:
    try:
        asked, free = pod_requests.of(pod), place.free
    except ValueError as error:
        return f"cannot be judged: {error}"
    for resource, amount in sorted(asked.items()):
        left = max(free.get(resource, Fraction(0)), Fraction(0))
        if amount > left:
            needs = quantities.text(resource, amount)
            return f"has {quantities.text(resource, left)} {resource} free, and it asks for {needs}"
    return ""


def _size(pod: Object) -> tuple[Fraction, Fraction, str]:
    try:
        asked = pod_requests.of(pod)
    except ValueError:
        asked = {}
    zero = Fraction(0)
    return asked.get("memory", zero), asked.get("cpu", zero), pod_.full_name(pod)
