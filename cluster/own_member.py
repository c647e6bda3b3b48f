"""Which member of etcd is that of one node: the judgement before a member is taken out for good. Pure.

A member that is removed is gone, and its data with it. So it must be the node's by its name *and* by the address at
which it serves its peers (kubeadm gives it the node's name); either alone may be that of another machine, which took
over the address, or the name. A member that was added and never started has no name: then the address must be enough,
and must be no other node's.

Source: https://etcd.io/docs/v3.6/op-guide/runtime-configuration/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cluster import quorum
from cluster.errors import Blocked
from cluster.etcd_members import Member
from cluster.plan import Finding


def of_node(
    members: Iterable[Member], node: str, addresses: Collection[str], others: Collection[str] = ()
) -> Member | None:
    """The member of a node; None: it has none (any more).

    Args:
        members: all members, voting or not.
        node: the node's name.
        addresses: where the node, or its machine, is; at least one of them is the member's.
        others: addresses of all other control-plane nodes.

    Raises:
        Blocked: ``etcd-member-unclear``: one has only the name or the address, or another node has the address too.
    """
    near = [one for one in members if one.name == node or set(one.addresses) & set(addresses)]
    if not near:
        return None
    if len(near) > 1 or not _is_its(near[0], node, addresses, others):
        raise _unclear(node, near, addresses)
    return near[0]


def objections(members: Iterable[Member], own: Member) -> tuple[Finding, ...]:
    """What forbids taking this member out now."""
    voting = {one.node: one.healthy for one in members if not one.learner}
    if not own.learner:
        return quorum.may_be_removed(voting, own.node).blockers
    # Without a vote it takes nothing away; but nothing can be decided without a majority.
    if quorum.tolerance(len(voting), sum(voting.values())) >= 0:
        return ()
    return quorum.may_be_removed({**voting, own.node: False}, own.node).blockers


def same(recorded: Member, found: Member) -> bool:
    """Whether the member that was found is the recorded one: by id, name, and peer addresses."""
    return (recorded.id, recorded.name, set(recorded.addresses)) == (found.id, found.name, set(found.addresses))


def _is_its(member: Member, node: str, addresses: Collection[str], others: Collection[str]) -> bool:
    named = member.name == node or not member.name
    there = bool(set(member.addresses) & set(addresses)) and not set(member.addresses) & set(others)
    return named and there


def _unclear(node: str, near: Collection[Member], addresses: Collection[str]) -> Blocked:
    said = "; ".join(
        f"member {one.id} is called {one.name or '(never started)'}, at {', '.join(one.addresses) or 'no address'}"
        for one in near
    )
    return Blocked(
        "etcd-member-unclear",
        f"Which member of etcd is that of {node} (at {', '.join(sorted(addresses)) or 'no known address'}) is not "
        f"clear: {said}. None was removed",
        "See 'etcdctl member list' on a control-plane node; remove the right one by hand ('etcdctl member remove ID'), "
        "then go on.",
    )
