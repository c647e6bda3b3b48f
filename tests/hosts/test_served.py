"""Planned maintenance of real hosts through Prefect's deployments, over REST: as the UI and the README do it."""

from __future__ import annotations

import json

import pytest

from lab.errors import LabError
from lab.patience import until
from lab.prefect_service import DEPLOYMENTS
from lab.runai.workloads import Work, interactive, training
from tests.hosts.asked_cycle import NODE, REASON, Asked
from tests.hosts.product import STEPS, Product, done_steps, holder_of, nodes_down, record_of, the_record
from tests.hosts.served import Served
from tests.hosts.standing import require_cycled_once, require_one_boot, require_unmoved, see
from tests.hosts.work import pods_of, working
from tests.prefect_runs import in_shell, readme_commands

OTHER = "gpu-2"
NOTEBOOK = interactive("refused-notebook", Work(node=OTHER, user="gustav", gpus=0))


def test_deployments_are_there_with_a_form_and_a_schedule_that_is_off(served: Served) -> None:
    for name in DEPLOYMENTS:
        found = served.prefect.call("GET", f"/deployments/name/{name}")
        fields = found["parameter_openapi_schema"]["properties"]
        assert "Kubernetes node" in fields["node"]["description"], name
        assert all(field.get("description") for field in fields.values()), name
    planned = served.prefect.call("GET", f"/deployments/name/{DEPLOYMENTS[0]}")
    assert [schedule["active"] for schedule in planned["schedules"]] == [False]


def test_run_that_asks_is_suspended_with_a_form_and_the_lock_released(asked: Asked) -> None:
    assert asked.holder_while_waiting == ""
    assert asked.record_while_waiting["phase"] == "asking"
    assert (asked.waiting.cordoned, asked.waiting.drained) == (True, False)
    fields = set(asked.schema["properties"])
    assert {"decision", "who", "on_runai_team_a_thesis"} <= fields
    assert all(name.startswith("on_") for name in fields - {"decision", "who"}), "one choice for each workload"
    assert asked.schema["properties"]["decision"]["enum"] == ["evict", "wait", "refuse"]
    assert "runai-team-a/thesis" in asked.text
    assert "frida" in asked.text


def test_answers_that_are_none_are_refused_and_change_nothing(asked: Asked) -> None:
    assert [said["status"] for said in asked.refusals] == ["REJECT"] * 4
    assert json.loads(asked.accepted)["status"] == "ACCEPT"


def test_answered_run_completes_and_the_machine_was_down_once(asked: Asked) -> None:
    require_one_boot(asked.before, asked.after)
    assert (asked.record["phase"], asked.record["flow_run"]) == ("closed", asked.run)
    assert done_steps(asked.record) == list(STEPS)
    answers = [(one["answer"], one["who"]) for one in asked.record["approvals"]]
    assert answers == [("evict", "anna")], "as the README's answer says"
    assert asked.record["who"] == "frida"


def test_plan_workloads_and_report_are_artifacts_of_the_run(served: Served, asked: Asked) -> None:
    artifacts = served.artifacts(asked.run)
    assert set(artifacts) == {f"plan-{NODE}", f"workloads-{NODE}", f"report-{NODE}"}
    assert "**shut-down**" in artifacts[f"plan-{NODE}"]
    assert "thesis" in artifacts[f"workloads-{NODE}"]
    assert "frida" in artifacts[f"workloads-{NODE}"]
    report = artifacts[f"report-{NODE}"]
    for text in (
        f"{NODE} is back in service",
        REASON.split("'", maxsplit=1)[0],
        "runai-team-a/thesis",
        "anna answered",
    ):
        assert text in report, report
    for step in STEPS:
        assert f"| {step} |" in report


def test_readme_starts_a_dry_run_which_changes_nothing_and_the_same_ticket_starts_no_second(served: Served) -> None:
    before, old = see(served.hosts, "gpu-1"), record_of(served.hosts.api, "gpu-1")
    commands = f"{readme_commands('create_flow_run')}\necho; echo $run"
    first, second = (in_shell(commands, PREFECT_API_URL=served.prefect.url).split()[-1] for _ in range(2))
    assert first == second
    served.wait(first, "COMPLETED")
    artifacts = served.artifacts(first)
    assert "**shut-down**" in artifacts["plan-gpu-1"]
    assert "report-gpu-1" not in artifacts
    require_unmoved(served.hosts, "gpu-1", before)
    assert record_of(served.hosts.api, "gpu-1") == old


