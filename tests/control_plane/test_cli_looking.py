"""plan, status and doctor on a real API server: they see everything, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from tests.control_plane.commands import AS_FOUND, command, kept, traces, with_cluster
from tests.control_plane.conftest import MakeNode


def test_plan_holds_the_contract_and_leaves_no_trace(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    ended = command(lab, tmp_path, "plan", "planned", host.node, "--output", "json")
    assert ended.code == 0, ended.out
    plan = ended.document
    assert {"procedure", "node", "cluster", "roles", "kind", "feasible", "steps", "blockers", "warnings"} <= set(plan)
    assert (plan["node"], plan["kind"], plan["feasible"], plan["blockers"]) == (host.node, "gpu-worker", True, [])
    names = [step["name"] for step in plan["steps"]]
    assert names[:2] == ["recovery-gate", "cordon"]
    assert plan["recovery"]["verdict"] == "passed"
    assert kept(lab_api, host.node) == AS_FOUND
    assert not traces(lab_api, host.node)


def test_plan_for_people_numbers_the_steps_and_concludes(lab: Lab, make_node: MakeNode, tmp_path: Path) -> None:
    host = make_node()
    text = command(lab, tmp_path, "plan", "planned", host.node, "--no-shut-down").out
    assert text.startswith(f"Planned maintenance of {host.node}")
    assert " 2. cordon" in text
    assert "shut-down" not in text
    assert text.strip().endswith("It can go ahead. Nothing was changed.")


def test_dry_run_is_the_plan(lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path) -> None:
    host = make_node()
    ended = command(lab, tmp_path, "run", "planned", host.node, "--dry-run", "--output", "json")
    assert ended.code == 0
    assert ended.document["feasible"]
    assert not traces(lab_api, host.node)


def test_infeasible_plan_is_exit_3_with_code_and_remedy(lab: Lab, tmp_path: Path) -> None:
    ended = command(lab, tmp_path, "plan", "planned", "master-1", "--output", "json")
    assert ended.code == 3
    assert not ended.document["feasible"]
    assert all(one["code"] and one["message"] and one["remedy"] for one in ended.document["blockers"])
    assert command(lab, tmp_path, "plan", "planned", "master-1").code == 3


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "planned"),
        ("run", "planned", "--yes", "--local"),
        ("resume", "--local"),
        ("abort",),
        ("status",),
        ("decide", "--interactive", "evict"),
    ],
)
def test_unknown_node_is_exit_3_and_leaves_no_trace(
    lab: Lab, lab_api: Api, tmp_path: Path, words: tuple[str, ...]
) -> None:
    error = command(lab, tmp_path, *words, "gpu-99", "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("unknown-node", 3)
    assert "gpu-99" in error["message"]
    assert not traces(lab_api, "gpu-99")


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "planned", "gpu-3"),
        ("run", "planned", "gpu-3", "--yes", "--local"),
        ("resume", "gpu-3"),
        ("abort", "gpu-3"),
        ("decide", "gpu-3", "--interactive", "evict"),
    ],
)
def test_wrong_cluster_is_exit_2(lab: Lab, lab_api: Api, tmp_path: Path, words: tuple[str, ...]) -> None:
    config = with_cluster(lab, tmp_path, uid="another")
    error = command(lab, tmp_path, *words, "--config", str(config), "--output", "json").error
    assert (error["code"], error["exit_code"], error["changed"]) == ("wrong-cluster", 2, [])
    assert not traces(lab_api, "gpu-3")


def test_doctor_prints_the_uid_to_copy(lab: Lab, lab_api: Api, tmp_path: Path) -> None:
    config = with_cluster(lab, tmp_path, uid="not-known-yet")
    ended = command(lab, tmp_path, "doctor", "--node", "gpu-3", "--config", str(config))
    uid = lab_api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    assert ended.code == 3
    assert f'write uid = "{uid}" under [cluster]' in ended.out
    assert "FAILED cluster uid" in ended.out


def test_doctor_proves_every_access(lab: Lab, tmp_path: Path) -> None:
    ended = command(lab, tmp_path, "doctor", "--output", "json")
    lines = ended.document["lines"]
    assert ended.code == 0, [line for line in lines if line["level"] == "FAILED"]
    passed = {line["check"] for line in lines if line["level"] == "PASS"}
    for node in ("master-1", "system-1", "gpu-1"):
        assert {f"{node} ssh", f"{node} identity", f"{node} sudo", f"{node} power"} <= passed
    assert {"api", "cluster uid", "permission update nodes", "recovery store"} <= passed


@pytest.mark.parametrize(
    ("fault", "check", "said"),
    [
        ("sudo-refused", "sudo", "asks for a password"),
        ("host-key-changed", "ssh", "host key"),
        ("other-machine", "identity", "another machine"),
        ("power-unknown", "power", "unknown"),
        ("ssh-refused", "ssh", "refused"),
    ],
)
def test_doctor_names_what_is_wrong_with_a_machine(
    lab: Lab, make_node: MakeNode, tmp_path: Path, fault: str, check: str, said: str
) -> None:
    from lab.simulated.control import request

    host = make_node()
    request(lab, do="fault", node=host.node, fault=fault, present=True)
    ended = command(lab, tmp_path, "doctor", "--node", host.node, "--output", "json")
    assert ended.code == 3
    bad = [line for line in ended.document["lines"] if line["level"] == "FAILED"]
    assert [line["check"] for line in bad] == [f"{host.node} {check}"]
    assert said in bad[0]["reason"]
    assert bad[0]["remedy"]


def test_doctor_asked_about_no_node_of_this_cluster(lab: Lab, tmp_path: Path) -> None:
    ended = command(lab, tmp_path, "doctor", "--node", "gpu-99")
    assert ended.code == 3
    assert "FAILED gpu-99: there is no such node" in ended.out


def test_status_of_a_node_that_never_was_in_downtime(lab: Lab, make_node: MakeNode, tmp_path: Path) -> None:
    host = make_node()
    ended = command(lab, tmp_path, "status", host.node)
    assert (ended.code, ended.out.strip()) == (0, f"{host.node} is not in downtime, and never was.")
    assert command(lab, tmp_path, "status", host.node, "--output", "json").document == []
    assert command(lab, tmp_path, "resume", host.node, "--output", "json").error["code"] == "not-in-downtime"


def test_missing_backup_blocks_before_anything_is_changed(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    (tmp_path / "empty").mkdir()
    run = ("run", "planned", host.node, "--yes", "--local", "--output", "json")
    error = command(lab, tmp_path, *run, DOWNTIME_RECOVERY__STORE=str(tmp_path / "empty")).error
    assert (error["code"], error["exit_code"], error["changed"]) == ("recovery-gate", 3, [])
    assert not traces(lab_api, host.node)
