"""Rejoin of a real machine through its deployment: what no record proves, a person confirms by typing its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.patience import until
from tests.hosts import joining
from tests.hosts.conftest import HostsLab
from tests.hosts.product import done_steps, holder_of, record_of, the_record
from tests.hosts.served import Served
from tests.hosts.standing import BACK_SECONDS, at_rest, boots

NODE, OTHER = "gpu-2", "gpu-1"
ROLE = "node-role.kubernetes.io/runai-gpu-worker"
pytestmark = pytest.mark.long


@pytest.fixture
def hosts(served: Served) -> Iterator[HostsLab]:
    """The lab; afterwards the node is in service with its role, whatever a test did to it."""
    lab = served.hosts
    until(lambda: at_rest(lab, NODE), seconds=BACK_SECONDS, what=f"{NODE} is not in service")
    yield lab
    until(lambda: lab.api.find(f"/api/v1/nodes/{NODE}"), seconds=BACK_SECONDS, what=f"there is no {NODE}")
    lab.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {ROLE: "true"}}})
    until(lambda: at_rest(lab, NODE), seconds=BACK_SECONDS, what=f"{NODE} is not in service")


def test_machine_that_nobody_knows_waits_for_the_typed_name_and_a_role_gives_it_its_labels(
    served: Served, hosts: HostsLab
) -> None:
    machine_id = hosts.node(NODE)["status"]["nodeInfo"]["machineID"]
    joining.delete_node(hosts, NODE)
    joining.reset_machine(hosts, NODE)
    joining.forget_records(hosts.api, NODE)
    run = served.start("rejoin", node=NODE, role="gpu-worker", reason="new machine", requested_by="frida")
    schema, text = served.wait_for_form(run, "rejoin")
    assert set(schema["properties"]) == {"confirm_node", "who"}
    assert f"Is this the machine that is to be {NODE}?" in text
    assert machine_id in text
    assert record_of(hosts.api, NODE) is None
    assert hosts.api.find(f"/api/v1/nodes/{NODE}") is None
    for wrong in (OTHER, f"{NODE}0", ""):
        assert served.answer(run, {"confirm_node": wrong, "who": "anna"})["status"] == "REJECT"
    assert served.answer(run, {"confirm_node": NODE, "who": "anna"})["status"] == "ACCEPT"
    served.wait(run, "COMPLETED")
    record = the_record(hosts.api, NODE)
    assert (record["procedure"], record["phase"], record["flow_run"]) == ("rejoin", "closed", run)
    assert [(one["subject"], one["answer"], one["who"]) for one in record["approvals"]] == [
        ("rejoin", "confirmed", "anna")
    ]
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true"}
    assert hosts.node(NODE)["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert joining.tokens_of(hosts.api) == []
    assert served.name(run) == f"rejoin of {NODE}"
    artifacts = served.artifacts(run)
    assert set(artifacts) == {f"plan-{NODE}", f"report-{NODE}"}
    assert f"{NODE} is back in service" in artifacts[f"report-{NODE}"]


def test_removed_and_rejoined_through_the_deployments_and_a_wrong_address_is_left_alone(
    served: Served, hosts: HostsLab
) -> None:
    removal = served.start("permanent-removal", node=NODE, interactive="evict", reason="repair")
    served.wait_for_form(removal, "removal")
    assert holder_of(hosts.api, NODE) == ""
    assert served.answer(removal, {"confirm_node": NODE, "who": "anna"})["status"] == "ACCEPT"
    served.wait(removal, "COMPLETED")
    assert hosts.api.find(f"/api/v1/nodes/{NODE}") is None

    before = boots(hosts, OTHER)
    wrong = served.start("rejoin", node=NODE, host=hosts.machine(OTHER).address, confirm_node=NODE)
    assert f"is the node {OTHER}, not {NODE}. It was left alone" in served.wait(wrong, "FAILED")["message"]
    assert boots(hosts, OTHER) == before

    # Its machine id is recorded: nobody is asked.
    run = served.start("rejoin", node=NODE, host=hosts.machine(NODE).address)
    served.wait(run, "COMPLETED")
    record = the_record(hosts.api, NODE)
    assert (record["phase"], record["approvals"]) == ("closed", [])
    assert done_steps(record)[-1] == "close"
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true"}
