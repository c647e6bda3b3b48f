"""A DaemonSet that lacks a pod on another node is not this downtime's fault; one that lacks it here is."""

from __future__ import annotations

import pytest

from cluster import service
from cluster.daemons_elsewhere import lacks_here
from cluster.node import Object
from cluster.service import Controller, ServiceHealth
from tests.unit.pod_objects import owner, pod

TITLE = "runai/DaemonSet/toolkit"


def on(node: str, *, ready: bool = True, placed: bool = True, terminating: bool = False) -> Object:
    """A pod of the DaemonSet; one that is not placed yet is meant for its node by affinity."""
    spec: Object = {"nodeName": node}
    if not placed:
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        spec = {"affinity": {"nodeAffinity": required}}
    made = pod(f"toolkit-{node}", "runai", top=owner("DaemonSet", "toolkit"), ready=ready, **spec)
    if terminating:
        made["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    return made


@pytest.mark.parametrize(
    ("missing", "pods", "here"),
    [
        (1, [on("gpu-1"), on("gpu-2", ready=False)], False),
        (1, [on("gpu-1", ready=False), on("gpu-2")], True),
        (2, [on("gpu-1", ready=False), on("gpu-2", ready=False)], True),
        (1, [on("gpu-1", placed=False, ready=False), on("gpu-2")], True),
        (1, [on("gpu-1"), on("gpu-2", placed=False, ready=False)], False),
        (1, [on("gpu-1", terminating=True), on("gpu-2")], True),
        (1, [on("gpu-1", terminating=True), on("gpu-1"), on("gpu-2", ready=False)], False),
        (1, [on("gpu-2", ready=False), on("gpu-3")], False),
        (2, [on("gpu-2", ready=False), on("gpu-3")], True),
        (1, [on("gpu-2"), on("gpu-3")], True),
        (1, [], True),
    ],
    ids=[
        "another node's is not ready",
        "this node's is not ready",
        "both are not",
        "this node's is not placed",
        "another node's is not placed",
        "this node's ends",
        "this node's was replaced",
        "not meant for this node",
        "another node's alone does not explain it",
        "nothing explains it",
        "no pod at all",
    ],
)
def test_another_nodes_missing_pod_is_not_blamed_on_this_downtime(missing: int, pods: list[Object], here: bool) -> None:
    assert lacks_here("gpu-1", missing, pods) == here


def test_what_is_explained_by_other_nodes_is_no_worse_and_everything_else_still_is() -> None:
    before = ServiceHealth(found=True, available=True, controllers={TITLE: Controller(wanted=3, ready=3)})
    after = ServiceHealth(found=True, available=False, controllers={TITLE: Controller(wanted=3, ready=2)})
    assert service.worse(before, after, {TITLE}) == ["runaiconfig runai/runai is not Available"]
    assert len(service.worse(before, after)) == 2
    assert service.worse(before, ServiceHealth(found=True, available=True), {TITLE}) == [f"{TITLE} is gone"]
