"""What is seen of a real API server for the sake of one node, and with which requests."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import disruption, workloads
from cluster import pods as pod_
from cluster.api import Api, connect
from cluster.config import ClusterSettings, Settings, load
from cluster.errors import Blocked, Misused
from cluster.observation import Observation, observe, this_pod
from lab.api import Api as LabApi
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, bare_pod, create_runaijob, disruption_budget, interactive, training
from tests.control_plane.conftest import MakeNode, MakeObject

JSON = dict[str, Any]
TEAM = "runai-team-a"


class Recorder:
    """The client library's client, which remembers what was asked of the server."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def call_api(self, method: str, url: str, *rest: Any) -> Any:
        self.asked.append(url.removeprefix(self._client.configuration.host))
        return self._client.call_api(method, url, *rest)


@pytest.fixture
def settings(lab: Lab) -> Settings:
    return load(lab.config)


@pytest.fixture
def api(settings: Settings) -> Api:
    return connect(settings.cluster, patience=10)


def _seen(api: Api, node: str, count: int, **options: Any) -> Observation:
    """The observation, once so many pods run on the node, those of DaemonSets not counted."""

    def running() -> list[Observation]:
        seen = observe(api, node, **options)
        ready = [pod for pod in seen.pods if pod_.is_ready(pod) and not pod_.is_daemon(pod)]
        return [seen] if len(ready) == count else []

    return until(running, seconds=30, what=f"no {count} ready pods on {node}")[0]


def _titles(seen: Observation, pod_name: str) -> list[str]:
    uid = next(pod_.uid(pod) for pod in seen.pods if pod_.name(pod).startswith(pod_name))
    return [owner.title for owner in seen.owners[uid]]


def test_the_pods_of_the_node_alone_are_seen_with_their_owners(
    api: Api, lab_api: LabApi, make_node: MakeNode, make_object: MakeObject
) -> None:
    node, other = make_node().node, make_node().node
    make_object(training("seen-job", Work(node=node)))
    make_object(interactive("seen-nb", Work(node=node)))
    make_object(training("elsewhere", Work(node=other)))
    job, _ = create_runaijob(lab_api, "seen-runai", Work(node=node), kind="build")
    job["metadata"].pop("resourceVersion")
    make_object(job)  # It is there already; so it is deleted with the others.
    seen = _seen(api, node, 3)
    assert {pod_.mapping(pod["spec"])["nodeName"] for pod in seen.pods} == {node}
    assert _titles(seen, "seen-job") == ["Job/seen-job"]
    assert _titles(seen, "seen-nb") == ["StatefulSet/seen-nb"]
    assert _titles(seen, "seen-runai") == ["RunaiJob/seen-runai"]
    found = workloads.find(seen.pods, seen.owners, seen.priority_classes)
    assert [(one.name, one.kind, one.owner, one.project, one.gpus) for one in found] == [
        ("seen-job", "training", "anna", "team-a", 1),
        ("seen-nb", "interactive", "anna", "team-a", 1),
        ("seen-runai", "interactive", "anna", "team-a", 1),
    ]


def test_a_chain_is_followed_upward_and_stops_where_an_owner_is_gone_or_of_no_known_kind(
    api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    template = bare_pod("web", Work(node=node, gpus=0))
    make_object(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": TEAM},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": template["metadata"], "spec": {**template["spec"], "restartPolicy": "Always"}},
            },
        }
    )
    orphan = bare_pod("orphan", Work(node=node, gpus=0))
    orphan["metadata"]["ownerReferences"] = [
        {"apiVersion": "no.such.example/v1", "kind": "Gadget", "name": "g", "uid": "no-such-uid", "controller": True}
    ]
    make_object(orphan)
    seen = _seen(api, node, 2)
    chain = _titles(seen, "web-")
    assert chain[0].startswith("ReplicaSet/web-")
    assert chain[1:] == ["Deployment/web"]
    assert _titles(seen, "orphan") == ["Gadget/g"]


