"""resume-downtime, abort-downtime and the README's examples: each goes on with the procedure that the record names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.power import power
from tests.control_plane.commands import AS_FOUND, command, kept
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import fail, is_there, notebook, taints, untouched
from tests.control_plane.removing import fault, host, there
from tests.control_plane.served import HURRIED, answers, see_released, the_record
from tests.prefect_runs import Runs, in_shell, readme_commands

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]
KEYS = {"unplanned-recovery": "4712", "permanent-removal": "4713", "rejoin": "4714", "resume-downtime": "4715"}
# A healthy node that is not in downtime: what each of them says to that.
ENDS = {
    "unplanned-recovery": ("FAILED", "there is nothing to recover from"),
    "rejoin": ("FAILED", "There is a Ready node gpu-1 in the cluster"),
    "resume-downtime": ("FAILED", "gpu-1 is not in downtime"),
    "abort-downtime": ("FAILED", "gpu-1 is not in downtime"),
}


def test_resume_of_a_recovery_asks_in_its_own_forms_and_brings_the_node_back(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs, tmp_path: Path
) -> None:
    node = make_node()
    stuck = notebook(lab_api, make_object, node.node)
    fail(lab, lab_api, node)
    begun = command(
        lab,
        tmp_path,
        "run",
        "unplanned",
        node.node,
        "--yes",
        "--local",
        "--grace-seconds",
        "10",
        timeout=180,
        **HURRIED,
    )
    assert begun.code == 4, begun.err
    assert f"downtime decide {node.node} --confirm-off {node.node}" in begun.err

    run = served.start("resume-downtime", node=node.node, requested_by="frida")
    served.wait_for_form(run, "power-off")
    see_released(lab_api, node.node)
    assert served.answer(run, {"confirm_node": "gpu-1", "who": "anna"})["status"] == "REJECT"
    assert served.answer(run, {"confirm_node": node.node, "who": "anna"})["status"] == "ACCEPT"
    # That resuming was asked for is no word that the work is done.
    served.wait_for_form(run, "return")
    assert not is_there(lab_api, stuck)
    assert taints(lab_api, node.node) == ["runai"]
    assert served.answer(run, {"work": "done", "who": "ben"})["status"] == "ACCEPT"
    served.wait(run, "COMPLETED")
    record = the_record(lab_api, node.node)
    assert (record["procedure"], record["phase"]) == ("unplanned", "closed")
    assert ("return", "done", "ben") in answers(record)
    assert untouched(lab_api, node.node)


def test_field_of_resume_says_that_the_work_is_done(
    lab: Lab, lab_api: Api, make_node: MakeNode, served: Runs, tmp_path: Path
) -> None:
    node = make_node().node
    begun = command(lab, tmp_path, "run", "planned", node, "--yes", "--local", "--no-shut-down", timeout=400, **HURRIED)
    assert begun.code == 4, begun.err
    run = served.start("resume-downtime", node=node, requested_by="frida", work_done=True)
    served.wait(run, "COMPLETED")
    assert answers(the_record(lab_api, node)) == [("return", "done", "frida")]
    assert kept(lab_api, node) == AS_FOUND


def test_removal_that_failed_is_resumed_as_a_removal(lab: Lab, lab_api: Api, make_node: MakeNode, served: Runs) -> None:
    node = make_node().node
    fault(lab, node, "reset-fails")
    run = served.start("permanent-removal", node=node, confirm_node=node, interactive="evict")
    assert "kubeadm reset" in served.wait(run, "FAILED")["message"]
    refused = served.start("abort-downtime", node=node)
    assert "that cannot be undone" in served.wait(refused, "FAILED")["message"]
    fault(lab, node, "reset-fails", present=False)
    served.wait(served.start("resume-downtime", node=node), "COMPLETED")
    assert not there(lab_api, node)
    assert host(lab, node)["resets"] >= 1
    assert the_record(lab_api, node)["phase"] == "closed"


def test_removal_that_waits_for_an_answer_is_backed_out_of(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs
) -> None:
    node = make_node().node
    work = notebook(lab_api, make_object, node)
    run = served.start("permanent-removal", node=node, confirm_node=node)
    served.wait_for_form(run, "interactive")
    served.wait(served.start("abort-downtime", node=node, requested_by="frida"), "COMPLETED")
    assert kept(lab_api, node) == AS_FOUND
    assert is_there(lab_api, work)
    record = the_record(lab_api, node)
    assert (record["procedure"], record["phase"], record["aborted"]) == ("remove", "closed", True)
    # The run that waits still must not begin a second removal with the old answers.
    assert served.answer(run, {"decision": "evict", "who": "anna"})["status"] == "ACCEPT"
    assert "was closed" in served.wait(run, "FAILED")["message"]
    assert kept(lab_api, node) == AS_FOUND


def test_readmes_examples_start_what_they_say_and_the_same_ticket_starts_no_second(lab_api: Api, served: Runs) -> None:
    shell, examples = readme_commands("create_flow_run"), readme_commands("ticket-4716")
    lines = [line for line in examples.splitlines() if line]
    assert [line.split()[1] for line in lines] == [*KEYS, "abort-downtime"]
    variables = {"PREFECT_API_URL": served.prefect.url}
    before = kept(lab_api, "gpu-1")
    runs = {line.split()[1]: in_shell(f"{shell}\n{line}", **variables).split()[-1] for line in lines}
    again = in_shell(f"{shell}\n{lines[0]}", **variables).split()[-1]
    assert again == runs["unplanned-recovery"]
    for name, (state, says) in ENDS.items():
        assert says in served.wait(runs[name], state)["message"], name
        assert served.name(runs[name]) == f"{name} of gpu-1"
    removal = runs["permanent-removal"]
    served.wait_for_form(removal, "removal")
    answer = readme_commands("/resume").replace('"decision": "evict"', '"confirm_node": "gpu-2"')
    said = json.loads(in_shell(answer, run=removal, **variables))
    assert said["status"] == "REJECT"
    served.cancel(removal)
    assert kept(lab_api, "gpu-1") == before


@pytest.mark.parametrize("procedure", ["remove", "unplanned"])
def test_commands_go_through_a_server_as_well(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs, tmp_path: Path, procedure: str
) -> None:
    variables = {**HURRIED, "PREFECT_API_URL": served.prefect.url}
    node = make_node()

    def downtime(*words: str) -> tuple[int, str]:
        ended = command(lab, tmp_path, *words, timeout=300, **variables)
        return ended.code, ended.out + ended.err

    if procedure == "remove":
        code, said = downtime("run", "remove", node.node, "--yes-remove", node.node, "--interactive", "evict")
        assert code == 0, said
        assert f"{node.node} is removed for good" in said
        assert not there(lab_api, node.node)
    else:
        stuck = notebook(lab_api, make_object, node.node)
        fail(lab, lab_api, node)
        code, said = downtime("run", "unplanned", node.node, "--yes", "--grace-seconds", "10")
        assert code == 4, said
        assert stuck["metadata"]["name"] in said
        assert downtime("decide", node.node, "--confirm-off", "gpu-1")[0] == 2
        assert downtime("decide", node.node, "--confirm-off", node.node)[0] == 0
        code, said = downtime("resume", node.node)
        assert code == 4, said
        assert f"'downtime resume {node.node}', which says exactly that" in said
        power(lab, node.node, "on")
        code, said = downtime("resume", node.node)
        assert code == 0, said
        assert untouched(lab_api, node.node)
    run = the_record(lab_api, node.node)["flow_run"]
    assert served.name(run).endswith(f"of {node.node}")
