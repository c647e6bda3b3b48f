"""Who could take over from a Run:ai system node: looking at the cluster for that, and what speaks against its downtime.

The pods of all nodes are read, a page at a time, and only for a system node: where they fit depends on what is there.
Little of each is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cluster import designation, local_volumes, nodes, pod_pages, system_nodes, takeover
from cluster import node as node_
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.observation import Observation
from cluster.owners import Resolver
from cluster.placement import Place
from cluster.plan import Candidate, Finding
from cluster.record import Record
from cluster.system_placement import must_move
from cluster.takeover_facts import TakeoverFacts
from cluster.takeover_pods import Kept, without_images

NEEDS_ANOTHER = frozenset({"last-system-node", "no-room-on-system-nodes"})
"""The codes of the blockers that a node may take away that is designated."""
_MOST_OFFERED = 20
_PODS = "/api/v1/pods"
_VOLUMES = "/api/v1/persistentvolumes"
_NOT_OVER = "status.phase!=Succeeded,status.phase!=Failed"
# Of the pods of those that could be designated so many are asked for their owners; the others count as unknown work.
_MOST_ASKED = 300
# The record's phases in which the node still runs what others must take over.
_BEFORE = ("admitted", "asking", "draining", "drained", "stopping")


class Around(NamedTuple):
    """What is decided already around the node that is to go down.

    Attributes:
        down: the other nodes in downtime by decision.
        designated: nodes that stand in for others, and for which.
        designate: the node that is to be made a system node; empty: none.
        recorded: that may have been done already.
    """

    down: frozenset[str]
    designated: Mapping[str, str]
    designate: str = ""
    recorded: bool = False


def look(api: Api, seen: Observation, record: Record | None) -> Observation:
    """The observation with what tells who could take over, while that still matters."""
    if seen.node is None or (record is not None and record.phase not in _BEFORE):
        return seen
    if node_.kind(seen.node) != "system":
        return seen.model_copy(update={"outage_pods": bound_of(api, Place(seen.node, seen.pods))})
    facts = gather(api, seen.node_name)
    if judge(seen.node_name, facts, Around(seen.down, seen.designated)):
        facts = facts.model_copy(update={"owners": Resolver(api).chains(_of_candidates(facts))})
    return seen.model_copy(update={"takeover": facts, "outage_pods": facts.bound})


def gather(api: Api, name: str, found: Sequence[Object] | None = None) -> TakeoverFacts:
    """All nodes with their pods, as they are now.

    Args:
        name: the node that goes down: which of its pods are bound to it.
        found: the Nodes, if they were read already.
    """
    seen = tuple(without_images(one) for one in (found if found is not None else nodes.every(api)))
    kept = Kept()
    by_node: dict[str, list[Object]] = {}
    for pod in api.iterate(_PODS, fields=_NOT_OVER, read=pod_pages.read):
        where = str(pod_.mapping(pod.get("spec")).get("nodeName") or "")
        if where:
            by_node.setdefault(where, []).append(kept.of(pod))
    facts = TakeoverFacts(nodes=seen, pods={where: tuple(there) for where, there in by_node.items()})
    own = facts.place(name)
    if own is None:
        return facts
    return facts.model_copy(update={"bound": bound_of(api, own, seen)})


def bound_of(api: Api, place: Place, found: Iterable[Object] | None = None) -> tuple[str, ...]:
    """The system pods on a node that use a volume that no other node reaches: namespace/name."""
    using = {pod_.full_name(pod): set(local_volumes.claims_of(pod)) for pod in must_move(place)}
    if not any(using.values()):
        return ()
    others = [one for one in (found if found is not None else nodes.every(api)) if node_.name(one) != place.name]
    local = {one.claim for one in local_volumes.of(api.iterate(_VOLUMES), place.node, others, {})}
    return tuple(sorted(name for name, claims in using.items() if claims & local))


def judge(
    node: str,
    facts: TakeoverFacts,
    around: Around,
    *,
    priorities: Mapping[str, int] | None = None,
    gone_for_good: bool = False,
) -> list[Finding]:
    """What speaks against a system node going down, in that the others cannot take over. Pure."""
    return takeover.judge(
        node,
        facts.places,
        around.down,
        bound=facts.bound,
        designate=_still_to_designate(facts, around),
        owners=facts.owners,
        priorities=priorities,
        standing_in=around.designated,
        gone_for_good=gone_for_good,
    )


def objections(seen: Observation, designate: str, *, recorded: bool, gone_for_good: bool = False) -> list[Finding]:
    """What speaks against this node going down, given the others. Pure.

    Args:
        designate: the node that is to be made a system node first; empty: none.
        recorded: the downtime has a record: that may have been done already.
    """
    quick = system_nodes.objections(seen.nodes, seen.node_name, seen.down, gone_for_good=gone_for_good)
    if seen.takeover is None:
        idle = [_nothing_to_take_over(seen, designate)] if designate and _is_no_system_node(seen) else []
        return [*quick, *idle]
    around = Around(seen.down, seen.designated, designate, recorded)
    found = judge(seen.node_name, seen.takeover, around, priorities=seen.priority_classes, gone_for_good=gone_for_good)
    return [*without_quick(quick), *found]


def candidates(seen: Observation, found: Iterable[Finding]) -> tuple[Candidate, ...]:
    """Who could stand in, the best first, if what was found is that another node must take over. Pure."""
    if seen.takeover is None or not any(one.code in NEEDS_ANOTHER for one in found):
        return ()
    facts = seen.takeover
    down = {*seen.down, *seen.designated}
    ranked = designation.rank(
        seen.node_name,
        facts.places,
        down,
        bound=facts.bound,
        owners=facts.owners,
        priorities=seen.priority_classes,
    )
    return ranked[:_MOST_OFFERED]


def without_quick(found: Iterable[Finding]) -> list[Finding]:
    """Without what the names and states of the nodes alone say of system nodes: it was judged more closely."""
    return [one for one in found if one.code != "last-system-node"]


def standing_in(node: str, designated: Mapping[str, str]) -> list[Finding]:
    """What speaks against a node going down that stands in for another one. Pure."""
    if node not in designated:
        return []
    other = designated[node]
    return [
        Finding(
            code="designated-node",
            message=f"{node} stands in as a Run:ai system node for {other}, which is in downtime: the Run:ai service "
            "would go with it",
            remedy=f"Bring {other} back first: 'downtime status {other}' shows how far that is.",
        )
    ]


def _still_to_designate(facts: TakeoverFacts, around: Around) -> str:
    place = facts.place(around.designate) if around.designate else None
    if around.recorded and place is not None and place.state.kind == "system":
        return ""
    return around.designate


def _is_no_system_node(seen: Observation) -> bool:
    return seen.node is not None and node_.kind(seen.node) != "system"


def _nothing_to_take_over(seen: Observation, designate: str) -> Finding:
    return Finding(
        code="cannot-designate",
        message=f"{designate} is to become a Run:ai system node, but {seen.node_name} is none: there is nothing that "
        "it would take over",
        remedy="Leave --designate out.",
    )


def _of_candidates(facts: TakeoverFacts) -> list[Object]:
    """Pods that may be researchers' work, of the nodes with the fewest GPUs first."""
    places = sorted(facts.places, key=lambda one: (sum(node_.gpus(one.node).values()), one.name))
    return [
        pod
        for place in places
        if place.state.kind not in ("system", "control-plane")
        for pod in place.pods
        if not (pod_.is_mirror(pod) or pod_.is_daemon(pod))
    ][:_MOST_ASKED]
