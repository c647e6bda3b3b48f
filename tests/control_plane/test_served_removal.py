"""Permanent removal through its deployment: nothing is changed before the node's name was typed below what is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, bare_pod, interactive
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.removing import host, there
from tests.control_plane.served import answers, record_of, see_released, the_record
from tests.prefect_runs import Runs

pytestmark = pytest.mark.timeout(900)
MakeVolume = Callable[[str], None]
VOLUMES = "/api/v1/persistentvolumes"
STEPS = ["recovery-gate", "cordon", "approve-workloads", "taint", "see-gone", "save", "reset-host", "delete-node"]


def _running(api: Api, name: str) -> None:
    path = f"/api/v1/namespaces/runai-team-a/pods/{name}"
    until(lambda: (api.find(path) or {}).get("status", {}).get("phase") == "Running", seconds=60, what=path)


@pytest.fixture
def make_volume(lab_api: Api) -> Iterator[Callable[[str], None]]:
    """Makes a volume that lies on one node alone: ``make_volume("gpu-1")``."""
    made: list[str] = []

    def make(node: str) -> None:
        labels = lab_api.get(f"/api/v1/nodes/{node}")["metadata"]["labels"]
        hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [labels["kubernetes.io/hostname"]]}
        made.append(f"scratch-{node}")
        body = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": made[-1]},
            "spec": {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "local": {"path": "/scratch"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            },
        }
        lab_api.create(VOLUMES, body)

    yield make
    for name in made:
        lab_api.delete(f"{VOLUMES}/{name}")


def test_removal_waits_for_the_typed_name_below_a_table_of_what_is_lost(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, make_volume: MakeVolume, served: Runs
) -> None:
    node = make_node().node
    make_volume(node)
    make_object(bare_pod(f"alone-{node}", Work(node=node, user="emil", gpus=0)))
    _running(lab_api, f"alone-{node}")
    run = served.start("permanent-removal", node=node, interactive="evict", reason="broken", requested_by="frida")
    schema, text = served.wait_for_form(run, "removal")
    assert record_of(lab_api, node) is None
    see_released(lab_api, node)
    assert not lab_api.get(f"/api/v1/nodes/{node}")["spec"].get("unschedulable")
    assert set(schema["properties"]) == {"confirm_node", "who"}
    assert all(field["title"] and field["description"] for field in schema["properties"].values())
    assert f"# Is {node} to be removed for good?" in text
    assert f"| volume | scratch-{node} |" in text
    assert f"runai-team-a/alone-{node} | emil | nothing starts it again |" in text
    for wrong in ("gpu-1", f"{node}0", f"x{node}", node.upper(), ""):
        assert served.answer(run, {"confirm_node": wrong, "who": "anna"})["status"] == "REJECT"
    assert served.state(run)["type"] == "PAUSED"
    assert record_of(lab_api, node) is None

    assert served.answer(run, {"confirm_node": node, "who": "anna"})["status"] == "ACCEPT"
    served.wait(run, "COMPLETED")
    assert not there(lab_api, node)
    assert host(lab, node)["resets"] == 1
    record = the_record(lab_api, node)
    assert (record["phase"], record["who"], record["flow_run"]) == ("closed", "frida", run)
    assert answers(record)[0] == ("removal", "confirmed", "anna")
    assert served.name(run) == f"permanent-removal of {node}"
    artifacts = served.artifacts(run)
    assert set(artifacts) == {f"plan-{node}", f"workloads-{node}", f"report-{node}"}
    assert f"| volume | scratch-{node} |" in artifacts[f"plan-{node}"]
    assert "emil" in artifacts[f"workloads-{node}"]
    report = artifacts[f"report-{node}"]
    assert f"{node} is removed for good" in report
    assert "anna answered 'confirmed' about the removal" in report
    assert [step for step in STEPS if f"| {step} |" not in report] == []


@pytest.mark.long
def test_name_is_typed_once_and_interactive_work_is_still_asked_about(
    lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs
) -> None:
    node = make_node().node
    make_object(interactive(f"thesis-{node}", Work(node=node, user="frida")))
    _running(lab_api, f"thesis-{node}-0")
    run = served.start("permanent-removal", node=node)
    served.wait_for_form(run, "removal")
    assert served.answer(run, {"confirm_node": node, "who": "anna"})["status"] == "ACCEPT"
    _, text = served.wait_for_form(run, "interactive")
    assert f"thesis-{node}" in text
    see_released(lab_api, node)
    assert served.answer(run, {"decision": "evict", "who": "ben"})["status"] == "ACCEPT"
    served.wait(run, "COMPLETED")
    assert not there(lab_api, node)
    given = [one[:2] for one in answers(the_record(lab_api, node))]
    assert given == [("removal", "confirmed"), ("interactive", "evict")]


@pytest.mark.long
def test_name_as_a_parameter_is_judged_without_a_form(lab_api: Api, make_node: MakeNode, served: Runs) -> None:
    node = make_node().node
    wrong = served.start("permanent-removal", node=node, confirm_node="gpu-1", interactive="evict")
    assert "'gpu-1' was typed to confirm that" in served.wait(wrong, "FAILED")["message"]
    assert record_of(lab_api, node) is None
    right = served.start("permanent-removal", node=node, confirm_node=node, interactive="evict")
    served.wait(right, "COMPLETED")
    assert not there(lab_api, node)


@pytest.mark.long
def test_other_losses_than_those_shown_are_asked_about_again(
    lab_api: Api, make_node: MakeNode, make_volume: MakeVolume, served: Runs
) -> None:
    node = make_node().node
    run = served.start("permanent-removal", node=node, interactive="evict")
    _, text = served.wait_for_form(run, "removal")
    assert "Nothing is known that is lost with it" in text
    first = served.state(run)["id"]
    make_volume(node)
    assert served.answer(run, {"confirm_node": node, "who": "anna"})["status"] == "ACCEPT"
    until(
        lambda: served.state(run)["type"] == "PAUSED" and served.state(run)["id"] != first,
        seconds=300,
        what="it does not ask again",
    )
    _, text = served.form(run)
    assert f"scratch-{node}" in text
    assert record_of(lab_api, node) is None
    served.cancel(run)
