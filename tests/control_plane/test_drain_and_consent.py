"""The drain: who is asked, what forbids it, and that a node is never called drained while a pod has to go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster import api as apis
from cluster import planning, waiting
from cluster.config import Settings
from cluster.downtime import go_on
from cluster.errors import Blocked, DowntimeError, Failed, Waiting
from cluster.options import PlannedOptions
from cluster.question import Answer, Question
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, bare_pod, disruption_budget, interactive
from tests.control_plane import driving
from tests.control_plane.conftest import MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.on_a_node import JSON, NAMESPACE, Pods, Runs, cpu_node, pods_there, running_there, work
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import cordoned, drained, machine_of, record_of, untouched

__all__ = ["cpu_node", "pods_there", "running_there"]

ASKING = UNATTENDED.model_copy(update={"shut_down": False, "hold": True, "interactive": "ask"})
EVICTING = ASKING.model_copy(update={"interactive": "evict"})


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    """Read after the node was made: its address is in it. Pods get five seconds to go."""
    return settings_of(lab, drain={"eviction_minutes": 5 * SECOND})


def bound(name: str, node: str, **spec: Any) -> JSON:
    """A pod that is on the node whatever stands there: bound by hand, past the scheduler."""
    body = bare_pod(name, Work(gpus=0, grace_seconds=1))
    body["spec"] |= {"nodeName": node, **spec}
    return body


def steps_of(api: Api, node: str) -> dict[str, str]:
    record = record_of(api, node)
    assert record is not None
    return {name: step["state"] for name, step in record["steps"].items()}


def waits(call: Callable[[], object]) -> str:
    """The code for which it waits for a person."""
    with pytest.raises(Waiting) as waiting_:
        call()
    assert waiting_.value.exit_code == 4
    return waiting_.value.code


def test_interactive_work_and_nobody_to_ask_the_node_is_cordoned_and_nothing_evicted(
    lab_api: Api, settings: Settings, node: str, runs: Runs, pods: Pods
) -> None:
    runs(interactive("ask-me", work(node, user="anna")))
    before = {name: pod["metadata"]["uid"] for name, pod in pods().items()}
    with pytest.raises(Waiting) as error:
        driving.run(settings, node, ASKING)
    assert (error.value.code, error.value.exit_code) == ("waiting-for-decision", 4)
    assert "runai-team-a/ask-me (anna)" in error.value.message
    assert error.value.changed == ("cordon",)
    assert cordoned(lab_api, node)
    assert not drained(lab_api, node)
    assert {name: pod["metadata"]["uid"] for name, pod in pods().items()} == before
    assert waits(lambda: driving.resume(settings, node)) == "waiting-for-decision", "to resume is no answer"
    driving.abort(settings, node)
    assert untouched(lab_api, node)
    assert {name: pod["metadata"]["uid"] for name, pod in pods().items()} == before


def answer(settings: Settings, node: str, given: Any) -> Question:
    """What ``downtime decide`` does."""
    with go_on(apis.connect(settings.cluster), settings, node) as downtime:
        question = waiting.about_workloads(downtime)
        assert question is not None
        waiting.write_answer(downtime, question, Answer(given, "boss"))
        return question


def test_answer_holds_for_what_it_was_shown_and_new_interactive_work_is_asked_about_again(
    lab_api: Api,
    settings: Settings,
    node: str,
    runs: Runs,
    make_object: MakeObject,
    pods: Pods,
) -> None:
    runs(interactive("known", work(node)))
    assert waits(lambda: driving.run(settings, node, ASKING)) == "waiting-for-decision"
    assert answer(settings, node, "evict").items == ("runai-team-a/StatefulSet/known",)
    make_object(bound("newcomer", node))
    with pytest.raises(Waiting) as error:
        driving.resume(settings, node)
    assert error.value.code == "waiting-for-decision"
    assert "newcomer" in error.value.message
    assert "known" not in error.value.message
    assert not drained(lab_api, node)
    answer(settings, node, "evict")
    assert waits(lambda: driving.resume(settings, node)) == "waiting-for-return"
    assert pods() == {}
    record = record_of(lab_api, node)
    assert record is not None
    assert [(one["who"], one["answer"]) for one in record["approvals"]] == [("boss", "evict")] * 2
    driving.abort(settings, node)


def test_interactive_work_that_comes_after_the_question_stops_the_taint(
    lab_api: Api, settings: Settings, node: str, make_object: MakeObject
) -> None:
    def sneak_in(step: str, _: str) -> None:
        if step == "approve-workloads":
            make_object(bound("sneaked-in", node))

    with pytest.raises(Blocked) as error:
        driving.run(settings, node, ASKING, sneak_in)
    assert error.value.code == "new-interactive-work"
    assert not drained(lab_api, node)
    assert steps_of(lab_api, node)["approve-workloads"] == "asked"
    assert waits(lambda: driving.resume(settings, node)) == "waiting-for-decision"
    answer(settings, node, "evict")
    assert waits(lambda: driving.resume(settings, node)) == "waiting-for-return"
    driving.abort(settings, node)


def test_person_who_refuses_keeps_the_work_where_it_is(
    lab_api: Api, settings: Settings, node: str, runs: Runs, pods: Pods
) -> None:
    runs(interactive("keep", work(node)))
    with pytest.raises(Blocked) as error:
        driving.run(settings, node, ASKING, ask=lambda _: Answer("refuse", "anna"))
    assert (error.value.code, error.value.exit_code, error.value.changed) == ("interactive-refused", 3, ("cordon",))
    assert "anna refused" in error.value.message
    assert not drained(lab_api, node)
    driving.abort(settings, node)
    assert untouched(lab_api, node)
    assert set(pods()) == {"keep-0"}


def test_run_that_refuses_interactive_work_changes_nothing(
    lab_api: Api, settings: Settings, node: str, runs: Runs
) -> None:
    runs(interactive("stays", work(node)))
    with pytest.raises(Blocked) as error:
        driving.run(settings, node, ASKING.model_copy(update={"interactive": "refuse"}))
    assert error.value.code == "interactive-refused"
    assert untouched(lab_api, node)
    assert record_of(lab_api, node) is None


@pytest.mark.parametrize(("code", "override"), [("pdb", "override_pdb"), ("tolerates-drain", "allow_tolerating")])
def test_what_forbids_the_downtime_forbids_it_before_any_change_unless_overridden(
    lab_api: Api,
    settings: Settings,
    node: str,
    runs: Runs,
    make_object: MakeObject,
    code: str,
    override: str,
) -> None:
    runs(interactive("guarded", work(node, tolerate_everything=code == "tolerates-drain")))
    if code == "pdb":
        make_object(disruption_budget("none", NAMESPACE, {"release": "guarded"}))
        path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/none"
        until(
            lambda: lab_api.get(path).get("status", {}).get("expectedPods"), seconds=20, what="the budget is not judged"
        )
    whole = EVICTING.model_copy(update={"shut_down": True})
    with pytest.raises(Blocked) as error:
        driving.run(settings, node, whole)
    assert error.value.code == code
    assert "guarded" in error.value.message
    assert untouched(lab_api, node)
    assert record_of(lab_api, node) is None
    over = whole.model_copy(update={override: "agreed with its owner"})
    assert planning.plan(apis.connect(settings.cluster), settings, node, over)[1].feasible


def held_by_a_finalizer(node: str) -> JSON:
    body = bare_pod("held", work(node))
    body["metadata"]["finalizers"] = ["lab/held"]
    return body


def lingering(node: str) -> JSON:
    return bare_pod("lingers", work(node, lingers=12))


@pytest.mark.parametrize(
    ("body", "why", "shut_down"),
    [(held_by_a_finalizer, "finalizer lab/held", 1), (lingering, "over its grace period", 0)],
)
def test_pod_that_does_not_go_keeps_the_machine_on_and_is_named(
    lab: Lab,
    lab_api: Api,
    settings: Settings,
    node: str,
    runs: Runs,
    body: Callable[[str], JSON],
    why: str,
    shut_down: int,
) -> None:
    name = runs(body(node))
    whole = EVICTING.model_copy(update={"shut_down": True, "hold": False})
    try:
        with pytest.raises(Failed) as error:
            driving.run(settings, node, whole)
    finally:
        lab_api.patch(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}", {"metadata": {"finalizers": None}})
    assert (error.value.code, error.value.exit_code) == ("pods-remain", 1)
    assert f"{NAMESPACE}/{name}: deleted" in error.value.message or f"{NAMESPACE}/{name}: term" in error.value.message
    assert why in error.value.message
    assert drained(lab_api, node)
    assert machine_of(lab, node).powered_off == 0
    assert steps_of(lab_api, node)["see-gone"] == "intended"
    # Once it has gone, the rest follows; or a person backs out.
    (driving.resume if shut_down else driving.abort)(settings_of(lab), node)
    assert untouched(lab_api, node)
    assert machine_of(lab, node).powered_off == shut_down


def test_finished_pods_go_as_well(lab_api: Api, settings: Settings, node: str, runs: Runs, pods: Pods) -> None:
    runs(bare_pod("over", work(node, finishes_after=0.1)))
    until(lambda: pods()["over"]["status"]["phase"] == "Succeeded", seconds=20, what="it does not finish")
    assert waits(lambda: driving.run(settings, node, EVICTING)) == "waiting-for-return"
    assert pods() == {}
    driving.abort(settings, node)


def test_pod_that_tolerates_the_taint_for_a_while_is_waited_for(
    lab_api: Api, settings: Settings, node: str, make_object: MakeObject, pods: Pods
) -> None:
    tolerations = [{"key": "runai", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}]
    make_object(bound("patient", node, tolerations=tolerations))
    told: list[datetime] = []

    def say(step: str, text: str) -> None:
        if step == "taint" and "set by" in text:
            told.append(datetime.now(UTC))
            assert set(pods()) == {"patient"}

    assert waits(lambda: driving.run(settings, node, EVICTING, say)) == "waiting-for-return"
    assert (datetime.now(UTC) - told[0]).total_seconds() > 2
    assert pods() == {}
    driving.abort(settings, node)


def test_deadline_shorter_than_a_grace_period_is_refused_before_any_change(
    lab_api: Api, settings: Settings, node: str, runs: Runs
) -> None:
    runs(bare_pod("slow", work(node, grace_seconds=600)))
    with pytest.raises(DowntimeError) as error:
        driving.run(settings, node, PlannedOptions.model_validate(EVICTING))
    assert error.value.code == "eviction-deadline"
    assert untouched(lab_api, node)
