"""The nodes of the cluster in a few words each: what the judgement of one node needs to know about all others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from cluster import node as node_
from cluster.node import Object
from cluster.plan import NodeKind


class NodeSummary(BaseModel):
    """One node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    roles: tuple[str, ...] = ()
    kind: NodeKind = "cpu-worker"
    ready: bool = True
    unschedulable: bool = False
    drained_by_taint: bool = False
    pool: str = ""

    @property
    def can_take_over(self) -> bool:
        """Whether pods of another node can start here now, as far as the node itself says."""
        return self.ready and not self.unschedulable and not self.drained_by_taint


def summary(node: Object) -> NodeSummary:
    """One Node in a few words."""
    return NodeSummary(
        name=node_.name(node),
        roles=node_.roles(node),
        kind=node_.kind(node),
        ready=node_.ready(node),
        unschedulable=node_.unschedulable(node),
        drained_by_taint=node_.drained_by_taint(node),
        pool=node_.pool(node),
    )


def alike(name: str, nodes: Iterable[NodeSummary]) -> list[str]:
    """Names of nodes that somebody who wrote this name may have meant, the likeliest first."""
    known = [one.name for one in nodes]
    begins = sorted(one for one in known if one.startswith(name) or name.startswith(f"{one}."))
    return list(dict.fromkeys([*begins, *difflib.get_close_matches(name, known, n=3, cutoff=0.6)]))[:3]
