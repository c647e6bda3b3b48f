"""Taints by name: those that procedures set, and those that belong to others. Pure.

A procedure must know each of them, since setting taints back after a rejoin would otherwise drain the node anew, keep
it out for ever, or tell a lie about its condition.

Sources: https://kubernetes.io/docs/reference/labels-annotations-taints/ and ``ToleratesTaint`` of k8s.io/api 0.34.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster import names
from cluster import pods as pod_
from cluster.node import Object, Taint

JOINING: Taint = {"key": "runai-downtime/joining", "effect": "NoSchedule"}
"""Stands from the join on until labels and cordon are as they must be: a join makes a node schedulable at once."""
OUT_OF_SERVICE: Taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
"""Only ever with proof that the machine is off: Kubernetes then deletes its pods by force and detaches volumes."""
CONTROL_PLANE: Taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}

_CONDITIONS = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "node.alpha.kubernetes.io/")
_KEEPING_AWAY = ("NoSchedule", "NoExecute")


def same(one: Taint, other: Taint) -> bool:
    """Whether they are the same taint to Kubernetes: by key and effect, whatever the value."""
    return (one.get("key"), one.get("effect")) == (other.get("key"), other.get("effect"))


def is_drain(taint: Taint) -> bool:
    """Whether it is Run:ai's drain taint, with any effect."""
    return (taint.get("key"), taint.get("value")) == (names.DRAIN_KEY, names.DRAIN_VALUE)


def is_own(taint: Taint) -> bool:
    """Whether it is one of this product's keys."""
    return str(taint.get("key", "")).startswith("runai-downtime/")


def is_condition(taint: Taint) -> bool:
    """Whether it tells a condition of the node (not ready, under pressure, cordoned) or that it is out of service."""
    return str(taint.get("key", "")).startswith(_CONDITIONS)


def without(found: Iterable[Taint], taint: Taint) -> list[Taint]:
    """The taints without this one."""
    return [one for one in found if not same(one, taint)]


def keeping_away(pod: Object, found: Iterable[Taint]) -> list[Taint]:
    """The taints that keep the pod from being placed there: it tolerates none of these.

    That a cordoned or unready node is no place is not left to its condition taints: see :mod:`cluster.placement`.
    """
    tolerations = pod_.objects(pod_.mapping(pod.get("spec")).get("tolerations"))
    return [
        taint
        for taint in found
        if taint.get("effect") in _KEEPING_AWAY and not any(_tolerates(one, taint) for one in tolerations)
    ]


def _tolerates(toleration: Object, taint: Taint) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and (toleration.get("value") or "") == (taint.get("value") or "")


def text(taint: Taint) -> str:
    """As ``kubectl taint`` writes it: ``key=value:Effect``."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key', '')}{value}:{taint.get('effect', '')}"
