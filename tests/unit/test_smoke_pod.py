"""The smoke pod as it is made, and what is understood of how it ended."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import smoke_pod
from cluster.config import ChecksSettings
from tests.unit.pod_objects import pod as a_pod

JSON = dict[str, Any]
GPU = "nvidia.com/gpu"
SETTINGS = ChecksSettings(smoke_pod="registry.example.org/smoke:1")


def made(settings: ChecksSettings = SETTINGS, node: str = "gpu-1") -> JSON:
    return smoke_pod.body(node, "id-1", 3, GPU, settings)


def ended(phase: str, **status: Any) -> JSON:
    return {"status": {"phase": phase, **status}}


def container(kind: str, **state: Any) -> JSON:
    return {"containerStatuses": [{"name": "smoke", "state": {kind: state}}]}


def test_it_asks_for_one_gpu_of_that_node_and_goes_past_the_scheduler() -> None:
    pod = made()
    assert pod["metadata"]["namespace"] == "runai-downtime"
    spec = pod["spec"]
    assert spec["nodeName"] == "gpu-1", "who is not scheduled preempts nobody"
    assert "priorityClassName" not in spec
    resources = spec["containers"][0]["resources"]
    assert resources["limits"][GPU] == resources["requests"][GPU] == "1"
    assert {"cpu", "memory"} <= set(resources["limits"])
    assert spec["tolerations"] == [{"operator": "Exists", "effect": "NoSchedule"}], "a drain takes it away as well"
    assert spec["activeDeadlineSeconds"] > SETTINGS.smoke_seconds
    assert spec["restartPolicy"] == "Never"


def test_it_tolerates_what_stands_on_its_node_for_good_and_nothing_else() -> None:
    taken = [
        {"key": "dedicated", "value": "team-b", "effect": "NoExecute"},
        {"key": "reserved", "effect": "NoExecute"},
        {"key": "dedicated", "value": "team-b", "effect": "NoSchedule"},
        {"key": "runai", "value": "drain", "effect": "NoExecute"},
        {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"},
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"},
    ]
    assert smoke_pod.body("gpu-1", "id-1", 3, GPU, SETTINGS, taken)["spec"]["tolerations"] == [
        {"operator": "Exists", "effect": "NoSchedule"},
        {"key": "dedicated", "operator": "Equal", "value": "team-b", "effect": "NoExecute"},
        {"key": "reserved", "operator": "Equal", "value": "", "effect": "NoExecute"},
    ]


def asking(count: str) -> JSON:
    return {"resources": {"limits": {GPU: count}}}


@pytest.mark.parametrize(
    ("pods", "left"),
    [
        ([], 4),
        ([a_pod(containers=[asking("1"), asking("2")])], 1),
        ([a_pod(containers=[{}], initContainers=[{**asking("1"), "restartPolicy": "Always"}])], 3),
        ([a_pod(containers=[asking("1")], initContainers=[asking("4")])], 0),
        ([a_pod(phase="Succeeded", containers=[asking("4")])], 4),
        ([a_pod(containers=[asking("many")])], 0),
    ],
    ids=["none", "containers", "a sidecar", "an init container", "an ended pod", "one that cannot be read"],
)
def test_a_gpu_is_free_as_the_scheduler_counts(pods: list[JSON], left: float) -> None:
    node = {"metadata": {"name": "gpu-1"}, "status": {"allocatable": {GPU: "4"}}}
    assert smoke_pod.free(node, pods, GPU) == left


def test_it_has_no_more_rights_than_the_restricted_standard_allows() -> None:
    spec = made()["spec"]
    assert not spec["automountServiceAccountToken"]
    assert {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items() <= spec[
        "securityContext"
    ].items()
    inside = spec["containers"][0]["securityContext"]
    assert inside == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(spec)


def test_command_and_runtime_class_are_configured() -> None:
    assert made()["spec"]["containers"][0]["command"] == ["nvidia-smi"]
    other = made(SETTINGS.model_copy(update={"smoke_command": [], "smoke_runtime_class": "nvidia"}))
    assert "command" not in other["spec"]["containers"][0]
    assert other["spec"]["runtimeClassName"] == "nvidia"


def test_name_of_a_node_with_a_long_name_can_be_one_of_a_pod() -> None:
    name = made(node="gpu-1." + "a" * 200)["metadata"]["name"]
    assert len(name) <= 63


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (ended("Pending"), None),
        (ended("Running"), None),
        ({}, None),
        (ended("Succeeded"), ("succeeded", "")),
        (
            ended("Failed", **container("terminated", exitCode=15, reason="Error", message="line 1\n\x1b[31mno GPU\n")),
            ("failed", "exit code 15, line 1 [31mno GPU"),
        ),
        (
            ended("Failed", reason="UnexpectedAdmissionError", message="Allocate failed due to requested number"),
            ("failed", "UnexpectedAdmissionError, Allocate failed due to requested number"),
        ),
        (ended("Failed"), ("failed", "no reason given")),
    ],
)
def test_how_it_ended_is_told_in_its_own_words(pod: JSON, expected: Any) -> None:
    assert smoke_pod.outcome(pod) == expected


def test_the_end_of_a_long_output_is_what_is_told() -> None:
    found = smoke_pod.outcome(ended("Failed", **container("terminated", exitCode=1, message="x" * 4000 + " the end")))
    assert found is not None
    assert found[1].endswith("the end")
    assert len(found[1]) < 600


def test_why_it_does_not_run_yet_is_told() -> None:
    waits = container("waiting", reason="ImagePullBackOff", message="Back-off pulling image")
    assert smoke_pod.waiting_for(ended("Pending", **waits)) == "ImagePullBackOff: Back-off pulling image"
    assert smoke_pod.waiting_for(ended("Running", **container("running"))) == "it runs still"
    assert smoke_pod.waiting_for({}) == "its kubelet says nothing"
