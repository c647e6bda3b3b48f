"""Prefect beside the control-plane lab, with the flows served, impatient, and with no power controller to be asked."""

from __future__ import annotations

import json
from typing import Any

from lab import prefect_service
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.progress import Progress
from tests.control_plane.commands import LEASES, NAMESPACE
from tests.prefect_runs import Runs, variables

JSON = dict[str, Any]
# So that nothing but a person proves that a machine is off; and the lab's leases live for 8 s.
HURRIED = {
    "DOWNTIME_CLUSTER__LOCK_SECONDS": "5",
    "DOWNTIME_HOSTS__CONNECT_TIMEOUT": "1",
    "DOWNTIME_POWER__STATUS": "none",
    "DOWNTIME_DRAIN__STABLE_SECONDS": "3",
    "DOWNTIME_DRAIN__BACK_MINUTES": "1",
    "DOWNTIME_REMOVAL__AWAY_SECONDS": "2",
    "DOWNTIME_RECOVERY__ALLOW_PLAINTEXT": "true",
    "DOWNTIME_RECOVERY__RECIPIENTS": "[]",
}


def serve(lab: Lab) -> Runs:
    """Prefect on the lab; it ends with the lab."""
    with variables(HURRIED):
        return Runs(prefect_service.up(lab, Progress()))


def record_of(api: Api, node: str) -> JSON | None:
    """The newest record of a node."""
    found = api.find(f"{NAMESPACE}/configmaps/node-{node}")
    return None if found is None else dict(json.loads(found["data"]["record"]))


def the_record(api: Api, node: str) -> JSON:
    found = record_of(api, node)
    assert found is not None, f"there is no record of {node}"
    return found


def holder_of(api: Api, node: str) -> str:
    """Who holds the lock of a node; empty: nobody."""
    found = api.find(f"{LEASES}/node-{node}") or {}
    return str(found.get("spec", {}).get("holderIdentity") or "")


def see_released(api: Api, node: str) -> None:
    """See the lock of a suspended run released: its state is there a moment before its process has left."""
    until(lambda: holder_of(api, node) == "", seconds=60, what=lambda: f"{holder_of(api, node)} holds the lock")


def answers(record: JSON) -> list[tuple[str, str, str]]:
    """What was answered, and by whom."""
    return [(one["subject"], one["answer"], one["who"]) for one in record["approvals"]]
