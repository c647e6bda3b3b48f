"""Unplanned recovery through its deployment: what a person must say is asked in a form, and the run goes on with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from tests.control_plane.commands import command
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import (
    OUT,
    fail,
    is_there,
    notebook,
    on_host,
    settings_of,
    taints,
    untouched,
    wait_for_ready,
)
from tests.control_plane.served import answers, see_released, the_record
from tests.prefect_runs import Runs

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]
QUICK = {"grace_seconds": 10, "power_on": "person"}


def test_proof_of_power_off_is_a_typed_name_and_the_return_a_word_of_its_own(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs, tmp_path: Path
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    run = served.start("unplanned-recovery", node=host.node, reason="no power", requested_by="frida", **QUICK)
    schema, text = served.wait_for_form(run, "power-off")
    assert set(schema["properties"]) == {"confirm_node", "who"}
    assert f"# Is the machine of {host.node} off?" in text
    assert taints(lab_api, host.node) == ["runai"]
    see_released(lab_api, host.node)
    (status,) = command(lab, tmp_path, "status", host.node, "--output", "json").document
    assert status["now"]["waits_for"].startswith("proof that the machine is off")
    assert status["now"]["go_on"] == f"downtime decide {host.node} --confirm-off {host.node}"
    for wrong in ("gpu-1", f"{host.node}0", ""):
        assert served.answer(run, {"confirm_node": wrong, "who": "anna"})["status"] == "REJECT"
    assert is_there(lab_api, stuck)

    assert served.answer(run, {"confirm_node": host.node, "who": "anna"})["status"] == "ACCEPT"
    served.wait_for_form(run, "return")
    record = the_record(lab_api, host.node)
    assert answers(record) == [("power-off", "off", "anna")]
    assert not is_there(lab_api, stuck)
    assert OUT not in taints(lab_api, host.node)
    # The word counts from when it was given, not from when a process went on with it.
    given, used = datetime.fromisoformat(record["approvals"][0]["at"]), record["timeline"]
    heard = next(datetime.fromisoformat(one["at"]) for one in used if "anna answered off" in one["text"])
    assert timedelta(0) < heard - given < timedelta(minutes=5)

    # Switched on before that, the node could be back, and nobody's word be needed.
    assert served.answer(run, {"work": "done", "who": "ben"})["status"] == "ACCEPT"
    said = ("return", "done", "ben")
    until(lambda: said in answers(the_record(lab_api, host.node)), seconds=300, what="the answer is not in the record")
    power(lab, host.node, "on")
    served.wait(run, "COMPLETED")
    record = the_record(lab_api, host.node)
    assert (record["phase"], record["who"], record["flow_run"]) == ("closed", "frida", run)
    assert untouched(lab_api, host.node)
    assert served.name(run) == f"unplanned-recovery of {host.node}"
    artifacts = served.artifacts(run)
    assert set(artifacts) == {f"plan-{host.node}", f"workloads-{host.node}", f"report-{host.node}"}
    assert "anna answered 'off' about the power" in artifacts[f"report-{host.node}"]


@pytest.mark.parametrize("decision", ["restart", "shut-down"])
def test_what_to_do_with_a_machine_that_runs_is_asked_once_its_work_starts_elsewhere(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs, decision: str
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    before = lab_api.get(f"/api/v1/nodes/{host.node}")["status"]["nodeInfo"]["bootID"]
    on_host(settings_of(lab), host, "systemctl", "stop", "kubelet")
    wait_for_ready(lab_api, host.node, ready=False)
    run = served.start("unplanned-recovery", node=host.node, **QUICK)
    schema, text = served.wait_for_form(run, "dead-kubelet")
    assert schema["properties"]["decision"]["enum"] == ["restart", "shut-down", "leave"]
    assert "answers over SSH: it is not off" in text
    assert taints(lab_api, host.node) == ["runai"]
    assert is_there(lab_api, stuck)
    assert served.answer(run, {"decision": decision, "who": "anna"})["status"] == "ACCEPT"
    if decision == "shut-down":
        served.wait_for_form(run, "power-off")
        assert served.answer(run, {"confirm_node": host.node, "who": "anna"})["status"] == "ACCEPT"
        served.wait_for_form(run, "return")
        power(lab, host.node, "on")
        assert served.answer(run, {"work": "done", "who": "anna"})["status"] == "ACCEPT"
    served.wait(run, "COMPLETED")
    after = lab_api.get(f"/api/v1/nodes/{host.node}")["status"]["nodeInfo"]["bootID"]
    assert (after != before) is (decision == "shut-down")
    record = the_record(lab_api, host.node)
    assert answers(record)[0] == ("dead-kubelet", decision, "anna")
    assert record["course"] == "down"
    assert untouched(lab_api, host.node)


def test_machine_that_is_left_alone_ends_the_run_with_what_is_stuck_and_the_abort_deployment_backs_out(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs, tmp_path: Path
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    on_host(settings_of(lab), host, "systemctl", "stop", "kubelet")
    wait_for_ready(lab_api, host.node, ready=False)
    run = served.start("unplanned-recovery", node=host.node, **QUICK)
    served.wait_for_form(run, "dead-kubelet")
    (status,) = command(lab, tmp_path, "status", host.node, "--output", "json").document
    assert "its kubelet can be restarted, or the machine shut down" in status["now"]["waits_for"]
    assert status["now"]["go_on"].startswith(f"downtime decide {host.node} --dead-kubelet restart|shut-down")
    assert served.answer(run, {"decision": "leave", "who": "anna"})["status"] == "ACCEPT"
    said = served.wait(run, "FAILED")["message"]
    assert "answers over SSH: it is not off" in said
    assert stuck["metadata"]["name"] in said
    assert "--dead-kubelet restart" in said
    # What a person in the UI looks at first says it too.
    report = served.artifacts(run)[f"report-{host.node}"]
    assert f"# Unplanned recovery of {host.node} goes on when somebody lets it" in report
    assert stuck["metadata"]["name"] in report
    assert "## Still standing" in report

    back = served.start("abort-downtime", node=host.node, requested_by="frida")
    served.wait(back, "COMPLETED")
    record = the_record(lab_api, host.node)
    assert (record["phase"], record["aborted"]) == ("closed", True)
    assert untouched(lab_api, host.node)
    assert is_there(lab_api, stuck)
    assert served.name(back) == f"abort-downtime of {host.node}"
    assert f"report-{host.node}" in served.artifacts(back)
