"""Rejoin of simulated hosts from a plain script, and what is seen of it from outside."""

from __future__ import annotations

import base64

from lab.api import JSON, Api
from lab.layout import Lab
from lab.patience import until
from lab.simulated.host import Host, load
from tests.control_plane import removing
from tests.control_plane.protocol_states import node_of

_TOKENS = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
LABEL = "rack"
MARKS: JSON = {"metadata": {"labels": {LABEL: "r7"}, "annotations": {"contact": "ada"}}}
TAINT = {"key": "dedicated", "value": "a", "effect": "PreferNoSchedule"}


def mark(api: Api, node: str) -> None:
    """Give a node what its administrator would have given it."""
    api.patch(f"/api/v1/nodes/{node}", MARKS)
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [TAINT]}})


def take_out(lab: Lab, node: str) -> None:
    """Remove a node for good; its machine stays on."""
    removing.remove(removing.settings_of(lab), node)


def machine(lab: Lab, node: str) -> Host:
    """The simulated machine, as it is now."""
    return load(lab.simulated / f"{node}.json")


def tokens_for(api: Api, node: str) -> list[str]:
    """The ids of the join tokens that exist for a node."""
    found = []
    for one in api.items(_TOKENS):
        description = base64.b64decode(one["data"]["description"]).decode()
        if f" {node} " in description:
            found.append(one["metadata"]["name"])
    return found


def _of_its_condition(api: Api, node: str) -> list[str]:
    taints = node_of(api, node)["spec"].get("taints", [])
    return [one["key"] for one in taints if one["key"].startswith("node.kubernetes.io/")]


def require_as_it_was(api: Api, node: str) -> None:
    """The node has its role and what its administrator gave it, and nothing of the rejoin."""
    # To an API server that was away a moment ago, every node is silent at first.
    until(lambda: not _of_its_condition(api, node), seconds=40, what=lambda: f"{node}: {_of_its_condition(api, node)}")
    found = node_of(api, node)
    labels = found["metadata"]["labels"]
    assert (labels.get("node-role.kubernetes.io/runai-gpu-worker"), labels.get(LABEL)) == ("true", "r7")
    assert found["metadata"]["annotations"].get("contact") == "ada"
    taints = [(one["key"], one.get("value"), one["effect"]) for one in found["spec"].get("taints", [])]
    assert taints == [(TAINT["key"], TAINT["value"], TAINT["effect"])], taints
    assert not found["spec"].get("unschedulable")
    assert "runai-downtime/owns" not in found["metadata"]["annotations"]
    assert found["status"]["allocatable"]["nvidia.com/gpu"] == "8"
