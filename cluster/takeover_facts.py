"""What is seen of a cluster in which a Run:ai system node is to go down: every node with its pods. Plain values."""

from __future__ import annotations

from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field

from cluster import node as node_
from cluster.node import Object
from cluster.owners import Chains
from cluster.placement import Place


class TakeoverFacts(BaseModel):
    """All nodes of the cluster, what runs on them, and what of it cannot be moved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nodes: tuple[Object, ...]
    pods: dict[str, tuple[Object, ...]] = Field(default={}, description="By the name of the node; none that is over.")
    bound: tuple[str, ...] = Field(default=(), description="System pods on a local volume of the node: namespace/name.")
    owners: Chains = Field(default={}, description="Of the pods of those that could be designated, if that matters.")

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The nodes with their pods."""
        return tuple(Place(one, self.pods.get(node_.name(one), ())) for one in self.nodes)

    def place(self, name: str) -> Place | None:
        """One node; None: there is none of that name."""
        return next((one for one in self.places if one.name == name), None)
