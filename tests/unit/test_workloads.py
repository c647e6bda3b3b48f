"""Which workloads are on a node, of what kind they are, and what the drain means for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import workloads
from cluster.node import Object
from cluster.options import Interactive
from cluster.owners import Chains, Owner
from cluster.plan import Workload, WorkloadKind
from tests.unit.pod_objects import DRAIN_FOR_EVER, GROUPS, owner, pod
from tests.unit.test_pods import JSON, TOLERATIONS

PRIORITIES = {"train": 50, "build": 100, "inference": 125, "mine": 100, "serve": 125}


def _one(found_pod: Object, chain: tuple[Owner, ...] = (), interactive: Interactive = "ask") -> Workload:
    (only,) = workloads.find([found_pod], {found_pod["metadata"]["uid"]: chain}, PRIORITIES, interactive=interactive)
    return only


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Job", "training"),
        ("TrainingWorkload", "training"),
        ("StatefulSet", "interactive"),
        ("InteractiveWorkload", "interactive"),
        ("DistributedWorkload", "distributed"),
        ("PyTorchJob", "distributed"),
        ("MPIJob", "distributed"),
        ("InferenceWorkload", "inference"),
        ("InferenceService", "inference"),
        ("Service", "inference"),
        ("Deployment", "unknown"),
        ("RunaiJob", "unknown"),
        ("SomethingNew", "unknown"),
    ],
)
def test_the_topmost_owner_tells_the_kind(kind: str, expected: WorkloadKind) -> None:
    assert _one(pod(), (owner(kind, "w"),)).kind == expected


def test_the_run_ai_object_on_top_outweighs_what_it_is_made_of() -> None:
    assert _one(pod(), (owner("StatefulSet", "w"), owner("TrainingWorkload", "w"))).kind == "training"
    assert _one(pod(), (owner("Job", "w"), owner("InteractiveWorkload", "w"))).kind == "interactive"


def test_an_owner_below_one_that_says_nothing_tells_the_kind() -> None:
    assert _one(pod(), (owner("Job", "w"), owner("SomethingNew", "w"))).kind == "training"


def test_a_kind_of_the_same_name_in_another_group_tells_nothing() -> None:
    core_service = Owner(api_version="v1", kind="Service", name="w")
    foreign_job = Owner(api_version="nomad.example.org/v1", kind="Job", name="w")
    assert _one(pod(), (core_service,)).kind == "unknown"
    assert _one(pod(), (foreign_job,)).kind == "unknown"


@pytest.mark.parametrize(
    ("priority", "expected"),
    [
        ("build", "interactive"),
        ("interactive-preemptible", "interactive"),
        ("mine", "interactive"),
        ("inference", "inference"),
        ("serve", "unknown"),
        ("train", "training"),
        ("train-critical", "training"),
        ("never-heard-of", "unknown"),
    ],
)
def test_where_owners_say_nothing_the_priority_class_does(priority: str, expected: WorkloadKind) -> None:
    assert _one(pod(priorityClassName=priority), (owner("RunaiJob", "w"),)).kind == expected
    labelled = owner("RunaiJob", "w", labels={"priorityClassName": priority})
    assert _one(pod(), (labelled,)).kind == expected
    assert _one(pod(labels={"priorityClassName": priority})).kind == expected


def test_the_pods_own_priority_class_outweighs_labels() -> None:
    labelled = owner("RunaiJob", "w", labels={"priorityClassName": "build"})
    assert _one(pod(priorityClassName="train"), (labelled,)).kind == "training"
    assert _one(pod(labels={"priorityClassName": "train"}), (labelled,)).kind == "interactive"


def test_unknown_is_asked_about_like_interactive() -> None:
    assert workloads.needs_approval("unknown")
    assert workloads.needs_approval("interactive")
    assert not any(workloads.needs_approval(kind) for kind in ("training", "inference", "distributed"))
    assert _one(pod(), (owner("SomethingNew", "w"),)).fate == "needs-approval"


@pytest.mark.parametrize("interactive", ["ask", "refuse", "evict"])
def test_work_with_a_controller_moves_and_bare_training_is_lost(interactive: Interactive) -> None:
    assert _one(pod(), (owner("Job", "w"),), interactive).fate == "moves"
    assert _one(pod(), (owner("DistributedWorkload", "w"),), interactive).fate == "moves"
    assert _one(pod(priorityClassName="train"), (owner("RunaiJob", "w"),), interactive).fate == "moves"
    assert _one(pod(priorityClassName="train"), (), interactive).fate == "lost"


@pytest.mark.parametrize("priority", ["build", "interactive-preemptible", "mine"])
def test_a_notebook_that_was_submitted_as_a_job_is_asked_about(priority: str) -> None:
    labelled = owner("Job", "w", labels={"priorityClassName": priority})
    for one in (
        _one(pod(priorityClassName=priority), (owner("Job", "w"),)),
        _one(pod(), (labelled,)),
        _one(pod(priorityClassName=priority), (owner("PyTorchJob", "w"),)),
    ):
        assert (one.kind, one.fate) == ("interactive", "needs-approval")
    typed = _one(pod(priorityClassName=priority), (owner("Job", "w"), owner("TrainingWorkload", "w")))
    assert (typed.kind, typed.fate) == ("training", "moves"), "Run:ai's own kinds say it themselves"


@pytest.mark.parametrize(
    ("spec", "fate"),
    [
        ({"backoffLimit": 0}, "lost"),
        ({"backoffLimit": 0, "ignoresDisruption": True}, "moves"),
        ({"backoffLimit": 6}, "moves"),
        ({"backoffLimit": 6, "failed": 5}, "moves"),
        ({"backoffLimit": 6, "failed": 6}, "lost"),
        ({"backoffLimit": 2**31 - 1, "backoffLimitPerIndex": 0}, "lost"),
        ({"backoffLimit": 2**31 - 1, "backoffLimitPerIndex": 1}, "moves"),
        ({}, "moves"),
    ],
)
@pytest.mark.parametrize(
    "above", [(), *((owner(kind, "w"),) for kind in ("CronJob", "TrainingWorkload", "ExternalWorkload"))]
)
def test_a_job_that_allows_no_more_failures_is_lost_with_its_pod(
    above: tuple[Owner, ...], spec: dict[str, Any], fate: str
) -> None:
    assert _one(pod(), (owner("Job", "w", spec=spec), *above)).fate == fate


def test_a_job_with_more_pods_here_than_it_may_lose_is_lost() -> None:
    job = owner("Job", "w", spec={"backoffLimit": 2})
    pods = [pod(f"w-{number}", top=job) for number in range(3)]
    chains: Chains = {one["metadata"]["uid"]: (job,) for one in pods}
    assert [one.fate for one in workloads.find(pods[:2], chains, PRIORITIES)] == ["moves"]
    assert [one.fate for one in workloads.find(pods, chains, PRIORITIES)] == ["lost"]


def test_a_ray_job_that_waits_for_its_user_is_asked_about() -> None:
    def kind(**spec: str) -> WorkloadKind:
        return _one(pod(), (Owner(api_version="ray.io/v1", kind="RayJob", name="w", spec=spec),)).kind

    assert kind(submissionMode="InteractiveMode") == "interactive"
    assert kind(submissionMode="K8sJobMode") == kind() == "distributed"


def test_what_makes_failed_jobs_anew_is_not_judged_by_them() -> None:
    strict = owner("Job", "w", spec={"backoffLimit": 0})
    jobset = Owner(api_version="jobset.x-k8s.io/v1alpha2", kind="JobSet", name="w")
    assert _one(pod(), (strict, jobset)).fate == "moves"


def test_evicted_interactive_work_moves_only_where_its_controller_recreates_it() -> None:
    def fate(*chain: Owner) -> str:
        return _one(pod(priorityClassName="build"), chain, "evict").fate

    assert fate(owner("StatefulSet", "w")) == "moves"
    assert fate(owner("ReplicaSet", "w-1"), owner("Deployment", "w")) == "moves"
    assert fate(owner("RunaiJob", "w")) == "lost"
    assert fate(owner("InteractiveWorkload", "w")) == "lost"
    assert fate() == "lost"


def test_an_answer_counts_for_the_workload_that_it_was_given_for() -> None:
    first, second = pod("nb-0", top=owner("StatefulSet", "nb")), pod("lab-0", top=owner("StatefulSet", "lab"))
    asked = workloads.find([first, second], {}, PRIORITIES)
    agreed = workloads.find([first, second], {}, PRIORITIES, agreed=[asked[1].key])
    assert [one.fate for one in asked] == ["needs-approval", "needs-approval"]
    assert [(one.name, one.fate) for one in agreed] == [("lab", "needs-approval"), ("nb", "moves")]


def test_a_workload_that_tolerates_the_drain_stays_unless_part_of_it_must_go() -> None:
    job = owner("Job", "w")
    staying, going = pod("w-0", top=job, tolerations=[DRAIN_FOR_EVER]), pod("w-1", top=job)
    assert _one(staying, (job,)).fate == "stays"
    (both,) = workloads.find([staying, going], {}, PRIORITIES)
    assert (both.pods, both.fate) == (("w-0", "w-1"), "moves")


def test_the_researcher_and_the_project_come_from_the_pod_or_its_top_owner() -> None:
    top = owner("RunaiJob", "w", annotations={"user": "ada"}, labels={"project": "team-b"})
    assert _one(pod(annotations={"user": "grace"}), (top,)).owner == "grace"
    assert (_one(pod(), (top,)).owner, _one(pod(), (top,)).project) == ("ada", "team-b")
    assert _one(pod(labels={"runai/queue": "q"})).project == "q"
    assert _one(pod()).project == "team-a"
    assert _one(pod(namespace="research")).project == ""


def test_pods_are_grouped_by_their_topmost_owner_within_a_namespace() -> None:
    top = owner("PyTorchJob", "dist")
    pods = [
        pod("dist-1", containers=[{"resources": {"limits": {"nvidia.com/gpu": "2"}}}]),
        pod("dist-0", containers=[{"resources": {"limits": {"nvidia.com/gpu": "1"}}}]),
        pod("dist-0", "runai-team-b"),
    ]
    chains: Chains = {one["metadata"]["uid"]: (top,) for one in pods}
    first, second = workloads.find(pods, chains, PRIORITIES)
    assert (first.pods, first.gpus, first.controller) == (("dist-0", "dist-1"), 3, "PyTorchJob/dist")
    assert (second.namespace, second.key) == ("runai-team-b", "runai-team-b/PyTorchJob/dist")


@pytest.mark.parametrize(
    "found_pod",
    [
        pod(namespace="kube-system"),
        pod(namespace="kube-flannel"),
        pod(namespace="runai"),
        pod(namespace="runai-backend"),
        pod(namespace="runai-reservation"),
        pod(namespace="gpu-operator"),
        pod(namespace="our-own-monitoring"),
        pod(phase="Succeeded"),
        pod(phase="Failed"),
        pod(annotations={"kubernetes.io/config.mirror": "x"}),
        pod(top=owner("DaemonSet", "exporter")),
        pod(priorityClassName="system-node-critical"),
    ],
)
def test_parts_of_the_cluster_itself_are_no_workloads(found_pod: Object) -> None:
    assert workloads.find([found_pod], {}, PRIORITIES, service_namespaces=["our-own-monitoring"]) == ()


OWNERS = st.lists(
    st.builds(owner, st.sampled_from([*GROUPS, "SomethingNew", ""]), st.text(max_size=5)), max_size=4
).map(tuple)
PODS = st.one_of(
    st.fixed_dictionaries({}, optional={"metadata": JSON, "spec": JSON, "status": JSON}),
    st.builds(
        pod,
        st.sampled_from(["a-0", "a-1", "b-0"]),
        st.sampled_from(["runai-team-a", "default", "kube-system"]),
        top=st.none() | st.builds(owner, st.sampled_from([*GROUPS]), st.sampled_from(["a", "b"])),
        tolerations=TOLERATIONS,
        priorityClassName=st.none() | st.sampled_from([*PRIORITIES, "odd"]) | st.integers(),
        labels=JSON,
        annotations=JSON,
    ),
)


@given(st.lists(PODS, max_size=5), OWNERS, st.sampled_from(["ask", "evict", "refuse"]))
def test_whatever_the_pods_every_workload_pod_is_in_exactly_one_workload(
    pods: list[dict[str, Any]], chain: tuple[Owner, ...], interactive: Interactive
) -> None:
    chains = {str(one["metadata"].get("uid", "")): chain for one in pods[::2] if isinstance(one.get("metadata"), dict)}
    found = workloads.find(pods, chains, PRIORITIES, interactive=interactive)
    assert sum(len(one.pods) for one in found) == sum(workloads.is_workload(one) for one in pods)
    for one in found:
        if workloads.needs_approval(one.kind) and interactive != "evict":
            assert one.fate in ("needs-approval", "stays")
