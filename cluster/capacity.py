"""Whether one more node may go down, given how many of its kind and of its pool are down already. Pure.

A node counts as down when it is not Ready, when it is in downtime by decision (it has a record, or was admitted), or
when Run:ai's drain taint stands on it, whoever set it: nothing can run there in any of these cases. A cordoned node is
not down: what runs there goes on running.

A node that is not Ready is down already, and the answer to its failure makes it no worse: nothing is said against it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from cluster.inventory import NodeSummary
from cluster.max_unavailable import EVERY, Limits, allowed
from cluster.plan import Finding


def judge(node: str, nodes: Iterable[NodeSummary], down: Collection[str], limits: Limits) -> list[Finding]:
    """What speaks against this node going down as well.

    Args:
        node: its name. If there is no such node any more, nothing goes down.
        nodes: all nodes of the cluster.
        down: names of the nodes in downtime by decision; whether the node itself is among them does not matter.
        limits: the configuration's ``[limits]``.
    """
    known = list(nodes)
    own = next((one for one in known if one.name == node), None)
    if own is None or not own.ready:
        return []
    found = []
    for what, group, limit in _groups(own, known, limits):
        missing = [one for one in group if one.name != node and is_down(one, down)]
        most = allowed(limit, len(group))
        if len(missing) + 1 > most:
            found.append(_full(own, what, missing, most, limit, len(group), down))
    return found


def is_down(node: NodeSummary, down: Collection[str]) -> bool:
    """Whether nothing can run there, for whatever reason."""
    return not node.ready or node.drained_by_taint or node.name in down


def _groups(
    own: NodeSummary, nodes: list[NodeSummary], limits: Limits
) -> Iterator[tuple[str, list[NodeSummary], int | str]]:
    """Each group that the node is in and that is limited: its name, its nodes, its limit."""
    if limits.max_unavailable is not None:
        yield "of the cluster", nodes, limits.max_unavailable
    by_role = limits.roles.get(own.kind)
    if by_role is not None:
        yield f"of kind {own.kind}", [one for one in nodes if one.kind == own.kind], by_role
    by_pool = limits.pools.get(own.pool, limits.pools.get(EVERY)) if own.pool else None
    if by_pool is not None:
        yield f"of node pool {own.pool}", [one for one in nodes if one.pool == own.pool], by_pool


def _full(
    own: NodeSummary,
    what: str,
    missing: list[NodeSummary],
    most: int,
    limit: int | str,
    total: int,
    down: Collection[str],
) -> Finding:
    share = f" ({limit} of {total})" if isinstance(limit, str) else ""
    if not missing:
        said = "none may go down"
    else:
        listed = ", ".join(f"{one.name} {_state(one, down)}" for one in missing[:5])
        said = f"{len(missing)} {'is' if len(missing) == 1 else 'are'} down already: {listed}"
        said += ", …" if len(missing) > 5 else ""
    return Finding(
        code="max-unavailable",
        message=f"At most {most} node{'' if most == 1 else 's'} {what} may be down at once{share}, and {own.name} "
        f"would be one more: {said}",
        remedy="Wait until they are back, or raise the limit under [limits] in the configuration.",
    )


def _state(one: NodeSummary, down: Collection[str]) -> str:
    if one.name in down:
        return "is in downtime"
    return "is not Ready" if not one.ready else "is drained"
