"""A taint that keeps the GPU device plugin away after the drain is named before, and not found out by waiting."""

from __future__ import annotations

import pytest

from cluster import planned, unplanned
from cluster.node import Object
from cluster.options import PlannedOptions, UnplannedOptions
from cluster.plan import Finding
from lab.runai.service import GPU_OPERATOR_TOLERATIONS, gpu_plugin
from tests.unit.outage_cases import failed
from tests.unit.planning_cases import DRAIN, node, observation, record, settings
from tests.unit.pod_objects import owner, pod

TEAM = {"key": "dedicated", "value": "team-b", "effect": "NoSchedule"}
CODE = "gpus-cannot-return"


def plugin(tolerations: list[Object] | None = None) -> Object:
    """A pod of the device plugin, as its DaemonSet in the lab makes it."""
    spec = gpu_plugin("image", 4)["spec"]["template"]["spec"]
    given = [*spec.pop("tolerations"), *(tolerations or [])]
    daemon = owner("DaemonSet", "nvidia-device-plugin-daemonset")
    return pod("plugin-x", "gpu-operator", top=daemon, tolerations=given, **spec)


def gpu_node(*taints: Object, gpus: str = "8", ready: bool = True) -> Object:
    found = node(ready=ready)
    found["spec"]["taints"] = list(taints)
    found["status"]["allocatable"] = {"nvidia.com/gpu": gpus}
    return found


def warned(found: Object, *pods: Object) -> list[Finding]:
    made = planned.plan(observation(found, pods), PlannedOptions(), settings(), None)
    return [one for one in made.warnings if one.code == CODE]


def test_a_foreign_taint_that_the_device_plugin_does_not_tolerate_is_named_in_the_plan() -> None:
    (found,) = warned(gpu_node(TEAM), plugin())
    assert "dedicated=team-b:NoSchedule" in found.message
    assert "gpu-operator/nvidia-device-plugin-daemonset" in found.message
    assert "'kubectl taint nodes gpu-1 dedicated:NoSchedule-'" in found.remedy


def test_in_an_unplanned_recovery_too() -> None:
    made = unplanned.plan(
        failed(gpu_node(TEAM, ready=False), (plugin(),)), UnplannedOptions(power_on="controller"), settings(), None
    )
    assert CODE in [one.code for one in made.warnings]


@pytest.mark.parametrize(
    "taint",
    [
        {**GPU_OPERATOR_TOLERATIONS[0], "value": "present"},
        DRAIN,
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {**TEAM, "effect": "PreferNoSchedule"},
    ],
    ids=["tolerated", "the drain itself", "a cordon", "only preferred"],
)
def test_taints_that_keep_no_plugin_away_are_not_named(taint: Object) -> None:
    assert warned(gpu_node(taint), plugin()) == []


def test_a_plugin_that_tolerates_the_taint_comes_back() -> None:
    assert warned(gpu_node(TEAM), plugin([{"key": "dedicated", "operator": "Exists"}])) == []


def test_a_plugin_that_the_drain_leaves_there_need_not_come_back() -> None:
    stays = {"key": "runai", "operator": "Exists", "effect": "NoExecute"}
    assert warned(gpu_node(TEAM), plugin([stays])) == []


def test_without_gpus_or_a_plugin_there_is_nothing_to_warn_of() -> None:
    assert warned(gpu_node(TEAM, gpus="0"), plugin()) == []
    assert warned(gpu_node(TEAM), pod("agent", "runai", top=owner("DaemonSet", "agent"))) == []


def test_no_warning_once_the_drain_is_over() -> None:
    found = gpu_node(TEAM)
    current = record(done=("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone"))
    made = planned.plan(observation(found, (plugin(),)), PlannedOptions(), settings(), current)
    assert CODE not in [one.code for one in made.warnings]
