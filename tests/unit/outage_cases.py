"""A node that failed, in an otherwise healthy cluster, for the tests of unplanned recovery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cluster.inventory import NodeSummary, summary
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import UnplannedOptions
from cluster.outage_facts import OutageFacts
from cluster.record import Change, Found, Record, StepState
from tests.unit.planning_cases import NOW, PASSED, RECORD_ID, node, observation

SILENT = OutageFacts(last_renewal=NOW - timedelta(minutes=3), ssh="silent", api_ready=True, asked=1)
OTHERS = tuple(NodeSummary(name=f"gpu-{number}", kind="gpu-worker") for number in range(5, 9))


def failed(found: Object | None = None, pods: tuple[Object, ...] = (), **more: Any) -> Observation:
    """A cluster in which this node, and no other, is not ready."""
    own = found if found is not None else node(ready=False)
    given: dict[str, Any] = {
        "nodes": (summary(own), *OTHERS, NodeSummary(name="system-9", kind="system")),
        "outage": SILENT,
        "power_status": "off",
        "host": None,
    }
    return observation(own, pods, **{**given, **more})


def recovery(
    options: UnplannedOptions | None = None,
    *,
    done: tuple[str, ...] = (),
    changes: tuple[str, ...] = (),
    **more: Any,
) -> Record:
    """An open record of an unplanned recovery that got so far."""
    given: dict[str, Any] = {
        "id": RECORD_ID,
        "epoch": 1,
        "procedure": "unplanned",
        "node": "gpu-1",
        "node_uid": "uid-gpu-1",
        "who": "ada@desk",
        "opened": NOW,
        "updated": NOW,
        "options": (options or UnplannedOptions()).model_dump(mode="json"),
        "found": Found(),
        "gate": PASSED,
        "steps": {step: StepState(state="done", at=NOW) for step in done},
        "changes": tuple(Change(what=what, state="made", at=NOW) for what in changes),
    }
    return Record(**{**given, **more})