def test_an_object_of_the_same_name_is_not_taken_for_the_owner(
    api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    make_object(training("twin", Work(node=node, gpus=0)))
    pod = bare_pod("claims-twin", Work(node=node, gpus=0))
    # The garbage collector sees that there is no such owner, and would delete the pod before it could be looked at.
    pod["metadata"]["finalizers"] = ["lab/held"]
    pod["spec"]["nodeName"] = node
    pod["metadata"]["ownerReferences"] = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "twin", "uid": "another-uid", "controller": True}
    ]
    made = make_object(pod)
    try:
        chain = observe(api, node).owners[made["metadata"]["uid"]]
        assert [(owner.title, owner.found, owner.labels) for owner in chain] == [("Job/twin", False, {})]
    finally:
        made = api.get(f"/api/v1/namespaces/{TEAM}/pods/claims-twin") or {}
        made["metadata"]["finalizers"] = []
        api.replace(f"/api/v1/namespaces/{TEAM}/pods/claims-twin", made)


def test_disruption_budgets_are_judged_by_what_their_controller_says(
    api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    make_object(interactive("guarded", Work(node=node)))
    make_object(disruption_budget("guard", TEAM, {"release": "guarded"}))
    make_object(disruption_budget("elsewhere", "runai-team-b", {}))

    def judged() -> list[Observation]:
        seen = _seen(api, node, 1)
        guards = [one for one in seen.pdbs if pod_.name(one) == "guard" and one["status"].get("currentHealthy") == 1]
        return [seen] if guards else []

    (seen,) = until(judged, seconds=30, what="the budget's controller has not counted the pod")
    assert {pod_.namespace(one) for one in seen.pdbs} == {TEAM}
    (violation,) = disruption.violations(seen.pdbs, seen.pods, seen.owners)
    assert violation.owners == (f"{TEAM}/StatefulSet/guarded (of anna)",)


def test_a_node_that_does_not_exist_is_refused_with_what_may_have_been_meant(api: Api) -> None:
    with pytest.raises(Blocked) as refused:
        observe(api, "gpu1")
    assert refused.value.code == "unknown-node"
    assert "gpu-1" in refused.value.remedy
    with pytest.raises(Misused):
        observe(api, "../secrets")


def test_the_cluster_is_seen_as_it_is(api: Api, settings: Settings) -> None:
    seen = observe(api, "gpu-1", settings)
    assert seen.cluster_uid == settings.cluster.uid
    assert seen.control_plane_namespace is True
    assert seen.projects == ("team-a", "team-b")
    assert seen.priority_classes["build"] == 100
    assert seen.service.available is True
    assert {"runai-backend/StatefulSet/keycloak", "runai/Deployment/runai-agent"} <= set(seen.service.controllers)
    assert {one.name: one.kind for one in seen.nodes if one.name in ("master-1", "system-1", "gpu-1")} == {
        "master-1": "control-plane",
        "system-1": "system",
        "gpu-1": "gpu-worker",
    }
    assert Observation.model_validate_json(seen.model_dump_json()) == seen


def test_pods_are_always_selected_on_the_server_and_every_list_is_paged(settings: Settings) -> None:
    plain = connect(settings.cluster)
    recorder = Recorder(plain._client)
    observe(Api(recorder, timeout=10, patience=0), "gpu-1", settings)
    lists = [one for one in recorder.asked if "limit=" in one]
    assert lists
    assert all("limit=500" in one for one in lists)
    pods = [one for one in recorder.asked if "/pods" in one]
    assert pods == ["/api/v1/pods?limit=500&fieldSelector=spec.nodeName%3Dgpu-1"]
    assert len(recorder.asked) < 40


def test_an_owner_is_asked_for_once_however_many_pods_it_has(
    settings: Settings, api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    job = training("many", Work(node=node, gpus=0))
    job["spec"].update(completions=6, parallelism=6)
    make_object(job)
    _seen(api, node, 6)
    recorder = Recorder(connect(settings.cluster)._client)
    observe(Api(recorder, timeout=10, patience=0), node)
    assert [one for one in recorder.asked if one.startswith("/apis/batch/")] == [
        "/apis/batch/v1",
        f"/apis/batch/v1/namespaces/{TEAM}/jobs/many",
    ]


def test_pods_that_this_product_depends_on_are_found_by_configuration(
    api: Api, settings: Settings, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    make_object(interactive("our-database", Work(node=node)))
    depending = settings.model_copy(
        update={"cluster": settings.cluster.model_copy(update={"depends_on": [f"{TEAM}/release=our-database"]})}
    )
    assert _seen(api, node, 1, settings=depending).own_pods == (f"{TEAM}/our-database-0",)
    assert observe(api, "gpu-1", depending).own_pods == ()


def test_the_pod_that_this_process_runs_in_is_found(
    api: Api, make_node: MakeNode, make_object: MakeObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node().node
    make_object(bare_pod("worker", Work(node=node, gpus=0)))
    assert _seen(api, node, 1).own_pods == ()
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "POD_NAMESPACE": TEAM, "HOSTNAME": "worker"}
    for name, value in inside.items():
        monkeypatch.setenv(name, value)
    assert observe(api, node).own_pods == (f"{TEAM}/worker",)
    assert this_pod({"HOSTNAME": "worker"}) == ""


@pytest.fixture
def limited(lab: Lab, lab_api: LabApi, make_object: MakeObject, tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Sessions of a service account that may do only what it is given."""

    def session(name: str, *rules: JSON) -> Api:
        make_object({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}})
        account = f"/api/v1/namespaces/default/serviceaccounts/{name}"
        token = lab_api.create(
            f"{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}},
        )["status"]["token"]
        rbac = "rbac.authorization.k8s.io"
        for kind, body in (
            ("clusterroles", {"rules": list(rules)}),
            (
                "clusterrolebindings",
                {
                    "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
                },
            ),
        ):
            path = f"/apis/{rbac}/v1/{kind}"
            lab_api.create(path, {"metadata": {"name": name}, **body})
            made.append(f"{path}/{name}")
        config = yaml.safe_load(lab.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        file = tmp_path / name
        file.write_text(yaml.safe_dump(config))
        return connect(ClusterSettings(uid="x", kubeconfig=file), patience=0)

    made: list[str] = []
    yield session
    for path in made:
        lab_api.delete(path)


READ_ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}


def test_a_permission_that_is_missing_is_named(limited: Callable[..., Api]) -> None:
    only_nodes = limited("sees-nodes", {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]})
    with pytest.raises(Blocked) as refused:
        observe(only_nodes, "gpu-1")
    assert refused.value.code == "forbidden"
    assert "pods" in refused.value.message


def test_an_owner_that_may_not_be_read_ends_the_chain(
    api: Api, limited: Callable[..., Api], make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    make_object(training("unreadable", Work(node=node)))
    _seen(api, node, 1)
    groups = ["", "apps", "policy", "scheduling.k8s.io", "run.ai"]
    without_jobs = limited("sees-no-jobs", {**READ_ALL, "apiGroups": groups})
    seen = observe(without_jobs, node)
    assert _titles(seen, "unreadable") == ["Job/unreadable"]
    (chain,) = seen.owners.values()
    assert not chain[0].found
    (found,) = workloads.find(seen.pods, seen.owners, seen.priority_classes)
    assert (found.kind, found.fate) == ("training", "moves")


def test_credentials_that_are_not_accepted_are_refused_in_one_sentence(lab: Lab, tmp_path: Path) -> None:
    config = yaml.safe_load(lab.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": base64.b64encode(b"nobody").decode()}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(Blocked) as refused:
        observe(connect(ClusterSettings(uid="x", kubeconfig=file), patience=0), "gpu-1")
    assert refused.value.code == "credentials"
