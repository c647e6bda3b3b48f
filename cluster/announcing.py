"""That a downtime begins, and what a person overrode or accepted for it: told in Events and in its timeline."""

from __future__ import annotations

from cluster import events, names
from cluster.api import Api
from cluster.record import Approval, Record, approved


def announce(api: Api, new: Record) -> None:
    """Tell, in Events about the Node, that its downtime begins."""
    events.emit(api, new.node, new.node_uid, "DowntimeOpened", f"{new.procedure} downtime by {new.who}: {new.reason}")
    if new.gate is not None and new.gate.verdict == "overridden":
        why = new.options.get("override_recovery_gate", "")
        said = f"by {new.who}, without a good backup: {why}"
        events.emit(api, new.node, new.node_uid, "RecoveryGateOverridden", said, warning=True)
    storm = str(new.options.get("override_storm") or "").strip()
    if storm:
        said = f"by {new.who}, although many nodes may be down at once: {storm}"
        events.emit(api, new.node, new.node_uid, "StormGuardOverridden", said, warning=True)
    if said := accepted(new):
        events.emit(api, new.node, new.node_uid, "LostToleranceAccepted", said, warning=True)


def with_acceptance(new: Record) -> Record:
    """The record with what a person accepted for etcd when this downtime began, as an answer like any other. Pure."""
    known = any(one.subject == "lost-tolerance" for one in new.approvals)
    if known or not accepted(new):
        return new
    answer = Approval(
        subject="lost-tolerance",
        digest=names.digest(new.node),
        items=(new.node,),
        answer="accept",
        who=new.who,
        at=new.updated,
    )
    return approved(new, answer)


def accepted(new: Record) -> str:
    """The same, in a sentence; empty: nothing. Pure."""
    if new.options.get("accept_lost_tolerance") != new.node:
        return ""
    return f"{new.who} accepted, by typing the node's name, that no further member of etcd may fail while it is down"
