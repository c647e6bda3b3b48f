"""The arithmetic of etcd: which control-plane node may go down, be removed, or join. Pure.

etcd works while a majority of its *members* is healthy; a member that is down stays a member and counts in the size
of the majority, one that was removed does not. So going down and being removed are different questions:

- *going down*: the healthy ones among the others must be a majority of all ``n`` members;
- *removal*: there must be a majority now (without one the removal itself cannot be committed), and the healthy ones
  among the others must be a majority of the ``n - 1`` that are left;
- *joining*: no member may be unhealthy, since each new member makes the majority larger before it helps.

The runbook's "healthy - 1" speaks of a healthy member; one that is unhealthy already takes nothing away when its node
goes down, or else it could never be mended. Health is observed, never assumed: what could not be asked is unhealthy.

Sources: https://etcd.io/docs/v3.6/faq/ ("What is failure tolerance?", "Should I add a member before removing an
unhealthy member?"); learners of ``kubeadm join`` have no vote and must not be counted among the members.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from cluster.inventory import NodeSummary
from cluster.plan import Finding

_LOOK = "'etcdctl endpoint health --cluster' on a control-plane node shows which members are healthy."


class Judgement(NamedTuple):
    """What forbids it, and what a person must confirm in typed form although it is not forbidden."""

    blockers: tuple[Finding, ...] = ()
    confirmations: tuple[Finding, ...] = ()


def quorum(members: int) -> int:
    """How many of so many voting members are a majority."""
    return members // 2 + 1


def tolerance(members: int, healthy: int) -> int:
    """How many more healthy members may be lost before etcd stops; negative: it has stopped."""
    return healthy - quorum(members)


def may_go_down(members: Mapping[str, bool], one: str) -> Judgement:
    """Whether the node of one member may go down for a while.

    Args:
        members: every voting member, by the name of its node, and whether it was seen healthy just now.
        one: the name of the node that is to go down.
    """
    unknown = _not_known(members, one)
    if unknown is not None:
        return Judgement((unknown,))
    if len(members) == 1:
        return Judgement((_only(one),))
    left = _healthy_others(members, one)
    spare = tolerance(len(members), left)
    if spare < 0:
        return Judgement(
            (
                Finding(
                    code="etcd-quorum",
                    message=f"Without {one} etcd would have {left} healthy of {len(members)} members, and needs "
                    f"{quorum(len(members))}{_unhealthy(members, one)}: the cluster's API would stop",
                    remedy=f"Bring the other members into order first. {_LOOK}",
                ),
            )
        )
    return Judgement(confirmations=_no_spare(one, "is down", left, len(members)) if spare == 0 else ())


def may_be_removed(members: Mapping[str, bool], one: str) -> Judgement:
    """Whether one member may be taken out for good. Arguments as for :func:`may_go_down`."""
    unknown = _not_known(members, one)
    if unknown is not None:
        return Judgement((unknown,))
    if len(members) == 1:
        return Judgement((_only(one),))
    now, left = sum(members.values()), _healthy_others(members, one)
    blockers = []
    if tolerance(len(members), now) < 0:
        blockers.append(
            Finding(
                code="etcd-no-quorum",
                message=f"etcd has no quorum now: {now} of {len(members)} members are healthy, {quorum(len(members))} "
                "are needed; no member can be removed",
                remedy=f"Bring members back first. {_LOOK}",
            )
        )
    spare = tolerance(len(members) - 1, left)
    if spare < 0:
        blockers.append(
            Finding(
                code="etcd-quorum",
                message=f"With {one} removed etcd would have {left} healthy of {len(members) - 1} members, and needs "
                f"{quorum(len(members) - 1)}{_unhealthy(members, one)}",
                remedy=f"Bring the other members into order first. {_LOOK}",
            )
        )
    if blockers:
        return Judgement(tuple(blockers))
    return Judgement(confirmations=_no_spare(one, "is gone", left, len(members) - 1) if spare == 0 else ())


def may_join(members: Mapping[str, bool]) -> Judgement:
    """Whether a new control-plane node may join now."""
    if not members:
        return Judgement((_not_observed(),))
    sick = sorted(name for name, healthy in members.items() if not healthy)
    if not sick:
        return Judgement()
    return Judgement(
        (
            Finding(
                code="etcd-member-unhealthy",
                message=f"No control-plane node may join while a member of etcd is unhealthy: {', '.join(sick)}",
                remedy=f"Bring it back, or remove it for good ('downtime run remove NODE'). {_LOOK}",
            ),
        )
    )


def one_at_a_time(nodes: Iterable[NodeSummary], node: str, down: Collection[str]) -> list[Finding]:
    """What speaks against a control-plane node going down, in that another one is down: for whatever reason.

    Args:
        nodes: all nodes of the cluster.
        node: the one that is to go down; any other kind of node is no concern of this.
        down: names of the nodes in downtime by decision.
    """
    masters = {one.name: one for one in nodes if one.kind == "control-plane"}
    if node not in masters:
        return []
    return [
        Finding(
            code="control-plane-one-at-a-time",
            message=f"Only one control-plane node may be down at a time, and {other.name} "
            f"{'is in downtime' if other.name in down else 'is not Ready'}",
            remedy=f"Bring {other.name} back first.",
        )
        for other in masters.values()
        if other.name != node and (other.name in down or not other.ready)
    ]


def _healthy_others(members: Mapping[str, bool], one: str) -> int:
    return sum(healthy for name, healthy in members.items() if name != one)


def _not_known(members: Mapping[str, bool], one: str) -> Finding | None:
    if not members:
        return _not_observed()
    if one in members:
        return None
    return Finding(
        code="etcd-member-unknown",
        message=f"{one} is a control-plane node, and no member of etcd is known by that name (members: "
        f"{', '.join(sorted(members))})",
        remedy="See 'etcdctl member list' on a control-plane node: the member's name or address must be the node's.",
    )


def _not_observed() -> Finding:
    return Finding(
        code="etcd-not-observed",
        message="The members of etcd could not be observed, so it is not known whether it keeps its quorum",
        remedy=_LOOK,
    )


def _only(one: str) -> Finding:
    return Finding(
        code="only-control-plane-node",
        message=f"{one} is the only member of etcd: without it there is no API server, and nothing could be seen or "
        "undone",
        remedy="Add control-plane nodes first; a single one can only be maintained by hand, with the cluster down.",
    )


def _unhealthy(members: Mapping[str, bool], one: str) -> str:
    sick = sorted(name for name, healthy in members.items() if not healthy and name != one)
    return f" ({', '.join(sick)} {'is' if len(sick) == 1 else 'are'} unhealthy)" if sick else ""


def _no_spare(one: str, state: str, left: int, members: int) -> tuple[Finding, ...]:
    return (
        Finding(
            code="etcd-no-fault-tolerance",
            message=f"Once {one} {state}, {left} healthy of {members} members are just a majority: if one more "
            "fails, the cluster's API stops",
            remedy=f"Confirm by typing the node's name, {one}.",
        ),
    )
