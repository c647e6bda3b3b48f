"""Whether etcd keeps its quorum while a control-plane node is down: asked anew each time, judged, and seen whole again.

Judged for the plan, in the admission, and immediately before the machine is stopped: a member may fail in between. What
could not be observed forbids it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cluster import etcd, lost_tolerance, quorum, removal_quorum
from cluster import node as node_
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import Failed
from cluster.etcd_members import EtcdView
from cluster.options import Options, RemoveOptions, UnplannedOptions
from cluster.plan import Finding
from cluster.probing import probe
from cluster.record import Record

if TYPE_CHECKING:
    from cluster.downtime import Downtime

NOT_OBSERVED = "etcd-not-observed"
"""The code of the blocker for what could not be asked."""


def objections(view: EtcdView | None, node: str, accepted: str) -> list[Finding]:
    """What forbids a control-plane node to go down, as etcd was seen. Pure.

    Args:
        view: None: etcd was not asked.
        accepted: what a person typed to accept that no further member may fail.
    """
    if view is None or not view.asked:
        return [_not_observed(view)]
    judgement = quorum.may_go_down(view.voting, node)
    if judgement.blockers or accepted == node:
        return list(judgement.blockers)
    return [_unaccepted(one, node, accepted) for one in judgement.confirmations]


def accepted(view: EtcdView | None, node: str, typed: str) -> list[Finding]:
    """What a person accepted in typed form, where that was needed. Pure."""
    if view is None or not view.asked or typed != node:
        return []
    return list(quorum.may_go_down(view.voting, node).confirmations)


def observed(
    api: Api, settings: Settings, node: str, options: Options, *, record: Record | None = None
) -> list[Finding]:
    """What forbids a control-plane node to go down, or for good, as etcd is now.

    Args:
        options: of its downtime; their type is its procedure.
        record: its downtime's, if it is open: it may hold that a person accepted that no further member may fail.
    """
    view, typed = etcd.look(api, settings, node), lost_tolerance.typed(options, record)
    if isinstance(options, RemoveOptions):
        return list(removal_quorum.judged(view, node, typed))
    return objections(view, node, typed)


def asking(api: Api, settings: Settings, node: str, options: Options) -> Callable[[], list[Finding]] | None:
    """How the admission asks etcd whether a control-plane node may go; None: it failed, and is down already."""
    return None if isinstance(options, UnplannedOptions) else partial(observed, api, settings, node, options)


def is_control_plane(downtime: Downtime) -> bool:
    """Whether the node is a control-plane node, or was when its downtime began."""
    found = {"metadata": {"labels": downtime.record.found.labels}}
    return "control-plane" in (node_.kind(found), node_.kind(downtime.find_node() or found))


def see_member_back(downtime: Downtime) -> str:
    """Wait until the member of a control-plane node that is back was seen healthy; how, as the end of a sentence.

    Raises:
        Failed: ``etcd-member-not-back``: it stays out of service.
    """
    if not is_control_plane(downtime):
        return ""
    seconds = downtime.settings.drain.back_minutes * 60
    last = [EtcdView()]

    def healthy() -> bool | None:
        last[0] = etcd.look(downtime.api, downtime.settings, downtime.node)
        own = last[0].of(downtime.node)
        return True if own is not None and own.healthy and not own.learner else None

    if probe(healthy, seconds, first=1.0) is not None:
        voting = last[0].voting
        return f"; its member of etcd is healthy ({sum(voting.values())} of {len(voting)} are)"
    raise Failed(
        "etcd-member-not-back",
        f"{downtime.node} is back, but its member of etcd was not seen healthy within {seconds / 60:.0f} minutes: "
        f"{_state(last[0], downtime.node)}. It stays out of service",
        f"See on it 'crictl ps --name etcd' and the log of that container; then 'downtime resume {downtime.node}' "
        "looks again.",
    )


def _state(view: EtcdView, node: str) -> str:
    if not view.asked:
        return "; ".join(view.problems) or "nobody could be asked"
    own = view.of(node)
    if own is None:
        return f"{view.asked} knows of no member on it"
    return f"{view.asked} says that it {'has no vote yet' if own.learner else 'does not answer'}"


def _not_observed(view: EtcdView | None) -> Finding:
    why = "; ".join(view.problems) if view is not None else ""
    return Finding(
        code=NOT_OBSERVED,
        message="The members of etcd could not be observed, so it is not known whether it keeps its quorum"
        + (f" ({why})" if why else ""),
        remedy="See on a control-plane host 'crictl ps --name etcd', and [hosts] in the configuration; 'downtime "
        "doctor' tries it.",
    )


def _unaccepted(found: Finding, node: str, typed: str) -> Finding:
    also = f" ({typed[:60]!r} was typed)" if typed else ""
    return Finding(
        code=found.code,
        message=f"{found.message}{also}",
        remedy=f"If that is accepted: --accept-lost-tolerance {node} (its name, typed), which is recorded. Of a "
        f"downtime that is open: 'downtime decide {node} --accept-lost-tolerance {node}'.",
    )
