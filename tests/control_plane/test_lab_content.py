"""What looks like Run:ai on the lab looks as it does on a real cluster, and its workloads behave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.api import Api
from lab.errors import LabError
from lab.layout import Lab
from lab.patience import until
from lab.runai import RUNAICONFIG
from lab.runai.workloads import Work, bare_pod, create_runaijob, disruption_budget, interactive, training
from tests.control_plane.conftest import MakeNode, MakeObject, lab_command

JSON = dict[str, Any]


def pods(api: Api, namespace: str, selector: str = "") -> list[JSON]:
    return api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")


def running(api: Api, namespace: str, selector: str) -> JSON:
    """The one pod with these labels, once it runs."""

    def found() -> JSON | None:
        return next((pod for pod in pods(api, namespace, selector) if pod["status"]["phase"] == "Running"), None)

    pod = until(found, seconds=20, what=f"no running pod {selector} in {namespace}")
    assert pod is not None
    return pod


def test_service_is_available_and_its_pods_are_on_system_nodes(lab_api: Api) -> None:
    conditions = lab_api.get(RUNAICONFIG)["status"]["conditions"]
    assert {c["type"]: c["status"] for c in conditions}["Available"] == "True"
    backend = pods(lab_api, "runai-backend")
    names = {pod["metadata"]["name"] for pod in backend}
    assert {"runai-backend-postgresql-0", "keycloak-0", "runai-backend-thanos-receive-0"} <= names
    assert all(pod["spec"]["nodeName"].startswith("system-") for pod in backend)


def test_both_kinds_of_workloads_are_spread_over_the_gpu_nodes(lab_api: Api) -> None:
    for kind in ("training", "interactive"):
        found = pods(lab_api, "runai-team-a", f"lab/spread={kind}")
        assert len({pod["spec"]["nodeName"] for pod in found}) == 2
        for pod in found:
            assert pod["metadata"]["annotations"]["user"]
            assert pod["metadata"]["labels"]["runai/queue"] == "team-a"
            assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
            assert pod["spec"]["priority"] == {"training": 50, "interactive": 100}[kind]


def test_backup_set_belongs_to_this_cluster_and_is_complete(lab: Lab, lab_api: Api) -> None:
    (folder,) = lab.store.iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["cluster_uid"] == lab_api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    assert {part["kind"] for part in manifest["parts"]} == {"runaiconfig", "database", "helm-values", "metrics"}
    saved = json.loads((folder / "runaiconfig.json").read_text())
    assert saved["metadata"]["uid"] == lab_api.get(RUNAICONFIG)["metadata"]["uid"]


def test_runaijob_owns_a_pod_that_nothing_makes_anew(lab_api: Api, make_node: MakeNode) -> None:
    host = make_node()
    job, pod = create_runaijob(lab_api, f"job-{host.node}", Work(node=host.node), kind="build")
    running(lab_api, "runai-team-a", f"release=job-{host.node}")
    owner = pod["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("RunaiJob", job["metadata"]["uid"])
    assert pod["metadata"]["labels"]["createdBy"] == "RunaiJob"
    lab_api.delete(f"/api/v1/namespaces/runai-team-a/pods/{pod['metadata']['name']}")
    until(lambda: not pods(lab_api, "runai-team-a", f"release=job-{host.node}"), seconds=10, what="the pod stays")
    lab_api.delete(f"/apis/run.ai/v1/namespaces/runai-team-a/runaijobs/job-{host.node}")


def test_pod_lingers_as_long_as_its_program_would(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> None:
    host = make_node()
    make_object(bare_pod("slow", Work(node=host.node, lingers=3)))
    pod = running(lab_api, "runai-team-a", "app=slow")
    lab_api.delete(f"/api/v1/namespaces/runai-team-a/pods/{pod['metadata']['name']}")
    (still,) = pods(lab_api, "runai-team-a", "app=slow")
    assert still["metadata"]["deletionTimestamp"]
    with pytest.raises(LabError, match="stays"):
        until(lambda: not pods(lab_api, "runai-team-a", "app=slow"), seconds=1.5, what="it stays")
    until(lambda: not pods(lab_api, "runai-team-a", "app=slow"), seconds=15, what="it stays for ever")


def test_training_finishes_by_itself(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> None:
    host = make_node()
    make_object(training("short", Work(node=host.node, finishes_after=1)))

    def succeeded() -> bool:
        job = lab_api.get("/apis/batch/v1/namespaces/runai-team-a/jobs/short")
        return bool(job["status"].get("succeeded"))

    until(succeeded, seconds=20, what="the job has not succeeded")


def test_disruption_budget_allows_nothing(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> None:
    host = make_node()
    make_object(interactive("guarded", Work(node=host.node)))
    running(lab_api, "runai-team-a", "release=guarded")
    budget = make_object(disruption_budget("guarded", "runai-team-a", {"release": "guarded"}))
    where = f"/apis/policy/v1/namespaces/runai-team-a/poddisruptionbudgets/{budget['metadata']['name']}"

    def counted() -> bool:
        status = lab_api.get(where).get("status", {})
        return (status.get("expectedPods"), status.get("disruptionsAllowed")) == (1, 0)

    until(counted, seconds=15, what="the budget does not count its pod")


@pytest.fixture
def saas(lab: Lab) -> Iterator[Lab]:
    other = Lab(f"{lab.name}-saas")
    yield other
    assert lab_command("down", "--name", other.name, timeout=120).returncode == 0


def test_saas_flavour_has_no_control_plane_of_run_ai(saas: Lab) -> None:
    result = lab_command("up", "--no-hosts", "--saas", "--simulated", "1", "--systems", "1", "--name", saas.name)
    assert result.returncode == 0, result.stderr
    api = Api(saas.kubeconfig)
    assert api.find("/api/v1/namespaces/runai-backend") is None
    assert api.find(RUNAICONFIG) is not None