def test_blocked_plan_fails_the_run_with_its_sentence(served: Served, product: Product) -> None:
    before = see(served.hosts, OTHER)
    with working(served.hosts.api, NOTEBOOK):
        blocked = served.start("planned-maintenance", node=OTHER, interactive="refuse", power_on="controller")
        unknown = served.start("planned-maintenance", node="gpu-77")
        said = served.wait(blocked, "FAILED")["message"]
        assert "There is interactive work on gpu-2" in said
        assert "refused-notebook (gustav)" in said
        assert "There is no node gpu-77 in this cluster" in served.wait(unknown, "FAILED")["message"]
        assert "It can't go ahead" in served.artifacts(blocked)[f"plan-{OTHER}"]
    require_unmoved(served.hosts, OTHER, before)


def test_parameters_that_are_none_start_no_run(served: Served) -> None:
    for wrong in ({}, {"node": OTHER, "interactive": "perhaps"}, {"node": OTHER, "hold": "sometimes"}):
        with pytest.raises(LabError, match="409"):
            served.start("planned-maintenance", **wrong)


def test_refusal_fails_the_run_leaves_the_work_and_the_abort_deployment_backs_out(
    served: Served, product: Product
) -> None:
    hosts, before = served.hosts, see(served.hosts, OTHER)
    with working(hosts.api, NOTEBOOK):
        was = pods_of(hosts.api, NOTEBOOK)[0]["metadata"]["uid"]
        run = served.start("planned-maintenance", node=OTHER, power_on="controller", hold=False)
        served.wait(run, "PAUSED")
        assert served.answer(run, {"decision": "refuse", "who": "gustav"})["status"] == "ACCEPT"
        said = served.wait(run, "FAILED")["message"]
        assert "gustav refused that" in said
        assert holder_of(hosts.api, OTHER) == ""
        standing = see(hosts, OTHER)
        assert (standing.cordoned, standing.drained) == (True, False)

        served.wait(served.start("abort-downtime", node=OTHER, requested_by="gustav"), "COMPLETED")
        assert pods_of(hosts.api, NOTEBOOK)[0]["metadata"]["uid"] == was
    require_unmoved(hosts, OTHER, before)
    assert the_record(hosts.api, OTHER)["aborted"]


def test_cancelled_then_resumed_then_killed_with_its_runner_and_finished_by_the_command(
    served: Served, product: Product
) -> None:
    """Prefect leaves the run of a dead process Running for ever; the record in the cluster is what goes on."""
    hosts, api, before = served.hosts, served.hosts.api, see(served.hosts, OTHER)
    slow = training("slow-to-end", Work(node=OTHER, gpus=0, lingers=25, grace_seconds=60))
    with working(api, slow):
        run = served.start("planned-maintenance", node=OTHER, interactive="evict", power_on="controller", hold=False)
        until(lambda: see(hosts, OTHER).drained, seconds=180, what="the run does not begin to drain")
        served.cancel(run)
        served.wait(run, "CANCELLED")
        assert holder_of(api, OTHER) == ""
        record = the_record(api, OTHER)
        assert record["phase"] == "draining"
        assert OTHER in nodes_down(api)
        assert see(hosts, OTHER).boot_id == before.boot_id

        again = served.start("resume-downtime", node=OTHER, requested_by="gustav")
        until(
            lambda: "see-off" in done_steps(the_record(api, OTHER)), seconds=180, what="it is never seen off", every=0.1
        )
        served.kill()
    assert holder_of(api, OTHER), "a dead process can't have given its lock back"
    product.run("resume", OTHER, "--local").expect(0)
    require_cycled_once(hosts, OTHER, before)
    closed = the_record(api, OTHER)
    assert (closed["id"], closed["phase"], closed["aborted"]) == (record["id"], "closed", False)
    assert done_steps(closed) == list(STEPS)
    assert served.state(again)["type"] == "RUNNING"
    served.up()
