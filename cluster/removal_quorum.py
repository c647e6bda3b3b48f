"""What forbids that a control-plane node is removed for good, beyond what forbids it of any node. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import api_endpoint, quorum
from cluster import node as node_
from cluster.etcd_members import EtcdView
from cluster.observation import Observation
from cluster.plan import Finding


def objections(seen: Observation, accepted: str) -> Iterator[Finding]:
    """All of them; none of a node of another kind.

    Args:
        accepted: what a person typed to accept that no further member of etcd may fail.
    """
    if not _concerns(seen):
        return
    assert seen.node is not None
    yield from quorum.one_at_a_time(seen.nodes, seen.node_name, seen.down)
    yield from api_endpoint.objections(seen.server, seen.server_addresses, seen.node)
    yield from judged(seen.etcd, seen.node_name, accepted)


def judged(view: EtcdView | None, node: str, accepted: str) -> Iterator[Finding]:
    """The same, of etcd alone; ``view``: as it was seen, None: it was not asked."""
    if view is None or not view.asked:
        why = "; ".join(view.problems) if view is not None else ""
        yield Finding(
            code="etcd-not-observed",
            message="The members of etcd could not be observed, so it is not known whether it keeps its quorum"
            + (f" ({why})" if why else ""),
            remedy="See on a control-plane host 'crictl ps --name etcd', and [hosts] in the configuration.",
        )
        return
    judgement = _judgement(view, node)
    yield from judgement.blockers
    if accepted != node:
        also = f" ({accepted[:60]!r} was typed)" if accepted else ""
        for one in judgement.confirmations:
            yield Finding(
                code=one.code,
                message=f"{one.message}{also}",
                remedy=f"If that is accepted: --accept-lost-tolerance {node} (its name, typed), which is recorded; "
                f"of a removal that is under way: 'downtime decide {node} --accept-lost-tolerance {node}'. And add "
                "another control-plane node soon.",
            )


def warnings(seen: Observation, accepted: str) -> Iterator[Finding]:
    """What a person accepted."""
    if not _concerns(seen) or accepted != seen.node_name or seen.etcd is None or not seen.etcd.asked:
        return
    for one in _judgement(seen.etcd, seen.node_name).confirmations:
        yield Finding(
            code="accept-lost-tolerance",
            message=f"{one.message}. That was accepted, by typing the node's name",
            remedy="Watch the other control-plane nodes, and add another one soon.",
        )


def _judgement(view: EtcdView, node: str) -> quorum.Judgement:
    """A member that has gone already (or has no vote) takes nothing away when its node goes."""
    own, voting = view.of(node), view.voting
    if own is not None and not own.learner:
        return quorum.may_be_removed(voting, node)
    if quorum.tolerance(len(voting), sum(voting.values())) >= 0:
        return quorum.Judgement()
    return quorum.may_be_removed({**voting, node: False}, node)


def _concerns(seen: Observation) -> bool:
    return seen.node is not None and node_.kind(seen.node) == "control-plane"
