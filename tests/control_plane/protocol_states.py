"""What is left of a downtime, seen with the lab's own client: for comparing how two of them ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lab.api import Api
from lab.layout import Lab
from lab.simulated.host import Host, load

JSON = dict[str, Any]
NAMESPACE = "/api/v1/namespaces/runai-downtime"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/runai-downtime/leases"
OWNS = "runai-downtime/owns"
DRAIN = {"key": "runai", "value": "drain", "effect": "NoExecute"}


@dataclass(frozen=True)
class Ending:
    """A node and its record, without what differs from one downtime to the next (times, ids, proofs)."""

    taints: tuple[str, ...]
    unschedulable: bool
    annotations: frozenset[str]
    phase: str
    aborted: bool
    steps: tuple[tuple[str, str], ...]
    changes: frozenset[tuple[str, str]]
    in_fleet: bool
    holder: str
    power: str
    boot_reported: bool


def node_of(api: Api, name: str) -> JSON:
    """The Node."""
    return api.get(f"/api/v1/nodes/{name}")


def record_of(api: Api, name: str) -> JSON | None:
    """The node's newest record."""
    found = api.find(f"{NAMESPACE}/configmaps/node-{name}")
    return None if found is None else dict(json.loads(found["data"]["record"]))


def lease_of(api: Api, name: str) -> JSON:
    """The Lease that is the node's lock."""
    return api.get(f"{LEASES}/node-{name}")


def fleet_of(api: Api) -> dict[str, JSON]:
    """The nodes that are admitted to be down."""
    found = api.find(f"{NAMESPACE}/configmaps/fleet")
    return {} if found is None else dict(json.loads(found["data"]["fleet"])["down"])


def machine_of(lab: Lab, name: str) -> Host:
    """The simulated machine, as it is now."""
    return load(lab.simulated / f"{name}.json")


def drained(api: Api, name: str) -> bool:
    """Whether Run:ai's drain taint stands on the node."""
    return DRAIN in [
        {key: taint.get(key) for key in ("key", "value", "effect")}
        for taint in node_of(api, name)["spec"].get("taints", [])
    ]


def cordoned(api: Api, name: str) -> bool:
    """Whether the node is cordoned."""
    return bool(node_of(api, name)["spec"].get("unschedulable"))


def mark_of(api: Api, name: str) -> JSON | None:
    """The annotation that says what on the node is the product's."""
    text = node_of(api, name)["metadata"].get("annotations", {}).get(OWNS)
    return None if text is None else dict(json.loads(text))


def untouched(api: Api, name: str) -> bool:
    """Whether nothing of the product's is on the node."""
    return not drained(api, name) and not cordoned(api, name) and mark_of(api, name) is None


def ending_of(lab: Lab, api: Api, name: str) -> Ending:
    """How the node's newest downtime ended, or how far it is."""
    node, record, machine = node_of(api, name), record_of(api, name), machine_of(lab, name)
    assert record is not None, f"{name} has no record"
    return Ending(
        taints=tuple(sorted(json.dumps(taint, sort_keys=True) for taint in node["spec"].get("taints", []))),
        unschedulable=bool(node["spec"].get("unschedulable")),
        annotations=frozenset(node["metadata"].get("annotations", {})),
        phase=record["phase"],
        aborted=record["aborted"],
        steps=tuple((step, state["state"]) for step, state in record["steps"].items()),
        changes=frozenset((change["what"], change["state"]) for change in record["changes"]),
        in_fleet=name in fleet_of(api),
        holder=str(lease_of(api, name)["spec"].get("holderIdentity") or ""),
        power=machine.power,
        boot_reported=node["status"]["nodeInfo"]["bootID"] == machine.boot_id,
    )
