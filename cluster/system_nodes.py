"""Which nodes must stay up whatever happens to the others: the last system node, the only control plane. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from cluster import node as node_
from cluster.inventory import NodeSummary
from cluster.plan import Finding


def objections(
    nodes: Iterable[NodeSummary], node: str, down: Collection[str] = (), *, gone_for_good: bool = False
) -> list[Finding]:
    """What speaks against this node going down, given the others.

    Args:
        nodes: all nodes of the cluster; one of them is the node itself, if it is still there.
        down: the nodes that are in downtime by decision: they do not count as able to take over.
        gone_for_good: the node is to be removed: the words differ, the arithmetic does not.
    """
    known = list(nodes)
    own = next((one for one in known if one.name == node), None)
    if own is None:
        return []
    if own.kind == "control-plane":
        return _only_control_plane(own, known, down)
    if own.kind != "system" or others(known, node, down):
        return []
    return [
        Finding(
            code="last-system-node",
            message=last_one(known, node, down, gone_for_good=gone_for_good),
            remedy=f"Designate another node first: 'kubectl label node OTHER node-role.kubernetes.io/"
            f"{node_.SYSTEM_ROLE}=true' (never a control-plane node), or bring another system node back.",
        )
    ]


def last_one(
    nodes: list[NodeSummary],
    node: str,
    down: Collection[str],
    *,
    gone_for_good: bool = False,
    standing_in: Mapping[str, str] | None = None,
) -> str:
    """That there is no other system node that could take over, and why, in a sentence."""
    end = "removed" if gone_for_good else "taken down"
    return (
        f"{node} is the last Run:ai system node that could be relied on: {_why(nodes, node, down, standing_in or {})}; "
        f"if it is {end}, the Run:ai service goes with it"
    )


def others(nodes: Iterable[NodeSummary], node: str, down: Collection[str]) -> list[str]:
    """The other system nodes that can take over now."""
    return [
        one.name
        for one in nodes
        if one.name != node and one.kind == "system" and one.can_take_over and one.name not in down
    ]


def _why(nodes: list[NodeSummary], node: str, down: Collection[str], standing_in: Mapping[str, str]) -> str:
    rest = [one for one in nodes if one.name != node and one.kind == "system"]
    if not rest:
        return "there is no other"
    said = [
        f"{one.name} stands in for {standing_in[one.name]}"
        if one.name in standing_in
        else f"{one.name} {_state(one, down)}"
        for one in rest[:5]
    ]
    return ", ".join(said) + (", …" if len(rest) > 5 else "")


def _state(one: NodeSummary, down: Collection[str]) -> str:
    if one.name in down:
        return "is in downtime"
    if not one.ready:
        return "is not Ready"
    return "is being drained" if one.drained_by_taint else "is cordoned"


def _only_control_plane(own: NodeSummary, nodes: list[NodeSummary], down: Collection[str]) -> list[Finding]:
    """Whether etcd keeps its quorum without it is judged by :mod:`cluster.etcd_quorum`, which asks etcd."""
    rest = [
        one
        for one in nodes
        if one.name != own.name and one.kind == "control-plane" and one.ready and one.name not in down
    ]
    if rest:
        return []
    return [
        Finding(
            code="only-control-plane-node",
            message=f"{own.name} is the only Kubernetes control-plane node that is up: without it there is no API "
            "server, and nothing could be seen or undone",
            remedy="Add control-plane nodes first; a single one can only be maintained by hand, with the cluster down.",
        )
    ]
