"""Which of Run:ai's workloads is which of ours: by pod and project, never by guess; and what a record says of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import planned, procedures, remove, suspensions
from cluster import record as records_of
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Workload
from cluster.record import Record
from cluster.runai_workloads import RestPod, RestWorkload, candidates, collection, is_it
from tests.unit import planning_cases as cases

KEY = "runai-team-a/StatefulSet/notebook"


def ours(**more: object) -> Workload:
    given_: dict[str, object] = {
        "name": "notebook",
        "namespace": "runai-team-a",
        "project": "team-a",
        "kind": "interactive",
        "pods": ("notebook-0",),
        "controller": "StatefulSet/notebook",
        "fate": "needs-approval",
    }
    return Workload.model_validate({**given_, **more})


def pod(name: str = "notebook-0", workload: str = "w-1", project: str | None = "team-a") -> RestPod:
    return RestPod.model_validate({"name": name, "workloadId": workload, "projectName": project})


def rest(**more: object) -> RestWorkload:
    return RestWorkload.model_validate({"id": "w-1", "phase": "Running", **more})


def test_workload_is_found_by_pod_name_and_project() -> None:
    pods = [pod(), pod("notebook-0", "w-2", "team-b"), pod("other-0", "w-3")]
    assert candidates(ours(), pods) == ("w-1",)


def test_several_workloads_that_it_may_be_are_all_told() -> None:
    assert candidates(ours(), [pod(), pod(workload="w-2"), pod(workload="w-3", project=None)]) == ("w-1", "w-2", "w-3")


@pytest.mark.parametrize(
    ("told", "same"),
    [
        ({"namespace": "runai-team-a"}, True),
        ({"namespace": "runai-team-b", "projectName": "team-a"}, False),
        ({"projectName": "team-a"}, True),
        ({"projectName": "team-b"}, False),
        ({}, False),
    ],
)
def test_what_the_api_tells_of_the_place_must_fit(told: dict[str, object], same: bool) -> None:
    assert is_it(ours(), rest(**told)) == same


def test_project_may_be_told_by_the_namespace_alone() -> None:
    assert is_it(ours(project=""), rest(projectName="team-a"))


@pytest.mark.parametrize(
    ("told", "kind", "path"),
    [
        ("Workspace", "unknown", "workspaces"),
        ("interactive-workload", "unknown", "workspaces"),
        ("Training", "interactive", "trainings"),
        ("distributed-training", "unknown", "distributed"),
        ("PyTorchJob", "unknown", "distributed"),
        ("runai-job", "interactive", "workspaces"),
        ("runai-job", "training", "trainings"),
        ("runai-job", "unknown", None),
        ("inference", "inference", None),
        ("", "distributed", "distributed"),
    ],
)
def test_path_follows_from_the_type_and_only_where_that_says_nothing_from_our_kind(
    told: str, kind: str, path: str | None
) -> None:
    assert collection(ours(kind=kind), rest(type=told)) == path


def stands(state: str = "made", key: str = KEY) -> Record:
    return suspensions.with_state(cases.record(), key, "workspaces/w-1", state, "x")  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.sampled_from(["a/Job/x", "b/Job/y", KEY]), st.sampled_from(["intended", "made", "undone"])))
)
def test_record_keeps_the_newest_state_of_each_workload(steps: list[tuple[str, str]]) -> None:
    record = cases.record()
    for key, state in steps:
        record = suspensions.with_state(record, key, "workspaces/w-1", state, f"{key} {state}")  # type: ignore[arg-type]
    last = dict(steps)
    assert {suspensions.key_of(one): one.state for one in suspensions.left(record)} == {
        key: state for key, state in last.items() if state != "undone"
    }
    assert [one for one in record.standing() if one.startswith("suspended ")] == [
        f"suspended {suspensions.key_of(one)} workspaces/w-1{' (intended)' if one.state == 'intended' else ''}"
        for one in suspensions.left(record)
    ]


def test_write_that_is_repeated_changes_nothing_more() -> None:
    once = stands()
    again = suspensions.with_state(once, KEY, "workspaces/w-1", "made", "x")
    assert (again.changes, again.timeline) == (once.changes, once.timeline)


def test_what_is_not_resumed_is_a_warning_with_what_to_do_and_only_after_the_step_that_resumes() -> None:
    record = suspensions.not_resumed(stands(), KEY, "the quota is used up")
    assert suspensions.warnings(record) == ()
    record = records_of.in_phase(records_of.step_is(record, suspensions.STEP, "done"), "closed")
    [warning] = suspensions.warnings(record)
    assert KEY in warning.message
    assert "the quota is used up" in warning.message
    assert "runai workspace resume --uuid=w-1" in warning.remedy
    assert record.standing() == (f"suspended {KEY} workspaces/w-1",)
    assert f"NOT resumed: {KEY} (the quota is used up)" in suspensions.outcome(record)


def test_steps_have_the_resumption_only_where_the_api_was_configured_when_the_downtime_was_opened() -> None:
    for kept in (False, True):
        found = cases.record().found.model_copy(update={"runai": kept})
        for options in (PlannedOptions(), RemoveOptions()):
            procedure = "planned" if isinstance(options, PlannedOptions) else "remove"
            known = {"procedure": procedure, "found": found, "options": options.model_dump(mode="json")}
            record = cases.record().model_copy(update=known)
            aborted = record.model_copy(update={"aborted": True})
            for one in (record, aborted):
                names = procedures.steps_of(one)
                assert (suspensions.STEP in names) == kept
                if kept and (procedure == "planned" or one.aborted):
                    assert names[names.index("uncordon") + 1] == suspensions.STEP
                elif kept:
                    assert names[names.index("see-gone") + 1] == suspensions.STEP
    assert suspensions.STEP not in (*planned.step_names(PlannedOptions()), *remove.step_names(RemoveOptions()))
