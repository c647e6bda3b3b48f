"""Nodes that must not go down: the last system node that can be relied on, the only control-plane node."""

from __future__ import annotations

import pytest

from cluster import inventory, system_nodes
from cluster.inventory import NodeSummary


def _codes(nodes: list[NodeSummary], name: str, down: tuple[str, ...] = ()) -> list[str]:
    return [one.code for one in system_nodes.objections(nodes, name, down)]


SYSTEM_1 = NodeSummary(name="system-1", kind="system")
SYSTEM_2 = NodeSummary(name="system-2", kind="system")
GPU = NodeSummary(name="gpu-1", kind="gpu-worker")
MASTER = NodeSummary(name="master-1", kind="control-plane")


def test_a_system_node_may_go_while_another_can_take_over() -> None:
    assert _codes([SYSTEM_1, SYSTEM_2, GPU, MASTER], "system-1") == []


@pytest.mark.parametrize(
    "other",
    [
        SYSTEM_2.model_copy(update={"ready": False}),
        SYSTEM_2.model_copy(update={"unschedulable": True}),
        SYSTEM_2.model_copy(update={"drained_by_taint": True}),
        SYSTEM_2.model_copy(update={"kind": "gpu-worker"}),
    ],
)
def test_a_system_node_that_cannot_take_over_does_not_count(other: NodeSummary) -> None:
    assert _codes([SYSTEM_1, other, GPU, MASTER], "system-1") == ["last-system-node"]


def test_a_system_node_in_downtime_does_not_count() -> None:
    (found,) = system_nodes.objections([SYSTEM_1, SYSTEM_2], "system-1", ["system-2"])
    assert found.code == "last-system-node"
    assert "system-2 is in downtime" in found.message
    assert "node-role.kubernetes.io/runai-system" in found.remedy


def test_a_worker_is_no_concern_of_the_system_nodes() -> None:
    assert _codes([SYSTEM_1, GPU], "gpu-1", ("system-1",)) == []


def test_the_only_control_plane_node_that_is_up_is_refused() -> None:
    other = MASTER.model_copy(update={"name": "master-2"})
    assert _codes([MASTER, SYSTEM_1], "master-1") == ["only-control-plane-node"]
    assert _codes([MASTER, other], "master-1") == []
    assert _codes([MASTER, other], "master-1", ("master-2",)) == ["only-control-plane-node"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("gpu-11", "gpu-1"), ("gpu1", "gpu-1"), ("gpu-1.example.org", "gpu-1"), ("syst", "system-1"), ("zzz", None)],
)
def test_a_mistyped_name_finds_its_node(typed: str, meant: str | None) -> None:
    found = inventory.alike(typed, [GPU, SYSTEM_1, MASTER])
    assert (found[0] if found else None) == meant
