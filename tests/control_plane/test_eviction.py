"""Workloads evicted before the taint: real budgets, real refusals, and DaemonSets that only the taint takes away."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cluster import api as apis
from cluster import planning
from cluster.config import Settings
from cluster.errors import Blocked, Failed, Waiting
from cluster.options import PlannedOptions
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, bare_pod, disruption_budget, interactive, training
from tests.control_plane import driving
from tests.control_plane.conftest import MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.on_a_node import JSON, NAMESPACE, Pods, Runs, cpu_node, pods_there, running_there, work
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import cordoned, drained, record_of, untouched

__all__ = ["cpu_node", "pods_there", "running_there"]

BUDGET = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/strict"
STAYING_UP = UNATTENDED.model_copy(update={"shut_down": False, "hold": True})
EVICTION = STAYING_UP.model_copy(update={"eviction": True})


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    """Read after the node was made: its address is in it. Pods get six seconds to go."""
    return settings_of(lab, drain={"eviction_minutes": 6 * SECOND})


@pytest.fixture
def guarded(lab_api: Api, node: str, runs: Runs, make_object: MakeObject) -> str:
    """The name of a pod that a budget protects, which allows nothing and was judged."""
    name = runs(interactive("guarded", work(node, user="grace")))
    make_object(disruption_budget("strict", NAMESPACE, {"release": "guarded"}))
    until(lambda: lab_api.get(BUDGET).get("status", {}).get("expectedPods"), seconds=20, what="no budget is judged")
    return name


def daemon_set(name: str, node: str, host_path: str = "") -> JSON:
    """A DaemonSet with a pod on the node alone, which the drain taint takes away."""
    template = bare_pod(name, work(node))
    spec = {key: value for key, value in template["spec"].items() if key != "restartPolicy"}
    if host_path:
        spec["volumes"] = [{"name": "socket", "hostPath": {"path": host_path}}]
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def step_of(api: Api, node: str, name: str) -> JSON:
    record = record_of(api, node)
    assert record is not None
    step: JSON = record["steps"][name]
    return step


def until_the_return(call: Callable[[], object]) -> None:
    with pytest.raises(Waiting) as waiting:
        call()
    assert waiting.value.code == "waiting-for-return"


def test_budget_that_allows_nothing_is_waited_for_and_whoever_blocks_is_named(
    lab_api: Api, settings: Settings, node: str, guarded: str, runs: Runs, pods: Pods
) -> None:
    runs(training("free", work(node)))
    uid = pods()[guarded]["metadata"]["uid"]
    with pytest.raises(Blocked) as blocked:
        driving.run(settings, node, STAYING_UP)
    assert blocked.value.code == "pdb"
    with pytest.raises(Failed) as failed:
        driving.run(settings, node, EVICTION)
    assert (failed.value.code, failed.value.exit_code) == ("eviction-refused", 1)
    assert f"{NAMESPACE}/{guarded} (of grace): refused" in failed.value.message
    assert "disruption budget strict needs" in failed.value.message
    assert failed.value.changed == ("cordon",)
    assert list(pods()) == [guarded], "what its budget allows has gone"
    assert pods()[guarded]["metadata"]["uid"] == uid
    assert "deletionTimestamp" not in pods()[guarded]["metadata"]
    assert cordoned(lab_api, node)
    assert not drained(lab_api, node)
    assert step_of(lab_api, node, "evict")["state"] == "intended"
    lab_api.delete(BUDGET)
    until_the_return(lambda: driving.resume(settings, node))
    assert pods() == {}
    assert drained(lab_api, node)
    assert step_of(lab_api, node, "evict")["at"] <= step_of(lab_api, node, "taint")["at"]
    driving.abort(settings, node)
    assert untouched(lab_api, node)


def test_budget_that_allows_it_in_the_middle_ends_the_waiting(
    lab: Lab, lab_api: Api, node: str, guarded: str, pods: Pods
) -> None:
    told: list[str] = []

    def say(step: str, text: str) -> None:
        if step == "evict" and "not allowed yet" in text:
            told.append(text)
            assert guarded in text
            lab_api.delete(BUDGET)

    until_the_return(lambda: driving.run(settings_of(lab), node, EVICTION, say))
    assert len(told) == 1
    assert pods() == {}
    driving.abort(settings_of(lab), node)


@pytest.mark.long
def test_who_backs_out_while_a_budget_blocks_takes_the_cordon_off_and_nothing_else(
    lab_api: Api, settings: Settings, node: str, guarded: str, pods: Pods
) -> None:
    with pytest.raises(Failed):
        driving.run(settings, node, EVICTION)
    driving.abort(settings, node)
    assert untouched(lab_api, node)
    assert list(pods()) == [guarded]


@pytest.mark.long
def test_override_leaves_what_stays_refused_to_the_taint(
    lab: Lab, lab_api: Api, node: str, guarded: str, pods: Pods
) -> None:
    agreed = EVICTION.model_copy(update={"override_pdb": "agreed with grace"})
    until_the_return(lambda: driving.run(settings_of(lab), node, agreed))
    assert guarded in step_of(lab_api, node, "evict")["proof"]
    assert pods() == {}
    driving.abort(settings_of(lab), node)


@pytest.mark.parametrize(
    ("options", "host_path"),
    [
        pytest.param(EVICTION, "", id="chosen", marks=pytest.mark.long),
        pytest.param(STAYING_UP, "/var/lib/kubelet/plugins/csi.example.org", id="for the sake of a node plugin"),
    ],
)
def test_pods_of_daemon_sets_run_until_the_workloads_are_gone_before_the_taint(
    lab: Lab,
    lab_api: Api,
    node: str,
    runs: Runs,
    pods: Pods,
    options: PlannedOptions,
    host_path: str,
) -> None:
    settings = settings_of(lab)
    daemon = runs(daemon_set("agent", node, host_path))
    runs(training("slow", work(node, lingers=2, grace_seconds=10)))
    before = pods()[daemon]["metadata"]
    _, plan = planning.plan(apis.connect(settings.cluster), settings, node, options)
    assert [one.name for one in plan.steps][3:5] == ["evict", "taint"]
    warned = [one.message for one in plan.warnings if one.code == "csi-plugin-drained"]
    assert [daemon in one for one in warned] == ([True] if host_path else [])
    seen: list[JSON] = []
    mounted: list[str] = []

    def in_use(*names: str) -> None:
        lab_api.patch(f"/api/v1/nodes/{node}/status", {"status": {"volumesInUse": list(names) or None}})

    def say(step: str, text: str) -> None:
        if step == "evict" and "still to go" in text:
            in_use("kubernetes.io/csi/csi.example.org^vol-1")
        if step == "evict" and "still mounted" in text:
            assert not drained(lab_api, node)
            mounted.append(text)
            in_use()
        if step == "evict" and text.startswith("no pod left that is evicted"):
            assert not drained(lab_api, node)
            seen.append(pods())

    until_the_return(lambda: driving.run(settings, node, options, say))
    in_use()
    assert [list(one) for one in seen] == [[daemon]]
    assert len(mounted) == (1 if host_path else 0), "the taint comes before the volumes are unmounted"
    then = seen[0][daemon]["metadata"]
    assert then["uid"] == before["uid"]
    assert "deletionTimestamp" not in then
    assert pods() == {}, "the taint takes them away"
    record = record_of(lab_api, node)
    assert record is not None
    assert record["found"]["csi"] == ([f"{NAMESPACE}/{daemon}"] if host_path else [])
    driving.abort(settings, node)
    assert untouched(lab_api, node)


def test_a_volume_that_is_never_unmounted_is_named_and_keeps_no_machine_up(
    lab: Lab, lab_api: Api, node: str, runs: Runs
) -> None:
    runs(daemon_set("agent", node, "/var/lib/kubelet/plugins/csi.example.org"))
    stuck = {"volumesInUse": ["kubernetes.io/csi/csi.example.org^vol-1"]}
    lab_api.patch(f"/api/v1/nodes/{node}/status", {"status": stuck})
    settings = settings_of(lab, drain={"eviction_minutes": 5 * SECOND})
    began = time.monotonic()
    until_the_return(lambda: driving.run(settings, node, STAYING_UP))
    assert time.monotonic() - began > 5
    assert "still in use after 0.1 min (csi.example.org^vol-1)" in step_of(lab_api, node, "evict")["proof"]
    assert drained(lab_api, node)
    driving.abort(settings, node)


def test_interactive_work_that_comes_during_the_eviction_is_not_evicted(
    lab: Lab, lab_api: Api, node: str, runs: Runs, make_object: MakeObject, pods: Pods
) -> None:
    runs(training("slow", work(node, lingers=2, grace_seconds=10)))
    made: list[str] = []

    def say(step: str, text: str) -> None:
        if step == "evict" and "still to go" in text and not made:
            body = bare_pod("sneaked-in", Work(gpus=0, grace_seconds=1))
            body["spec"]["nodeName"] = node
            made.append(make_object(body)["metadata"]["uid"])

    asking = EVICTION.model_copy(update={"interactive": "ask"})
    with pytest.raises(Blocked) as error:
        driving.run(settings_of(lab), node, asking, say)
    assert error.value.code == "new-interactive-work"
    assert {name: pod["metadata"]["uid"] for name, pod in pods().items()} == {"sneaked-in": made[0]}
    assert not drained(lab_api, node)
    driving.abort(settings_of(lab), node)
