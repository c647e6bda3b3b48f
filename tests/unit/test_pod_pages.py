"""A page that was decoded to what a forecast goes by gives the same forecast as the whole page."""

from __future__ import annotations

import json
import random

import pytest

from cluster import forecasting, pod_pages
from cluster.node import Object
from cluster.room import Room, Volumes, claimant, slim_node
from tests.control_plane import small_cluster_pods, small_cluster_volumes
from tests.unit.places import place
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pod


def pages(*pods: Object) -> tuple[list[Object], list[Object]]:
    page = json.dumps({"metadata": {"continue": "more"}, "items": list(pods)}).encode()
    found = pod_pages.read(page)
    assert found["metadata"] == {"continue": "more"}
    return found["items"], json.loads(page)["items"]


def drawn(seed: int) -> Object:
    """A pod as an API server gives it away, bound or waiting."""
    chance = random.Random(seed)
    pod = small_cluster_pods.draw("w", f"p{seed}", chance, pools=True)
    if chance.random() < 0.3:
        small_cluster_volumes.give(pod, "data")
    requests = pod["spec"]["containers"][0]["resources"]
    status = {"containerStatuses": [{"name": "main", "resources": requests, "allocatedResources": {"cpu": "9"}}]}
    more: Object = {"priority": chance.randint(-5, 5), "preemptionPolicy": "Never", "schedulerName": "other"}
    if chance.random() < 0.5:
        more |= {"nodeName": "n", "overhead": {"cpu": "1"}, "resources": {"requests": {"memory": "3Gi"}}}
        more |= {"resourceClaims": [{"name": "x"}]} if chance.random() < 0.3 else {}
    metadata = {**pod["metadata"], "uid": str(seed), "annotations": {"gpu-fraction": "0.5"}, "managedFields": [{}]}
    if chance.random() < 0.5:
        first = {"apiVersion": "example.org/v1", "kind": chance.choice(("DaemonSet", "Other")), "name": "x", "uid": "o"}
        last = {"apiVersion": "apps/v1", "kind": chance.choice(("DaemonSet", "ReplicaSet")), "name": "y", "uid": "p"}
        metadata["ownerReferences"] = [first, {**last, "controller": chance.random() < 0.5}]
    if chance.random() < 0.3:
        metadata["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    return {**pod, "metadata": metadata, "spec": {**pod["spec"], **more}, "status": {"phase": "Running", **status}}


def test_of_every_shape_of_pod_the_same_is_known() -> None:
    some = [drawn(seed) for seed in range(300)]
    short, whole = pages(*some)
    assert len(json.dumps(short)) < len(json.dumps(whole))
    for one, other in zip(short, whole, strict=True):
        for moving in (True, False):
            assert claimant(one, Volumes(), moving=moving) == claimant(other, Volumes(), moving=moving)
        rooms = [Room(slim_node(place("n").node)) for _ in range(2)]
        for room, counted in zip(rooms, (one, other), strict=True):
            room.add(counted, some)
        assert rooms[0] == rooms[1]
        assert forecasting.moves(one) == forecasting.moves(other)
    assert {forecasting.moves(one) for one in whole} == {True, False}


@pytest.mark.parametrize("kind", ["DaemonSet", "ReplicaSet"])
@pytest.mark.parametrize("tolerations", [[], [DRAIN_FOR_EVER]], ids=["evicted", "tolerating"])
def test_what_belongs_to_a_node_is_told_from_what_moves(kind: str, tolerations: list[Object]) -> None:
    (one,), (other,) = pages(pod(top=owner(kind, "x"), tolerations=tolerations))
    assert forecasting.moves(one) == forecasting.moves(other) == (kind == "ReplicaSet" and not tolerations)


@pytest.mark.parametrize(
    "pod",
    [
        {"metadata": {"uid": "1"}, "spec": {"containers": None}},
        {"metadata": {"uid": "1"}, "spec": None},
        {"metadata": {"uid": "1"}},
        {"metadata": {"uid": "1"}, "spec": {"containers": [3]}, "status": []},
    ],
)
def test_what_is_of_another_shape_is_not_lost(pod: Object) -> None:
    short, whole = pages(pod)
    assert short == whole
