"""Whether the other Run:ai system nodes can take over from one that goes down. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cluster import designation, system_nodes
from cluster import node as node_
from cluster.owners import Chains
from cluster.placement import Place
from cluster.plan import Finding
from cluster.system_placement import label_like, must_move, systems_left, unplaced


def judge(
    node: str,
    places: Sequence[Place],
    down: Collection[str] = (),
    *,
    bound: Collection[str] = (),
    designate: str = "",
    owners: Chains | None = None,
    priorities: Mapping[str, int] | None = None,
    standing_in: Mapping[str, str] | None = None,
    gone_for_good: bool = False,
) -> list[Finding]:
    """What speaks against this system node going down, in that the others cannot take over.

    Args:
        node: its name; any other kind of node is no concern of this.
        places: all nodes of the cluster with their pods, its own too.
        down: names of the nodes in downtime by decision.
        bound: ``namespace/name`` of pods that are bound to a local volume.
        designate: the name of a node that is to be made a system node first; empty: none.
        owners, priorities: as for :func:`cluster.workloads.find`; without them more work counts as unknown.
        standing_in: nodes that stand in for others that are in downtime, and for which: they take over from no other.
        gone_for_good: the node is to be removed: the words differ.
    """
    relied_on = dict(standing_in or {})
    down = {*down, *relied_on}
    own = next((place for place in places if place.name == node), None)
    if own is None or node_.kind(own.node) != "system":
        return []
    if designate:
        refused = designation.refusal(designate, node, places, down)
        if refused is not None:
            return [refused]
        places = [one.labelled(label_like(own.node)) if one.name == designate else one for one in places]
    others = systems_left(node, places, down)
    left = unplaced(must_move(own, bound), others, node, places, down)
    if others and not left:
        return []
    candidates = designation.rank(node, places, down, bound=bound, owners=owners, priorities=priorities)
    offered = ", ".join(f"{one.name} ({'; '.join(one.reasons)})" for one in candidates[:3])
    remedy = (
        f"Designate another node with --designate NODE; the best are: {offered}."
        if candidates
        else "Bring another system node back, or add one; no other node could be designated now."
    )
    if not others:
        states = [place.state for place in places]
        message = system_nodes.last_one(states, node, down, gone_for_good=gone_for_good, standing_in=relied_on)
        return [Finding(code="last-system-node", message=message, remedy=remedy)]
    named = "; ".join(f"{pod}: {why}" for pod, why in list(left.items())[:3])
    more = f"; and {len(left) - 3} more" if len(left) > 3 else ""
    return [
        Finding(
            code="no-room-on-system-nodes",
            message=f"The other Run:ai system nodes ({', '.join(one.name for one in others[:5])}) cannot take over "
            f"{len(left)} of the system pods of {node}: {named}{more}",
            remedy=remedy,
        )
    ]


def outage(node: str, bound: Collection[str]) -> list[Finding]:
    """What a person must agree to: pods that are down for as long as the node is, since their data is on it."""
    if not bound:
        return []
    return [
        Finding(
            code="local-volume-outage",
            message=f"{', '.join(sorted(bound)[:8])} {'is' if len(bound) == 1 else 'are'} bound to a volume on {node} "
            "itself and will be down for as long as it is; with its database the Run:ai control plane is down too",
            remedy=f"A person will be asked. To agree beforehand: --accept-outage {node}. Or move the data to storage "
            "that other nodes reach first.",
        )
    ]
