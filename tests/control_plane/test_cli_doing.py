"""run, resume, abort and decide on a real API server: each ends with its exit code, and goes on where it stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from lab.runai.workloads import Work, bare_pod, interactive
from lab.simulated.control import request
from tests.control_plane.commands import AS_FOUND, LEASES, UNATTENDED, begun, command, kept, traces
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.terminal import at_a_terminal


def running_interactive(api: Api, make_object: MakeObject, node: str) -> None:
    name = f"notebook-{node}"
    make_object(interactive(name, Work(node=node, user="anna")))
    pod = f"/api/v1/namespaces/runai-team-a/pods/{name}-0"
    until(lambda: (api.find(pod) or {}).get("status", {}).get("phase") == "Running", seconds=30, what="the pod to run")


def test_hold_waits_with_exit_4_and_resume_says_that_the_work_is_done(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    error = command(
        lab, tmp_path, "run", "planned", host.node, "--yes", "--local", "--reason", "fan", "--output", "json"
    ).error
    assert (error["code"], error["exit_code"]) == ("waiting-for-return", 4)
    assert "cordon" in error["changed"]
    assert power(lab, host.node, "status") == "off"

    (status,) = command(lab, tmp_path, "status", host.node, "--output", "json").document
    assert (status["phase"], status["reason"], status["procedure"]) == ("off", "fan", "planned")
    assert status["now"]["step"] == "approve-return"
    assert status["now"]["waits_for"].startswith("the end of the work on the machine")
    assert status["now"]["lock"]["holder"] == ""
    assert {one.split()[0] for one in status["now"]["standing"]} == {"cordon", "taint", "shutdown"}
    listed = command(lab, tmp_path, "status")
    assert host.node in listed.out
    assert f"downtime resume {host.node}" in listed.out

    plan = command(lab, tmp_path, "plan", "planned", host.node, "--output", "json").document
    assert plan["continued"]
    assert plan["steps"][0]["name"] == "approve-return"

    ended = command(lab, tmp_path, "resume", host.node, "--local", "--output", "json")
    assert ended.code == 0, ended.out
    assert (ended.document["outcome"], ended.document["standing"]) == ("done", [])
    assert ended.document["approvals"][0]["answer"] == "done"
    assert kept(lab_api, host.node) == AS_FOUND

    again = command(lab, tmp_path, "resume", host.node, "--local")
    assert again.code == 0
    assert again.out.startswith("Nothing to do: the last downtime")
    assert command(lab, tmp_path, "abort", host.node, "--local", "--output", "json").document["outcome"] == "done"


def test_interactive_work_is_asked_about_decided_elsewhere_and_then_evicted(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    host = make_node()
    running_interactive(lab_api, make_object, host.node)
    run = ("run", "planned", host.node, "--yes", "--local", "--no-hold", "--no-shut-down")
    ended = command(lab, tmp_path, *run)
    assert ended.code == 4
    assert f"runai-team-a/notebook-{host.node} (anna)" in ended.err
    assert "Changed and still standing: cordon." in ended.err

    assert command(lab, tmp_path, "resume", host.node, "--local").code == 4, "nothing was decided yet"
    refused = command(lab, tmp_path, "decide", host.node, "--interactive", "refuse", "--output", "json")
    assert (refused.code, refused.document["next"]) == (0, f"downtime abort {host.node}")
    assert command(lab, tmp_path, "resume", host.node, "--local").code == 4, "a refusal evicts nothing"

    decided = command(lab, tmp_path, "decide", host.node, "--interactive", "evict", "--who", "Ann", "--output", "json")
    assert decided.document["decided"] == {"evict": [f"runai-team-a/StatefulSet/notebook-{host.node}"]}
    again = command(lab, tmp_path, "decide", host.node, "--interactive", "evict")
    assert "there is nothing (more) to decide" in again.out

    done = command(lab, tmp_path, "resume", host.node, "--local", "--output", "json")
    assert done.code == 0
    assert done.document["approvals"][-1]["who"] == "Ann"
    assert [one["workload"] for one in done.document["workloads"]] == [f"notebook-{host.node}"]
    assert kept(lab_api, host.node) == AS_FOUND


def test_yes_never_consents_to_evicting_and_abort_leaves_the_node_as_found(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    host = make_node()
    running_interactive(lab_api, make_object, host.node)
    assert command(lab, tmp_path, "run", "planned", host.node, "--yes", "--local").code == 4
    assert kept(lab_api, host.node)[0], "cordoned"
    ended = command(lab, tmp_path, "abort", host.node, "--local", "--output", "json")
    assert (ended.code, ended.document["outcome"]) == (0, "aborted")
    assert kept(lab_api, host.node) == AS_FOUND
    assert lab_api.find(f"/api/v1/namespaces/runai-team-a/pods/notebook-{host.node}-0") is not None


def test_pod_that_tolerates_the_drain_goes_down_with_the_machine_only_when_somebody_allows_it(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    host = make_node()
    running_interactive(lab_api, make_object, host.node)
    run = ("run", "planned", host.node, "--yes", "--local", "--no-hold")
    assert command(lab, tmp_path, *run).code == 4
    name = f"stays-{host.node}"
    make_object(bare_pod(name, Work(node=host.node, tolerate_everything=True)))
    pod = f"/api/v1/namespaces/runai-team-a/pods/{name}"
    until(lambda: lab_api.get(pod)["status"]["phase"] == "Running", seconds=30, what="the pod to run")
    assert command(lab, tmp_path, "decide", host.node, "--interactive", "evict").code == 0
    error = command(lab, tmp_path, "resume", host.node, "--local", "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("tolerates-drain", 3)
    assert power(lab, host.node, "status") == "on"
    allowed = command(lab, tmp_path, "decide", host.node, "--allow-tolerating", "may restart", "--output", "json")
    assert allowed.document["decided"] == {"allow": [f"runai-team-a/{name}"]}
    assert command(lab, tmp_path, "resume", host.node, "--local").code == 0
    assert kept(lab_api, host.node) == AS_FOUND


def test_other_options_for_an_open_downtime_are_blocked(lab: Lab, make_node: MakeNode, tmp_path: Path) -> None:
    host = make_node()
    assert command(lab, tmp_path, "run", "planned", host.node, "--yes", "--local").code == 4
    error = command(lab, tmp_path, "run", "planned", host.node, *UNATTENDED, "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("other-options", 3)
    assert "cordon" in error["changed"], "what stands from before is said"
    assert command(lab, tmp_path, "run", "planned", host.node, "--yes", "--local").code == 4, "the same ones go on"
    assert command(lab, tmp_path, "resume", host.node, "--local").code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_releases_the_lock_and_says_how_to_go_on(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path, number: signal.Signals
) -> None:
    host = make_node()
    request(lab, do="fault", node=host.node, fault="poweroff-ignored", present=True)
    process = begun(lab, tmp_path, "run", "planned", host.node, *UNATTENDED)
    try:
        _until_step(lab, tmp_path, host.node, "see-off")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == 1
    assert f"Ended by {number.name}; the lock was released." in err
    assert "Changed and still standing: " in err
    assert f"'downtime resume {host.node}' goes on" in err
    assert "Traceback" not in err
    assert lab_api.get(f"{LEASES}/node-{host.node}")["spec"].get("holderIdentity", "") == ""


def test_who_acts_now_is_shown_and_keeps_others_out_and_what_is_left_is_resumed(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    request(lab, do="fault", node=host.node, fault="poweroff-ignored", present=True)
    process = begun(lab, tmp_path, "run", "planned", host.node, *UNATTENDED)
    try:
        _until_step(lab, tmp_path, host.node, "see-off")
        (status,) = command(lab, tmp_path, "status", host.node, "--output", "json").document
        holder = status["now"]["lock"]["holder"]
        assert f"/{process.pid}/" in holder
        assert status["now"]["lock"]["renewed_seconds_ago"] < 15
        locked = command(lab, tmp_path, "resume", host.node, "--local", "--output", "json").error
        assert (locked["code"], locked["exit_code"]) == ("locked", 3)
        assert holder in locked["message"]
        process.terminate()
        assert process.wait(60) == 1
    finally:
        process.kill()
        process.communicate(timeout=10)
    request(lab, do="fault", node=host.node, fault="poweroff-ignored", present=False)
    power(lab, host.node, "off")
    assert command(lab, tmp_path, "resume", host.node, "--local").code == 0
    assert kept(lab_api, host.node) == AS_FOUND


def test_several_nodes_go_one_after_the_other_and_stop_at_the_first_that_does_not_finish(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    first, bad, last = make_node(), make_node(), make_node()
    request(lab, do="fault", node=bad.node, fault="other-machine", present=True)
    names = (first.node, bad.node, last.node)
    ended = command(lab, tmp_path, "run", "planned", *names, *UNATTENDED, "--output", "json")
    assert ended.code == 3
    done, blocked = ended.document
    assert (done["node"], done["outcome"]) == (first.node, "done")
    assert (blocked["node"], blocked["error"]["code"]) == (bad.node, "host-identity")
    assert not traces(lab_api, last.node)
    text = command(lab, tmp_path, "run", "planned", bad.node, last.node, *UNATTENDED)
    assert text.code == 3
    assert f"Not begun: {last.node}" in text.out


def test_person_at_the_terminal_confirms_decides_and_ends_the_hold(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    host = make_node()
    running_interactive(lab_api, make_object, host.node)
    code, text = at_a_terminal(
        lab,
        tmp_path,
        ("run", "planned", host.node, "--local", "--no-shut-down"),
        (("Go on? [y/N] ", "y"), ("evict, wait, refuse or later? ", "evict"), ("done or later? ", "done")),
    )
    assert code == 0, text
    assert "anna" in text
    assert f"{host.node} is back in service after" in text
    assert kept(lab_api, host.node) == AS_FOUND


def test_who_resumes_at_a_terminal_is_asked_whether_the_work_is_done(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    run = command(lab, tmp_path, "run", "planned", host.node, "--yes", "--local", "--no-shut-down")
    assert run.code == 4
    assert f"'downtime resume {host.node}', which says exactly that" in run.err
    plan = command(lab, tmp_path, "plan", "planned", host.node)
    assert f"'downtime resume {host.node}' says exactly that" in plan.out

    resume = ("resume", host.node, "--local")
    code, text = at_a_terminal(lab, tmp_path, resume, (("done or later? ", "later"),))
    assert code == 4, text
    (status,) = command(lab, tmp_path, "status", host.node, "--output", "json").document
    assert status["now"]["step"] == "approve-return"
    code, text = at_a_terminal(lab, tmp_path, resume, (("done or later? ", "done"),))
    assert code == 0, text
    assert kept(lab_api, host.node) == AS_FOUND


def test_person_who_does_not_confirm_changes_nothing(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    code, text = at_a_terminal(lab, tmp_path, ("run", "planned", host.node, "--local"), (("Go on? [y/N] ", ""),))
    assert code == 3
    assert "Nothing was changed." in text
    assert not traces(lab_api, host.node)


def _until_step(lab: Lab, folder: Path, node: str, step: str) -> None:
    def there() -> bool:
        found = command(lab, folder, "status", node, "--output", "json")
        return found.code == 0 and bool(found.document) and found.document[0]["now"]["step"] == step

    until(there, seconds=90, what=f"still waiting for step {step} of {node}")
