"""Limits on what may be down together, as admission asks for them: judged on Nodes that are read freshly."""

from __future__ import annotations

from cluster import inventory, nodes, system_nodes
from cluster.admission import Judge
from cluster.api import Api


def judge_of(api: Api, name: str) -> Judge:
    """What speaks against taking this node down, given the other nodes that are admitted to be down."""
    return lambda down: system_nodes.objections((inventory.summary(one) for one in nodes.every(api)), name, down)
