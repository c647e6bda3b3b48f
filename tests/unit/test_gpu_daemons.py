"""What GPUs need beside them is Ready where it was; what was not there before, or is not named, is not asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cluster import gpu_daemons, gpus_before, mig_state
from cluster.config import ChecksSettings
from cluster.node import Object
from cluster.record import Found
from tests.unit.planning_cases import node, settings
from tests.unit.pod_objects import owner, pod
from tests.unit.test_gpu_return import plugin

PLUGIN, EXPORTER = "gpu-operator/nvidia-device-plugin-daemonset", "gpu-operator/dcgm-exporter"


def daemon(name: str, namespace: str = "gpu-operator", *, ready: bool = True) -> Object:
    return pod(f"{name}-x", namespace, top=owner("DaemonSet", name), ready=ready)


class Cluster:
    """Lists the pods of one node, and the DaemonSets that exist."""

    def __init__(self, pods: list[Object], daemons: tuple[str, ...] = (PLUGIN, EXPORTER)) -> None:
        self.pods = pods
        self.daemons = daemons
        self.tolerations: list[Object] = []

    def list(self, path: str, **selected: str) -> list[Object]:
        if path == "/api/v1/pods":
            return self.pods
        namespace, name = path.split("/")[5], selected["fields"].partition("=")[2]
        body = {"spec": {"template": {"spec": {"tolerations": self.tolerations}}}}
        return [body] if f"{namespace}/{name}" in self.daemons else []


def test_only_what_was_ready_is_written_down() -> None:
    assert gpu_daemons.ready([plugin(), daemon("dcgm-exporter", ready=False), pod("web")]) == (PLUGIN,)


def test_a_daemonset_beside_the_device_plugin_that_is_not_ready_again_is_named() -> None:
    before = (PLUGIN, EXPORTER)
    assert gpu_daemons.lacking(before, [plugin(), daemon("dcgm-exporter", ready=False)]) == [EXPORTER]
    assert gpu_daemons.lacking(before, [plugin()]) == [EXPORTER]
    assert gpu_daemons.lacking(before, [plugin(), daemon("dcgm-exporter")]) == []


def test_what_runs_in_other_namespaces_is_asked_for_only_where_it_is_named() -> None:
    before = ("monitoring/agent", "monitoring/dcgm-exporter", PLUGIN)
    assert gpu_daemons.lacking(before, [plugin()]) == []
    assert gpu_daemons.lacking(before, [plugin()], ["monitoring/dcgm-*"]) == ["monitoring/dcgm-exporter"]
    back = daemon("dcgm-exporter", "monitoring")
    assert gpu_daemons.lacking(before, [plugin(), back], ["monitoring/dcgm-*"]) == []


def test_run_ai_s_own_are_asked_for_wherever_the_device_plugin_is() -> None:
    toolkit = "runai/runai-container-toolkit"
    assert gpu_daemons.lacking((toolkit, "runai-team-a/agent"), [plugin()]) == [toolkit]
    assert gpu_daemons.lacking((toolkit,), [plugin(), daemon("runai-container-toolkit", "runai")]) == []


@pytest.mark.parametrize("given", ["dcgm-exporter", "a/b/c", "", "monitoring/", "monitoring/dcgm exporter"])
def test_name_that_could_never_be_that_of_a_daemonset_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        ChecksSettings(daemons_also=[given])


def test_one_that_ends_is_not_ready() -> None:
    ending = plugin()
    ending["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    assert gpu_daemons.lacking((PLUGIN,), [ending]) == [PLUGIN]


def test_a_daemonset_that_was_deleted_meanwhile_is_not_waited_for() -> None:
    there: Any = Cluster([plugin()])
    gone: Any = Cluster([plugin()], daemons=(PLUGIN,))
    assert gpu_daemons.unready(there, node(), (PLUGIN, EXPORTER)) == ([EXPORTER], [])
    assert gpu_daemons.unready(gone, node(), (PLUGIN, EXPORTER)) == ([], [])


def test_a_daemonset_that_a_taint_of_others_keeps_away_is_named_and_not_waited_for() -> None:
    api: Any = Cluster([plugin()])
    found = node(cordoned=True)
    found["spec"]["taints"] = [
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {"key": "maintenance", "value": "disk", "effect": "NoSchedule"},
    ]
    assert gpu_daemons.unready(api, found, (EXPORTER,)) == ([], [f"{EXPORTER} (maintenance=disk:NoSchedule)"])
    api.tolerations = [{"key": "maintenance", "operator": "Exists"}]
    assert gpu_daemons.unready(api, found, (EXPORTER,)) == ([EXPORTER], [])


def test_without_ssh_the_daemonsets_are_written_down_and_no_machine_is_asked() -> None:
    api: Any = Cluster([plugin()])
    found = gpus_before.of(api, settings(), node(), Found(gpus={"nvidia.com/gpu": 4}))
    assert (found.daemons, found.devices) == ((PLUGIN,), ())


def test_of_a_node_without_gpus_nothing_is_looked_at() -> None:
    nothing: Any = None
    assert gpus_before.of(nothing, settings(), node(), Found(gpus={"nvidia.com/gpu": 0})).daemons == ()


CONFIG, STATE = mig_state.CONFIG, mig_state.STATE


@pytest.mark.parametrize(
    ("before", "now", "fine"),
    [
        ({}, {}, True),
        ({}, {CONFIG: "all-balanced"}, True),
        ({STATE: "success"}, {CONFIG: "all-balanced"}, False),
        ({}, {CONFIG: "all-disabled", STATE: "success"}, True),
        ({STATE: "success"}, {CONFIG: "all-balanced", STATE: "pending"}, False),
        ({STATE: "success"}, {CONFIG: "all-balanced", STATE: "rebooting"}, False),
        ({STATE: "failed"}, {CONFIG: "all-balanced", STATE: "failed"}, False),
        ({STATE: "success"}, {}, True),
    ],
)
def test_gpus_are_sliced_only_when_their_manager_says_so(
    before: dict[str, str], now: dict[str, str], fine: bool
) -> None:
    assert (mig_state.unfinished(before, now) == "") is fine
