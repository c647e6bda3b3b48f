"""Limits on what may be down together, as admission asks for them: judged on Nodes that are read freshly."""

from __future__ import annotations

from collections.abc import Callable

from cluster import capacity, inventory, nodes, quorum, rejoin_limits, system_nodes
from cluster.admission import Judge
from cluster.api import Api
from cluster.inventory import NodeSummary
from cluster.max_unavailable import Limits
from cluster.options import Procedure
from cluster.plan import Finding

ObserveEtcd = Callable[[], list[Finding]]


def judge_of(
    api: Api, name: str, limits: Limits, procedure: Procedure = "planned", etcd: ObserveEtcd | None = None
) -> Judge:
    """What speaks against taking this node down, given the other nodes that are admitted to be down.

    Args:
        limits: the configuration's ``[limits]``.
        procedure: whose the node's downtime is to be.
        etcd: asks etcd what speaks against a control-plane node going down; None: that is asked elsewhere.
    """

    def judge(down: frozenset[str]) -> list[Finding]:
        seen = [inventory.summary(one) for one in nodes.every(api)]
        found = [*system_nodes.objections(seen, name, down), *capacity.judge(name, seen, down, limits)]
        found += _one_master(api, seen, name, down, procedure)
        masters = {one.name for one in seen if one.kind == "control-plane"}
        # It takes seconds, and one objection is enough.
        return found + etcd() if etcd is not None and name in masters and not found else found

    return judge


def _one_master(
    api: Api, seen: list[NodeSummary], name: str, down: frozenset[str], procedure: Procedure
) -> list[Finding]:
    own = next((one for one in seen if one.name == name), None)
    # One that failed is down already, and the answer to that makes it no worse.
    if own is None or own.kind != "control-plane" or (procedure == "unplanned" and not own.ready):
        return []
    # One that joins is no node yet, and already on its way into etcd.
    joining = rejoin_limits.objections(api, name, down - {one.name for one in seen})
    return [*quorum.one_at_a_time(seen, name, down), *joining]
