"""At a terminal, what cannot be undone is confirmed by typing the node's name below the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.runai.workloads import Work, bare_pod
from tests.control_plane.commands import command, traces
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import is_there, notebook, on_host, settings_of, untouched, wait_for_ready
from tests.control_plane.removing import there
from tests.control_plane.served import HURRIED
from tests.control_plane.terminal import at_a_terminal

WORDS = ("--local", "--interactive", "evict")


def test_name_of_a_node_that_is_removed_is_typed_below_what_is_lost(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    node = make_node().node
    make_object(bare_pod(f"alone-{node}", Work(node=node, user="emil", gpus=0)))
    code, text = at_a_terminal(lab, tmp_path, ("run", "remove", node, *WORDS), (("Node: ", "gpu-1"),))
    assert code == 3, text
    assert "What is lost with it" in text
    assert "emil" in text
    assert "was not confirmed by its name. Nothing was changed." in text
    assert not traces(lab_api, node)

    soon = {"DOWNTIME_REMOVAL__AWAY_SECONDS": "2"}
    code, text = at_a_terminal(lab, tmp_path, ("run", "remove", node, *WORDS), (("Node: ", node),), **soon)
    assert code == 0, text
    assert "Go on?" not in text
    assert not there(lab_api, node)


@pytest.mark.long
def test_what_to_do_with_a_machine_that_runs_is_asked(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    host = make_node()
    work = notebook(lab_api, make_object, host.node)
    on_host(settings_of(lab), host, "systemctl", "stop", "kubelet")
    wait_for_ready(lab_api, host.node, ready=False)
    run = ("run", "unplanned", host.node, "--yes", "--local", "--grace-seconds", "10")
    question = "restart, shut-down, leave or later? "
    code, text = at_a_terminal(lab, tmp_path, run, ((question, "later"),), **HURRIED)
    assert code == 4, text
    assert f"'downtime decide {host.node} --dead-kubelet restart'" in text
    assert is_there(lab_api, work)
    code, text = at_a_terminal(lab, tmp_path, ("resume", host.node, "--local"), ((question, "restart"),), **HURRIED)
    assert code == 0, text
    assert untouched(lab_api, host.node)
    assert command(lab, tmp_path, "status", host.node).code == 0
