"""A cluster that knows none of Run:ai's kinds: work of the old command line is seen, asked about, and drained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import api as apis
from cluster import planning
from cluster.config import Settings
from cluster.plan import Plan
from cluster.question import Answer, Question
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai import objects
from lab.runai.workloads import Work, bare_pod, interactive, training
from tests.control_plane import driving
from tests.control_plane.conftest import UP_SECONDS, lab_of
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import untouched

JSON = dict[str, Any]
NODE, TEAM = "gpu-1", "runai-team-a"
ASKING = UNATTENDED.model_copy(
    update={"shut_down": False, "interactive": "ask", "override_recovery_gate": "a lab without a backup"}
)
ORPHAN = {"apiVersion": "run.ai/v2alpha1", "kind": "InteractiveWorkload", "name": "orphan", "uid": "not-served"}


@pytest.fixture(scope="module")
def bare() -> Iterator[Lab]:
    with lab_of(f"cp-{os.getpid()}-bare", "--no-runai-kinds", "--systems", "2", "--simulated", "1") as made:
        yield made


@pytest.fixture(scope="module")
def api(bare: Lab) -> Api:
    return Api(bare.kubeconfig)


@pytest.fixture
def settings(bare: Lab) -> Settings:
    return settings_of(bare)


def work(user: str) -> Work:
    return Work(user=user, gpus=0, node=NODE, grace_seconds=1)


def orphan() -> JSON:
    """A pod of a kind that is not served (any more)."""
    body = bare_pod("orphan-0", work("cleo"))
    labels = {"project": "team-b", "workloadName": "orphan", "runai/queue": "team-b"}
    body["metadata"] |= {"ownerReferences": [{**ORPHAN, "controller": True}], "labels": labels}
    return body


@pytest.fixture
def plan(api: Api, settings: Settings) -> Plan:
    bodies = [training("train", work("anna")), interactive("notes", work("ben")), bare_pod("loose", work("dora"))]
    for body in (*bodies, orphan()):
        objects.create(api, body)
    names = ("train", "notes-0", "loose", "orphan-0")

    def all_run() -> bool:
        found = api.items(f"/api/v1/namespaces/{TEAM}/pods?fieldSelector=spec.nodeName={NODE},status.phase=Running")
        return all(any(pod["metadata"]["name"].startswith(name) for pod in found) for name in names)

    until(all_run, seconds=30, what="its work does not run")
    return planning.plan(apis.connect(settings.cluster), settings, NODE, ASKING)[1]


@pytest.mark.timeout(UP_SECONDS)
def test_work_is_told_apart_asked_about_and_drained_without_run_ais_kinds(
    bare: Lab, api: Api, settings: Settings, plan: Plan
) -> None:
    assert not [one for one in api.get("/apis")["groups"] if one["name"].endswith("run.ai")]
    told = {one.name: (one.kind, one.owner, one.project, one.fate) for one in plan.workloads}
    assert told["train"] == ("training", "anna", "team-a", "moves")
    assert told["notes"] == ("interactive", "ben", "team-a", "needs-approval")
    assert told["loose"][0] == "unknown"
    assert told["orphan"] == ("interactive", "cleo", "team-b", "needs-approval")
    assert plan.blockers == ()
    asked: list[str] = []

    def person(question: Question) -> Answer:
        asked.extend(one.name for one in question.workloads)
        return Answer("evict", "boss")

    record = driving.run(settings, NODE, ASKING, ask=person)
    assert sorted(asked)[:3] == ["jupyter-anna", "jupyter-cleo", "loose"]
    assert {"loose", "notes", "orphan"} <= set(asked)
    assert record.phase == "closed"
    assert untouched(api, NODE)
    until(lambda: _back(api, "notes-0"), seconds=30, what="its notebook is not made again")


def _back(api: Api, name: str) -> bool:
    found = api.find(f"/api/v1/namespaces/{TEAM}/pods/{name}") or {}
    return bool(found.get("status", {}).get("phase") == "Running")
