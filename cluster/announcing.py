"""That a downtime begins, and what a person overrode or accepted for it: told in Events and in its timeline."""

from __future__ import annotations

from cluster import events
from cluster.api import Api
from cluster.record import Record


def announce(api: Api, new: Record) -> None:
    """Tell, in Events about the Node, that its downtime begins."""
    events.emit(api, new.node, new.node_uid, "DowntimeOpened", f"{new.procedure} downtime by {new.who}: {new.reason}")
    if new.gate is not None and new.gate.verdict == "overridden":
        why = new.options.get("override_recovery_gate", "")
        said = f"by {new.who}, without a good backup: {why}"
        events.emit(api, new.node, new.node_uid, "RecoveryGateOverridden", said, warning=True)
    if said := accepted(new):
        events.emit(api, new.node, new.node_uid, "LostToleranceAccepted", said, warning=True)


def accepted(new: Record) -> str:
    """What a person accepted for etcd when this downtime began, in a sentence; empty: nothing. Pure."""
    if new.options.get("accept_lost_tolerance") != new.node:
        return ""
    return f"{new.who} accepted, by typing the node's name, that no further member of etcd may fail while it is down"
