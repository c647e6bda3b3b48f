"""What forbids a control-plane node to go down, beyond what forbids it of any node. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import api_endpoint, etcd_quorum, quorum
from cluster import node as node_
from cluster.observation import Observation
from cluster.plan import Finding

_ALONE = "only-control-plane-node"


def of(seen: Observation, accepted: str, found: list[Finding]) -> Iterator[Finding]:
    """All of them; none of a node of another kind.

    Args:
        accepted: what a person typed to accept that no further member of etcd may fail.
        found: what was found before: of an only control-plane node nothing more needs to be said.
    """
    if seen.node is None or node_.kind(seen.node) != "control-plane" or any(one.code == _ALONE for one in found):
        return
    yield from quorum.one_at_a_time(seen.nodes, seen.node_name, seen.down)
    yield from api_endpoint.objections(seen.server, seen.server_addresses, seen.node)
    yield from etcd_quorum.objections(seen.etcd, seen.node_name, accepted)


def warnings(seen: Observation, typed: str) -> Iterator[Finding]:
    """What a person accepted."""
    if seen.node is None or node_.kind(seen.node) != "control-plane":
        return
    for one in etcd_quorum.accepted(seen.etcd, seen.node_name, typed):
        yield Finding(
            code="accept-lost-tolerance",
            message=f"{one.message}. That was accepted, by typing the node's name",
            remedy="Watch the other control-plane nodes, and bring this one back soon.",
        )


def lost(seen: Observation) -> Iterator[Finding]:
    """How etcd stands while a control-plane node is down already: nothing could be forbidden any more."""
    if seen.node is None or node_.kind(seen.node) != "control-plane" or seen.etcd is None:
        return
    voting = seen.etcd.voting
    if not voting:
        return
    healthy = sum(voting.values())
    spare = quorum.tolerance(len(voting), healthy)
    more = f"{spare} more may fail" if spare > 0 else "if one more fails, the cluster's API stops"
    yield Finding(
        code="etcd-members",
        message=f"{healthy} of {len(voting)} members of etcd are healthy, {quorum.quorum(len(voting))} are needed: "
        f"{more}",
        remedy="Take no other control-plane node down. If this one is gone for good: "
        f"'downtime plan remove {seen.node_name}'.",
    )
