"""Observations, records and settings for the tests of the planner: a healthy cluster, from which one thing differs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cluster import names
from cluster.config import ClusterSettings, DrainSettings, PowerCommandSettings, PowerSettings, Settings
from cluster.inventory import NodeSummary, summary
from cluster.node import Object
from cluster.observation import HostFacts, Observation
from cluster.options import PlannedOptions
from cluster.record import Change, Found, Record, StepState
from cluster.service import ServiceHealth
from cluster.verdict import Line, Verdict

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BOOT = "2d9ba48e-5f0e-4bd2-a5ff-b2b3b7ff6f10"
RECORD_ID = "20261124090000-abcdef"
HEALTHY = ServiceHealth(found=True, available=True)
PASSED = Verdict(verdict="passed", set="2026-11-24T08-00-00Z", judged_at=NOW)
BLOCKED = Verdict(
    verdict="blocked",
    lines=(Line(level="FAILED", check="set", reason="there is none", remedy="Take one."),),
    judged_at=NOW,
)
DRAIN = {"key": names.DRAIN_KEY, "value": names.DRAIN_VALUE, "effect": names.DRAIN_EFFECT}


def settings(*, on: str = "command", status: str = "command", **drain: Any) -> Settings:
    """A configuration with a power controller."""
    argv = ["/bin/true"]
    return Settings(
        cluster=ClusterSettings(uid="cluster-uid"),
        power=PowerSettings.model_validate(
            {"on": on, "status": status, "command": PowerCommandSettings(on=argv, status=argv)}
        ),
        drain=DrainSettings(**drain),
    )


def node(
    name: str = "gpu-1",
    *,
    role: str = "runai-gpu-worker",
    ready: bool = True,
    cordoned: bool = False,
    tainted: bool = False,
    owned: tuple[str, ...] = (),
    owner: str = RECORD_ID,
) -> Object:
    """A Node; ``owned`` is what the annotation says is ours."""
    mark = {names.OWNS_ANNOTATION: json.dumps({"record": owner, "epoch": 1, "owns": list(owned)})} if owned else {}
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {f"node-role.kubernetes.io/{role}": "true"},
            "annotations": mark,
        },
        "spec": {"unschedulable": cordoned, "taints": [DRAIN] if tainted else []},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown", "message": "kubelet stopped"}],
            "nodeInfo": {"bootID": BOOT},
        },
    }


def observation(found: Object | None = None, pods: tuple[Object, ...] = (), **more: Any) -> Observation:
    """A healthy cluster with this node in it, seen by somebody who may shut it down."""
    own = found if found is not None else node()
    others = (NodeSummary(name="system-9", kind="system"), NodeSummary(name="gpu-9", kind="gpu-worker"))
    given: dict[str, Any] = {
        "taken": NOW,
        "server": "https://api",
        "cluster_uid": "cluster-uid",
        "node_name": own["metadata"]["name"],
        "node": own,
        "nodes": (summary(own), *others),
        "pods": pods,
        "priority_classes": {"train": 50, "build": 100},
        "control_plane_namespace": True,
        "service": HEALTHY,
        "recovery": PASSED,
        "host": HostFacts(reachable=True, boot_id=BOOT),
        "power_status": "on",
    }
    return Observation(**{**given, **more})


def record(
    options: PlannedOptions | None = None,
    *,
    done: tuple[str, ...] = (),
    changes: tuple[str, ...] = (),
    name: str = "gpu-1",
    **more: Any,
) -> Record:
    """An open record of planned maintenance that got so far."""
    given: dict[str, Any] = {
        "id": RECORD_ID,
        "epoch": 1,
        "procedure": "planned",
        "node": name,
        "node_uid": f"uid-{name}",
        "who": "ada@desk",
        "opened": NOW,
        "updated": NOW,
        "options": (options or PlannedOptions()).model_dump(mode="json"),
        "found": Found(),
        "gate": PASSED,
        "steps": {step: StepState(state="done", at=NOW) for step in done},
        "changes": tuple(
            Change(what=what, value=BOOT if what == "shutdown" else "", state="made", at=NOW) for what in changes
        ),
    }
    return Record(**{**given, **more})
