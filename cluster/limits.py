"""Limits on what may be down together, as admission asks for them: judged on Nodes that are read freshly."""

from __future__ import annotations

from cluster import capacity, inventory, nodes, system_nodes
from cluster.admission import Judge
from cluster.api import Api
from cluster.max_unavailable import Limits
from cluster.plan import Finding


def judge_of(api: Api, name: str, limits: Limits) -> Judge:
    """What speaks against taking this node down, given the other nodes that are admitted to be down.

    Args:
        limits: the configuration's ``[limits]``.
    """

    def judge(down: frozenset[str]) -> list[Finding]:
        seen = [inventory.summary(one) for one in nodes.every(api)]
        return [*system_nodes.objections(seen, name, down), *capacity.judge(name, seen, down, limits)]

    return judge
