"""Which pods of a Run:ai system node another one must take over, and which of them would find no place. Pure.

What must be placed again are the parts of the Run:ai service on the node, and whatever else asks for a system node by
its label; not the pods of DaemonSets, static pods and those that are over, nor those that are bound to a volume of the
node's own, which cannot be taken over at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cluster import node as node_
from cluster import placement
from cluster import pods as pod_
from cluster.node import Object
from cluster.placement import Place

LABEL = f"node-role.kubernetes.io/{node_.SYSTEM_ROLE}"
SERVICE_NAMESPACES = ("runai", "runai-backend")


def label_like(node: Object) -> dict[str, str]:
    """The label that makes another node a system node like this one: with its value, since selectors compare it."""
    return {LABEL: pod_.labels(node).get(LABEL, "true")}


def must_move(place: Place, bound: Collection[str] = ()) -> tuple[Object, ...]:
    """The pods of this node that another system node must take over.

    Args:
        bound: ``namespace/name`` of the pods that are bound to a volume of the node itself.
    """
    return tuple(
        pod
        for pod in place.pods
        if not (pod_.is_mirror(pod) or pod_.is_daemon(pod) or pod_.is_finished(pod))
        and pod_.full_name(pod) not in bound
        and (pod_.namespace(pod) in SERVICE_NAMESPACES or _asks_for_system_node(pod, place.node))
    )


def asking_for_label(place: Place, label: Mapping[str, str]) -> tuple[Object, ...]:
    """The pods of this node that would not run there without this label of a system node, whether it stands or not."""
    node = place.labelled(label).node
    return tuple(
        pod
        for pod in place.pods
        if not (pod_.is_mirror(pod) or pod_.is_daemon(pod) or pod_.is_finished(pod))
        and _asks_for_system_node(pod, node)
    )


def systems_left(node: str, places: Sequence[Place], down: Collection[str]) -> list[Place]:
    """The system nodes other than this one that can take over now."""
    return [
        place
        for place in places
        if place.name != node and place.name not in down and place.state.kind == "system" and place.state.can_take_over
    ]


def unplaced(
    moving: Sequence[Object],
    systems: Sequence[Place],
    node: str,
    places: Sequence[Place],
    down: Collection[str],
    most: int | None = None,
) -> dict[str, str]:
    """What of it finds no place on these system nodes: ``namespace/name`` to why; ``most`` as in ``placement``.

    A pod that the labels of none of them suit never relied on a system node, and may go anywhere else.
    """
    elsewhere = [pod for pod in moving if not any(placement.selected(pod, place.node) for place in systems)]
    left = placement.unplaced([pod for pod in moving if pod not in elsewhere], systems, most)
    if elsewhere and (most is None or len(left) < most):
        names = {node, *down, *(place.name for place in systems)}
        left |= placement.unplaced(elsewhere, [place for place in places if place.name not in names], most)
    return left


def _asks_for_system_node(pod: Object, node: Object) -> bool:
    """Whether the node suits it, and would not without the label of a system node."""
    metadata = node["metadata"]
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != LABEL}
    bare = {**node, "metadata": {**metadata, "labels": labels}}
    return placement.selected(pod, node) and not placement.selected(pod, bare)
