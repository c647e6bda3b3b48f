"""What a plan tells of a workload: GPUs, age, data, budgets, and its pods elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cluster import elsewhere, gpu_requests, local_claims, showing_workloads, workload_details, workloads
from cluster.node import Object
from cluster.owners import Chains, Owner
from cluster.plan import Elsewhere, Workload
from tests.unit.pod_objects import owner, pdb, pod

JSON = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def asks(**limits: str) -> list[JSON]:
    return [{"name": "main", "resources": {"limits": {key.replace("__", "/"): value for key, value in limits.items()}}}]


def gpu(count: int) -> list[JSON]:
    return [{"resources": {"limits": {"nvidia.com/gpu": str(count)}}}]


def told(pods: list[Object], chains: Chains | None = None, **known: Any) -> Workload:
    (one,) = workloads.find(pods, chains or {}, {})
    members = workloads.groups(pods, chains or {})[one.namespace, one.controller, one.name]
    return workload_details.told(one, members, **known)


def test_whole_gpus_slices_and_shares_are_told_apart() -> None:
    slices = [{"resources": {"limits": {"nvidia.com/mig-1g.5gb": "2", "nvidia.com/gpu": "1"}}}]
    pods = [
        pod("a-0", top=owner("Job", "a"), containers=gpu(2)),
        pod("a-1", top=owner("Job", "a"), annotations={"gpu-fraction": "0.5"}),
        pod("a-2", top=owner("Job", "a"), annotations={"gpu-fraction": "0.5", "gpu-fraction-num-devices": "3"}),
        pod("a-3", top=owner("Job", "a"), annotations={"gpu-memory": "2500"}),
        pod("a-4", top=owner("Job", "a"), containers=slices),
    ]
    one = told(pods)
    assert one.whole_gpus == 3
    assert one.shared_gpus == ("4 × 0.5 of a GPU", "2500 MiB of a GPU", "2 × MIG 1g.5gb")
    assert showing_workloads.gpus(one) == "3, 4 × 0.5 of a GPU, 2500 MiB of a GPU, 2 × MIG 1g.5gb"


def test_a_container_that_runs_before_the_others_does_not_add_to_them() -> None:
    both = pod(containers=[*gpu(1), *gpu(1)], initContainers=gpu(4))
    assert gpu_requests.whole([both]) == 4


@pytest.mark.parametrize(
    ("reservation", "expected"),
    [
        (pod("gpu-reservation-gpu-1-x", "runai-reservation"), True),
        (pod("gpu-reservation-gpu-1-x", "kai-resource-reservation"), True),
        (pod("gpu-reservation-x", "our-own", labels={"app": "runai-reservation"}), True),
        (pod("gpu-reservation-x", "our-own", labels={"runai-gpu-group": "g"}), True),
        (pod("gpu-reservation-x", "runai-team-a"), False),
        (pod("train-0", "runai-team-a", labels={"runai-gpu-group": "g"}), False),
    ],
)
def test_pods_that_hold_a_gpu_for_others_are_no_workloads(reservation: Object, expected: bool) -> None:
    assert (workloads.no_workload(reservation) == "gpu-reservation") is expected
    assert workloads.is_workload(reservation) is not expected


def test_the_oldest_pod_the_longest_grace_and_what_covers_them() -> None:
    top = owner("StatefulSet", "nb")
    first = pod("nb-0", top=top, labels={"app": "nb"}, terminationGracePeriodSeconds=600, priorityClassName="build")
    second = pod("nb-1", top=top, labels={"app": "nb"})
    first["status"]["startTime"] = "2026-11-21T10:00:00Z"
    second["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"
    covering, other = pdb({"matchLabels": {"app": "nb"}}, 0, "runai-team-a"), pdb({"matchLabels": {"app": "x"}}, 0)
    one = told([first, second], pdbs=[covering, other])
    assert one.since == datetime(2026, 11, 21, 10, tzinfo=UTC)
    assert (one.grace_seconds, one.priority_class, one.budgets) == (600, "build", ("budget",))
    said = showing_workloads.facts(one, NOW)
    assert said == "runs for 3 d 2 h; priority build; may take 10 min 0 s to end; disruption budget budget"


def test_local_data_is_what_would_be_missed() -> None:
    volumes = [
        {"name": "scratch", "emptyDir": {}},
        {"name": "dshm", "emptyDir": {"medium": "Memory"}},
        {"name": "data", "hostPath": {"path": "/data/anna"}},
        {"name": "infiniband", "hostPath": {"path": "/dev/infiniband"}},
        {"name": "docker", "hostPath": {"path": "/data/docker.sock", "type": "Socket"}},
        {"name": "token", "projected": {"sources": []}},
        {"name": "home", "persistentVolumeClaim": {"claimName": "home-anna"}},
        {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}},
    ]
    one = told([pod(volumes=volumes)], claims={"runai-team-a/home-anna": "pv-1"})
    assert one.local_data == ("data (hostPath)", "home-anna (local volume pv-1)", "scratch (emptyDir)")


def test_a_volume_is_local_if_one_node_alone_can_reach_it() -> None:
    def volume(**spec: Any) -> Object:
        return {"spec": spec}

    def affinity(key: str, *values: str) -> JSON:
        term = {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}
        return {"required": {"nodeSelectorTerms": [term]}}

    assert local_claims.is_local(volume(local={"path": "/x"}))
    assert local_claims.is_local(volume(hostPath={"path": "/x"}))
    assert local_claims.is_local(volume(csi={}, nodeAffinity=affinity("topology.topolvm.io/node", "gpu-1")))
    assert not local_claims.is_local(volume(csi={}, nodeAffinity=affinity("topology.kubernetes.io/zone", "a")))
    assert not local_claims.is_local(volume(csi={}, nodeAffinity=affinity("kubernetes.io/hostname", "a", "b")))
    assert not local_claims.is_local(volume(nfs={}))


def groups_of(pods: list[Object], chains: Chains | None = None) -> elsewhere.Groups:
    return workloads.groups(pods, chains or {})


def test_an_operators_own_label_finds_the_other_pods_with_one_question_for_all() -> None:
    label = "training.kubeflow.org/job-name"
    here = [
        pod(f"{name}-worker-0", top=owner("PyTorchJob", name), labels={label: name}) for name in ("llama", "resnet")
    ]
    groups = groups_of(here)
    (query,) = elsewhere.queries(groups)
    assert (query.namespace, query.labels) == ("runai-team-a", f"{label} in (llama,resnet)")
    there = [
        pod(f"llama-worker-{number}", labels={label: "llama"}, nodeName=f"gpu-{1 + number % 2}")
        for number in range(1, 8)
    ]
    found = elsewhere.counted(query, groups, there)
    llama = found["runai-team-a", "PyTorchJob/llama", "llama"]
    assert (llama.pods, llama.nodes, llama.waiting) == (7, ("gpu-1", "gpu-2"), 0)
    assert found["runai-team-a", "PyTorchJob/resnet", "resnet"].pods == 0


def test_without_such_a_label_the_owner_or_the_pod_group_tells() -> None:
    top = owner("DistributedWorkload", "d")
    here = [pod("d-worker-0", top=top, annotations={"pod-group-name": "pg-d"})]
    groups = groups_of(here)
    (query,) = elsewhere.queries(groups)
    assert (query.namespace, query.labels) == ("runai-team-a", "")
    there = [
        pod("d-worker-1", top=top, nodeName="gpu-2"),
        pod("d-launcher", top=owner("Job", "d-launcher"), annotations={"pod-group-name": "pg-d"}),
        pod("stranger", top=owner("Job", "x"), nodeName="gpu-2"),
    ]
    found = elsewhere.counted(query, groups, there)["runai-team-a", "DistributedWorkload/d", "d"]
    assert found == Elsewhere(pods=2, waiting=1, nodes=("gpu-2",), grouped=True)


def test_work_that_has_all_its_pods_here_is_not_looked_for() -> None:
    single = owner("Job", "t", spec={"parallelism": 1})
    notebook = owner("StatefulSet", "nb", spec={"replicas": 1})
    pods = [pod("t-0", top=single), pod("nb-0", top=notebook), pod("bare")]
    chains: Chains = {pods[0]["metadata"]["uid"]: (single,), pods[1]["metadata"]["uid"]: (notebook,)}
    assert elsewhere.queries(groups_of(pods, chains)) == []


def test_of_a_gang_it_is_said_that_run_ai_evicts_all_of_it() -> None:
    others = Elsewhere(pods=7, nodes=("gpu-2", "gpu-3"))
    said = workload_details.disturbs("distributed", 1, others)
    assert said == (
        "all of it may be disturbed: 1 of its 8 pods is here, the others elsewhere (gpu-2, gpu-3), and Run:ai evicts a "
        "gang that lacks members for 60 s"
    )
    assert workload_details.disturbs("inference", 1, others.model_copy(update={"grouped": True}), replicas=True) == said
    assert workload_details.disturbs("training", 1, others.model_copy(update={"grouped": True}))
    assert workload_details.disturbs("distributed", 8, Elsewhere(pods=0)) == ""
    assert workload_details.disturbs("distributed", 1, None) == ""


SET, LEADERS = (
    owner("StatefulSet", "s"),
    Owner(api_version="leaderworkerset.x-k8s.io/v1", kind="LeaderWorkerSet", name="l"),
)
RAY = Owner(api_version="ray.io/v1", kind="RayCluster", name="r")
RAY_SERVICE = Owner(api_version="ray.io/v1", kind="RayService", name="r")


@pytest.mark.parametrize(
    "chain",
    [
        (owner("Job", "indexed"),),
        (SET,),
        (SET, LEADERS),
        (SET, LEADERS, owner("InferenceWorkload", "l")),
        (RAY,),
        (RAY, RAY_SERVICE),
        (owner("ReplicaSet", "d"), owner("Deployment", "d"), owner("DaskCluster", "d")),
        (owner("SomethingNew", "x"),),
    ],
    ids=lambda chain: chain[-1].kind,
)
def test_pods_elsewhere_that_may_depend_on_those_here_are_told(chain: tuple[Owner, ...]) -> None:
    one = told([member := pod(top=chain[0])], {member["metadata"]["uid"]: chain}, elsewhere=Elsewhere(pods=3))
    assert one.disturbs == (
        "all of it may be disturbed: 1 of its 4 pods is here, the others elsewhere may depend on those here"
    )
    assert "Run:ai" not in one.disturbs


@pytest.mark.parametrize(
    "chain",
    [
        (owner("ReplicaSet", "d"), owner("Deployment", "d")),
        (owner("ReplicaSet", "d"), owner("Deployment", "d"), owner("InferenceWorkload", "d")),
        (owner("ReplicaSet", "d"), owner("Deployment", "d"), owner("ExternalWorkload", "d")),
    ],
    ids=lambda chain: chain[-1].kind,
)
def test_replicas_that_serve_each_for_itself_are_not_said_to_disturb_each_other(chain: tuple[Owner, ...]) -> None:
    one = told([member := pod(top=chain[0])], {member["metadata"]["uid"]: chain}, elsewhere=Elsewhere(pods=3))
    assert one.disturbs == ""


@pytest.mark.parametrize("chain", [(RAY,), (SET, LEADERS), (LEADERS,)], ids=["ray", "leader-and-workers", "leaders"])
def test_what_may_hold_unsaved_work_is_asked_about_though_it_is_made_of_many_pods(chain: tuple[Owner, ...]) -> None:
    one = told([member := pod(top=chain[0])], {member["metadata"]["uid"]: chain}, elsewhere=Elsewhere(pods=3))
    assert one.fate == "needs-approval"


def test_the_topmost_owner_that_the_scheduler_noted_stands_above_the_references() -> None:
    noted = "name: exp\nuid: u-1\ngroup: run.ai\nversion: v2alpha1\nkind: InteractiveWorkload\n"
    for key in ("run.ai/top-owner-metadata", "kai.scheduler/top-owner-metadata", "kai.scheduler/top-owner-matadata"):
        one = told([pod(top=owner("Job", "exp-1"), annotations={key: noted})])
        assert (one.controller, one.kind) == ("InteractiveWorkload/exp", "interactive")
    as_json = '{"name": "exp", "uid": "u-1", "group": "run.ai", "version": "v2alpha1", "kind": "TrainingWorkload"}'
    assert told([pod(annotations={"run.ai/top-owner-metadata": as_json})]).controller == "TrainingWorkload/exp"
    itself = "name: a\nuid: u\ngroup: ''\nversion: v1\nkind: Pod\n"
    assert told([pod("a", annotations={"run.ai/top-owner-metadata": itself})]).controller == ""


def test_what_stands_for_work_of_another_system_tells_neither_kind_nor_fate() -> None:
    external = Owner(api_version="run.ai/v2alpha1", kind="ExternalWorkload", name="e", uid="e")
    job = owner("Job", "e")
    trained = pod("e-0")
    chains: Chains = {trained["metadata"]["uid"]: (job, external)}
    (one,) = workloads.find([trained], chains, {})
    assert (one.kind, one.fate, one.controller) == ("training", "moves", "ExternalWorkload/e")
    (alone,) = workloads.find([trained], {trained["metadata"]["uid"]: (external,)}, {})
    assert (alone.kind, alone.fate) == ("unknown", "needs-approval")


def test_new_and_old_labels_name_the_project_and_the_researcher() -> None:
    new = pod(labels={"kai.scheduler/queue": "team-q", "user": "ada"}, namespace="research")
    old = pod(labels={"app": "runaijob", "project": "team-p"}, annotations={"user": "ben"}, namespace="research")
    assert [(one.project, one.owner) for one in (told([new]), told([old]))] == [("team-q", "ada"), ("team-p", "ben")]
