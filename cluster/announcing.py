"""That a downtime begins, and what a person overrode or accepted for it: told in Events."""

from __future__ import annotations

from cluster import events, lost_tolerance
from cluster.api import Api
from cluster.options import parse
from cluster.record import Record


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
    options = parse(new.procedure, new.options)
    if (given := lost_tolerance.acceptance(new, options)) is not None:
        said = lost_tolerance.said(given, options)
        events.emit(api, new.node, new.node_uid, "LostToleranceAccepted", said, warning=True)
