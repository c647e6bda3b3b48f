"""Limits on what may be down together, as admission asks for them: judged on Nodes that are read freshly."""

from __future__ import annotations

from collections.abc import Callable

from cluster import capacity, inventory, node, nodes, quorum, rejoin_limits, system_nodes, taking_over
from cluster.admission import Judge, Others
from cluster.api import Api
from cluster.inventory import NodeSummary
from cluster.max_unavailable import Limits
from cluster.options import Options, UnplannedOptions
from cluster.plan import Finding

ObserveEtcd = Callable[[], list[Finding]]


def judge_of(
    api: Api, name: str, limits: Limits, options: Options, *, recorded: bool = False, etcd: ObserveEtcd | None = None
) -> Judge:
    """What speaks against taking this node down, given the other nodes that are admitted to be down.

    Args:
        limits: the configuration's ``[limits]``.
        options: of the node's downtime; their type is its procedure.
        recorded: the downtime has a record: a node that was to be designated may be so by now.
        etcd: asks etcd what speaks against a control-plane node going down; None: that is asked elsewhere.
    """
    failed = isinstance(options, UnplannedOptions)

    def judge(others: Others) -> list[Finding]:
        seen = tuple(nodes.every(api))
        summaries = [inventory.summary(one) for one in seen]
        found = [] if failed else taking_over.standing_in(name, others.designated)
        found += system_nodes.objections(summaries, name, others.down)
        own = next((one for one in seen if node.name(one) == name), None)
        kind = node.kind(own) if own is not None else ""
        if kind == "system":
            facts = taking_over.gather(api, name, seen)
            around = taking_over.Around(others.down, others.designated, options.designate, recorded)
            found = [*taking_over.without_quick(found), *taking_over.judge(name, facts, around)]
        found += capacity.judge(name, summaries, others.down, limits)
        found += _one_master(api, summaries, name, others.down, failed=failed)
        # It takes seconds, and one objection is enough.
        return found + etcd() if etcd is not None and kind == "control-plane" and not found else found

    return judge


def _one_master(api: Api, seen: list[NodeSummary], name: str, down: frozenset[str], *, failed: bool) -> list[Finding]:
    own = next((one for one in seen if one.name == name), None)
    # One that failed is down already, and the answer to that makes it no worse.
    if own is None or own.kind != "control-plane" or (failed and not own.ready):
        return []
    # One that joins is no node yet, and already on its way into etcd.
    joining = rejoin_limits.objections(api, name, down - {one.name for one in seen})
    return [*quorum.one_at_a_time(seen, name, down), *joining]
