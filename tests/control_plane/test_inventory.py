"""A plan tells what is on a node as its researchers know it; a drain does to each what the plan said."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from cluster import api as apis
from cluster import observation, plan_details, planning
from cluster.errors import Failed
from cluster.plan import Plan, Workload
from deployments import text_plan
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai import objects
from lab.runai.custom_workloads import custom, runaijob
from lab.runai.workloads import Work, bare_pod, disruption_budget
from lab.simulated import cluster
from tests.control_plane import driving
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import record_of
from tests.control_plane.test_observation import Recorder

JSON = dict[str, Any]
HERE, THERE = "gpu-inv-1", "gpu-inv-2"
TEAM = "runai-team-a"
PODS = f"/api/v1/namespaces/{TEAM}/pods"
EVICTING = UNATTENDED.model_copy(update={"shut_down": False, "hold": True, "interactive": "evict"})
FINALIZER = "example.org/keep"


@dataclass(frozen=True)
class Ground:
    """Two nodes, with a workload of each kind on the first."""

    lab: Lab
    api: Api

    def pods(self) -> dict[str, JSON]:
        return {pod["metadata"]["name"]: pod for pod in self.api.items(PODS)}

    def running(self, prefix: str) -> dict[str, str]:
        """Pods that run and whose name begins so, with their nodes."""
        return {
            name: pod["spec"]["nodeName"]
            for name, pod in self.pods().items()
            if name.startswith(prefix)
            and pod["status"].get("phase") == "Running"
            and not pod["metadata"].get("deletionTimestamp")
        }

    def plan(self) -> Plan:
        settings = settings_of(self.lab)
        _, made = planning.plan(apis.connect(settings.cluster), settings, HERE, EVICTING)
        return made


def work(**choices: Any) -> Work:
    return Work(**{"gpus": 0, "grace_seconds": 1, "prefers": HERE, **choices})


def local_volume() -> list[JSON]:
    size, modes = {"storage": "1Gi"}, ["ReadWriteOnce"]
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [HERE]}]}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": "inv-volume"},
            "spec": {
                "capacity": size,
                "accessModes": modes,
                "local": {"path": "/data/inv"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
                "persistentVolumeReclaimPolicy": "Retain",
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "inv-home", "namespace": TEAM},
            "spec": {
                "accessModes": modes,
                "resources": {"requests": size},
                "volumeName": "inv-volume",
                "storageClassName": "",
            },
        },
    ]


def reservation() -> JSON:
    """As Run:ai makes one for a GPU that is shared: it goes with those that share, whatever it tolerates."""
    body = bare_pod("gpu-reservation-inv", work(tolerate_everything=True))
    body["metadata"] |= {"namespace": "runai-reservation", "labels": {"app": "runai-reservation"}}
    body["spec"]["nodeName"] = HERE
    return body


def budget() -> JSON:
    """One that allows everything. (``maxUnavailable`` would need an owner of which Kubernetes knows the replicas.)"""
    body = disruption_budget("inv-budget", TEAM, {"workloadName": "inv-train"})
    return {**body, "spec": {"minAvailable": 0, "selector": body["spec"]["selector"]}}


def workloads() -> list[JSON]:
    volumes = ({"name": "scratch", "emptyDir": {}}, {"name": "dshm", "emptyDir": {"medium": "Memory"}})
    home = ({"name": "home", "persistentVolumeClaim": {"claimName": "inv-home"}},)
    return [
        *local_volume(),
        custom("training", "inv-train", work(gpus=1, user="ada", volumes=volumes)),
        custom("interactive", "inv-notebook", work(fraction=0.5, grace_seconds=6, user="ben", volumes=home)),
        custom("inference", "inv-serve", work()),
        runaijob("inv-old", work(gpus=1)),
        bare_pod("inv-bare", work(node=HERE)),
        bare_pod("inv-held", work(node=HERE, finalizers=(FINALIZER,), priority="train")),
        budget(),
        reservation(),
    ]


@pytest.fixture(scope="module")
def ground(lab: Lab, lab_api: Api) -> Iterator[Ground]:
    made: list[JSON] = []
    found = Ground(lab, lab_api)
    try:
        cluster.add_node(lab, HERE, gpus=4)
        cluster.add_node(lab, THERE)
        for body in workloads():
            objects.create(lab_api, body)
            made.append(body)
        single = ("inv-train", "inv-notebook", "inv-serve", "inv-old", "inv-bare", "inv-held")

        def placed() -> bool:
            return all(set(found.running(name).values()) == {HERE} for name in single)

        until(placed, seconds=30, what=lambda: f"not all on {HERE}: {found.running('inv-')}")
        # Two GPUs are left here: one member fits.
        gang = custom("distributed", "inv-gang", work(gpus=2, prefers=HERE), workers=4, stale_after=4)
        objects.create(lab_api, gang)
        made.append(gang)
        until(lambda: len(found.running("inv-gang")) == 4, seconds=30, what="the gang does not run")
        yield found
    finally:
        for body in reversed(made):
            lab_api.delete(objects.path(body), gracePeriodSeconds=0, propagationPolicy="Background")
        if lab_api.find(f"{PODS}/inv-held"):
            lab_api.patch(f"{PODS}/inv-held", {"metadata": {"finalizers": None}})
        for node in (HERE, THERE):
            cluster.remove_node(lab, node)


@pytest.fixture(scope="module")
def plan(ground: Ground) -> Plan:
    return ground.plan()


@pytest.fixture(scope="module")
def by_name(plan: Plan) -> dict[str, Workload]:
    return {one.name: one for one in plan.workloads}


def test_each_workload_is_told_with_its_kind_its_person_and_its_fate(by_name: dict[str, Workload]) -> None:
    told = {name: (one.kind, one.owner, one.controller.partition("/")[0]) for name, one in by_name.items()}
    assert told == {
        "inv-train": ("training", "ada", "TrainingWorkload"),
        "inv-notebook": ("interactive", "ben", "InteractiveWorkload"),
        "inv-serve": ("inference", "anna", "InferenceWorkload"),
        "inv-old": ("training", "anna", "RunaiJob"),
        "inv-gang": ("distributed", "anna", "DistributedWorkload"),
        "inv-bare": ("unknown", "anna", ""),
        "inv-held": ("training", "anna", ""),
    }
    fates = {name: one.fate for name, one in by_name.items()}
    assert {name for name, fate in fates.items() if fate == "moves"} == {
        "inv-train",
        "inv-serve",
        "inv-old",
        "inv-gang",
    }
    assert {fates["inv-notebook"], fates["inv-bare"]} == {"lost"}
    assert {one.project for one in by_name.values() if one.controller} == {"team-a"}


def test_gpus_data_budgets_and_times_of_each_are_told(by_name: dict[str, Workload]) -> None:
    train, notebook = by_name["inv-train"], by_name["inv-notebook"]
    assert (train.whole_gpus, train.priority_class, train.budgets) == (1, "train", ("inv-budget",))
    assert train.local_data == ("scratch (emptyDir)",)
    assert (notebook.whole_gpus, notebook.shared_gpus) == (0, ("0.5 of a GPU",))
    assert notebook.local_data == ("inv-home (local volume inv-volume)",)
    assert notebook.grace_seconds == 6
    assert all(one.since is not None for one in by_name.values())


def test_a_gang_with_pods_elsewhere_is_one_workload_that_may_be_disturbed_as_a_whole(
    plan: Plan, by_name: dict[str, Workload]
) -> None:
    gang = by_name["inv-gang"]
    assert len(gang.pods) == 1
    assert gang.elsewhere is not None
    assert (gang.elsewhere.pods, gang.elsewhere.waiting, gang.elsewhere.grouped) == (3, 0, True)
    assert "1 of its 4 pods is here" in gang.disturbs
    assert by_name["inv-train"].disturbs == ""
    console = Console(file=io.StringIO(), width=200)
    text_plan.show(console, plan)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "1 (+3 elsewhere)" in said
    assert "data that stays here or is lost: scratch (emptyDir)" in said


def test_a_pod_that_reserves_a_gpu_for_others_is_no_workload_and_blocks_nothing(ground: Ground, plan: Plan) -> None:
    assert ground.api.find("/api/v1/namespaces/runai-reservation/pods/gpu-reservation-inv") is not None
    text = plan.model_dump_json()
    assert "gpu-reservation-inv" not in text
    assert plan.feasible, plan.blockers


def test_what_stays_is_named_beforehand_with_its_remedy(plan: Plan) -> None:
    (held,) = [one for one in plan.stays if one.pod == f"{TEAM}/inv-held"]
    assert (held.why, FINALIZER in held.detail) == ("finalizer", True)
    assert "what belongs to example.org must take it off" in held.remedy
    daemons = {one.pod for one in plan.stays if one.why == "daemon"}
    assert any(name.startswith("kube-system/node-agent") for name in daemons)


def test_other_pods_are_asked_for_in_the_workloads_own_namespaces_alone(ground: Ground, plan: Plan) -> None:
    settings = settings_of(ground.lab)
    api = apis.connect(settings.cluster)
    seen = observation.observe(api, HERE, settings)
    recorder = Recorder(api._client)
    plan_details.of(apis.Api(recorder, api.timeout, api.patience), seen, plan)
    lists = [url.partition("?")[0] for url in recorder.asked]
    assert set(lists) == {PODS, "/api/v1/persistentvolumes"}
    assert len(lists) <= 6
    assert all(f"spec.nodeName%21%3D{HERE}" in url for url in recorder.asked if url.startswith(PODS))


def test_a_drain_does_to_each_what_the_plan_said_and_names_the_pod_that_is_held(ground: Ground) -> None:
    settings = settings_of(ground.lab, drain={"eviction_minutes": 12 * SECOND})
    with pytest.raises(Failed) as error:
        driving.run(settings, HERE, EVICTING)
    assert error.value.code == "pods-remain"
    assert f"{TEAM}/inv-held: deleted, but held by finalizer {FINALIZER}" in error.value.message
    assert "what belongs to example.org must take it off" in error.value.remedy
    record = record_of(ground.api, HERE)
    assert record is not None
    assert f"held by finalizer {FINALIZER}" in record["timeline"][-1]["text"]
    ground.api.patch(f"{PODS}/inv-held", {"metadata": {"finalizers": None}})
    for name in ("inv-train", "inv-old", "inv-serve"):
        nodes = until(lambda name=name: ground.running(name), seconds=20, what=f"{name} does not run")  # type: ignore[misc]
        assert HERE not in nodes.values()
    assert sorted(ground.running("inv-old")) == ["inv-old-1-0"]
    until(lambda: len(ground.running("inv-gang")) == 4, seconds=30, what="the gang does not run again")
    assert HERE not in ground.running("inv-gang").values()
    assert ground.running("inv-notebook") == {}
    job = ground.api.get(f"/apis/run.ai/v1/namespaces/{TEAM}/runaijobs/inv-notebook")
    assert job["status"]["phase"] == "Failed"
    driving.abort(settings, HERE)
