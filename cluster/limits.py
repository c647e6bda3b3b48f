"""Limits on what may be down together, as admission asks for them: judged on Nodes that are read freshly."""

from __future__ import annotations

from cluster import capacity, inventory, node, nodes, system_nodes, taking_over
from cluster.admission import Judge, Others
from cluster.api import Api
from cluster.max_unavailable import Limits
from cluster.options import Options, UnplannedOptions
from cluster.plan import Finding


def judge_of(api: Api, name: str, limits: Limits, options: Options, *, recorded: bool = False) -> Judge:
    """What speaks against taking this node down, given the other nodes that are admitted to be down.

    Args:
        limits: the configuration's ``[limits]``.
        recorded: the downtime has a record: a node that was to be designated may be so by now.
    """
    failed = isinstance(options, UnplannedOptions)

    def judge(others: Others) -> list[Finding]:
        seen = tuple(nodes.every(api))
        summaries = [inventory.summary(one) for one in seen]
        found = [] if failed else taking_over.standing_in(name, others.designated)
        found += system_nodes.objections(summaries, name, others.down)
        own = next((one for one in seen if node.name(one) == name), None)
        if own is not None and node.kind(own) == "system":
            facts = taking_over.gather(api, name, seen)
            around = taking_over.Around(others.down, others.designated, options.designate, recorded)
            found = [*taking_over.without_quick(found), *taking_over.judge(name, facts, around)]
        return [*found, *capacity.judge(name, summaries, others.down, limits)]

    return judge
