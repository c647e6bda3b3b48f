"""Rejoin of a real machine: removed, deleted by hand, cut off in the middle; and machines that are left alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.api import JSON
from lab.machines import inside
from lab.patience import until
from lab.runai.workloads import Work, bare_pod
from tests.hosts import joining
from tests.hosts.conftest import HostsLab
from tests.hosts.joining import State, Watched, watched
from tests.hosts.product import Ended, Product, done_steps, everything_stored, nodes_down, record_of, the_record
from tests.hosts.standing import BACK_SECONDS, at_rest, boots
from tests.hosts.work import wait_running, working

NODE, OTHER = "gpu-1", "gpu-2"
STEPS = [
    *("prove-machine", "clear-machine", "join", "delete-token", "see-joined", "cordon", "untaint-joining"),
    *("restore", "see-gpus", "uncordon", "close"),
]
ROLE = "node-role.kubernetes.io/runai-gpu-worker"
QUICK = {"DOWNTIME_HOSTS__JOIN_TIMEOUT": "40", "DOWNTIME_REMOVAL__AWAY_SECONDS": "5"}
REMOVE = ("run", "remove", NODE, "--yes-remove", NODE, "--interactive", "evict", "--local")


@dataclass(frozen=True)
class Cycle:
    """One removal and rejoin, and what was seen of it."""

    machine_id: str
    removed: JSON
    wrong: dict[str, Ended]
    other_boots: tuple[int, int]
    ended: Ended
    seen: Watched
    record: JSON
    node: JSON
    folder: Path


@pytest.fixture(scope="module")
def cycle(hosts_lab: HostsLab, tmp_path_factory: pytest.TempPathFactory) -> Cycle:
    until(lambda: at_rest(hosts_lab, NODE), seconds=BACK_SECONDS, what=f"{NODE} is not in service")
    folder = tmp_path_factory.mktemp("rejoin")
    product = Product(hosts_lab, folder).configured(**QUICK)
    api = hosts_lab.api
    marks = {"metadata": {"labels": {"rack": "r7"}, "annotations": {"contact": "ada"}}}
    api.patch(f"/api/v1/nodes/{NODE}", marks)
    taint = {"key": "dedicated", "value": "a", "effect": "PreferNoSchedule"}
    api.patch(f"/api/v1/nodes/{NODE}", {"spec": {"taints": [taint]}})
    machine_id = hosts_lab.node(NODE)["status"]["nodeInfo"]["machineID"]
    product.run(*REMOVE).expect(0)
    removed = the_record(api, NODE)
    assert api.find(f"/api/v1/nodes/{NODE}") is None
    before = boots(hosts_lab, OTHER)
    wrong = {
        where: product.run("run", "rejoin", NODE, "--host", hosts_lab.machine(where).address, "--yes", *more, "--local")
        for where, more in ((OTHER, ()), ("master-1", ("--yes-rejoin", NODE)), ("system-1", ("--yes-rejoin", NODE)))
    }
    with watched(hosts_lab, NODE, "rack", folder) as seen:
        ended = product.run("run", "rejoin", NODE, "--yes", "--reason", "repaired")
    other_boots = before, boots(hosts_lab, OTHER)
    record = the_record(api, NODE)
    node = hosts_lab.node(NODE)
    untaint(hosts_lab)
    return Cycle(machine_id, removed, wrong, other_boots, ended, seen, record, node, folder)


def untaint(hosts: HostsLab) -> None:
    """Take the administrator's taint off: to other tests a node with a taint is not in service."""
    hosts.api.patch(f"/api/v1/nodes/{NODE}", {"spec": {"taints": None}})


@pytest.fixture
def product(hosts_lab: HostsLab, tmp_path: Path) -> Iterator[Product]:
    """The command on the lab; afterwards the node is in service with its role, whatever a test did to it."""
    made = Product(hosts_lab, tmp_path).configured(**QUICK)
    yield made
    made.end()
    hosts_lab.power(NODE, "on")
    until(lambda: hosts_lab.api.find(f"/api/v1/nodes/{NODE}"), seconds=BACK_SECONDS, what=f"there is no {NODE}")
    hosts_lab.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {ROLE: "true"}}})
    untaint(hosts_lab)
    until(lambda: at_rest(hosts_lab, NODE), seconds=BACK_SECONDS, what=f"{NODE} is not in service")


def test_machine_comes_back_as_the_node_that_it_was(cycle: Cycle) -> None:
    cycle.ended.expect(0)
    assert cycle.node["status"]["nodeInfo"]["machineID"] == cycle.machine_id
    assert joining.labels_of(cycle.node) == {ROLE: "true", "rack": "r7"}
    assert cycle.node["metadata"]["annotations"]["contact"] == "ada"
    assert "runai-downtime/owns" not in cycle.node["metadata"]["annotations"]
    taints = [(one["key"], one["value"], one["effect"]) for one in cycle.node["spec"].get("taints") or []]
    assert taints == [("dedicated", "a", "PreferNoSchedule")]
    assert not cycle.node["spec"].get("unschedulable")
    assert cycle.node["status"]["allocatable"]["nvidia.com/gpu"] == "4"


def test_record_is_closed_with_every_step_in_the_planners_order(cycle: Cycle, hosts_lab: HostsLab) -> None:
    assert (cycle.removed["procedure"], cycle.removed["phase"]) == ("remove", "closed")
    assert cycle.removed["kept"]["labels"]["rack"] == "r7"
    assert (cycle.record["procedure"], cycle.record["phase"]) == ("rejoin", "closed")
    assert done_steps(cycle.record) == STEPS
    assert cycle.record["reason"] == "repaired"
    assert NODE not in nodes_down(hosts_lab.api)


def test_new_work_finds_no_place_before_labels_and_taints_are_back(cycle: Cycle) -> None:
    assert cycle.seen.states[0] == State(joining=True, cordoned=False, labelled=False)
    assert cycle.seen.states[-1] == State(joining=False, cordoned=False, labelled=True)
    assert not any(one == State(joining=False, cordoned=False, labelled=False) for one in cycle.seen.states)


def test_work_runs_there_again(cycle: Cycle, hosts_lab: HostsLab) -> None:
    cycle.ended.expect(0)
    pod = bare_pod("after-rejoin", Work(node=NODE, gpus=1))
    with working(hosts_lab.api, pod):
        assert wait_running(hosts_lab.api, pod) == NODE


def test_healthy_machine_at_a_wrong_address_is_left_alone(cycle: Cycle, hosts_lab: HostsLab) -> None:
    for where, code in ((OTHER, "other-node"), ("system-1", "other-node"), ("master-1", "other-node")):
        ended = cycle.wrong[where].expect(3)
        assert f"is the node {where}" in ended.err, (code, ended.err)
        assert "left alone" in ended.err
    assert cycle.other_boots[0] == cycle.other_boots[1]
    for where in (OTHER, "system-1", "master-1"):
        kubelet = inside(hosts_lab.lab, hosts_lab.machine(where), "systemctl", "is-active", "kubelet")
        assert kubelet.strip() == "active"


def test_token_is_described_while_it_lives_and_gone_afterwards(cycle: Cycle, hosts_lab: HostsLab) -> None:
    assert cycle.seen.descriptions == {f"runai-downtime rejoin {NODE} {cycle.record['id']}"}
    assert len(cycle.seen.tokens) == 1
    assert joining.tokens_of(hosts_lab.api) == []


def test_token_and_pin_are_seen_nowhere(cycle: Cycle, hosts_lab: HostsLab) -> None:
    secrets = cycle.seen.secrets(hosts_lab)
    texts = {
        "the cluster": everything_stored(hosts_lab.api),
        "the output": cycle.ended.said,
        "the record": json.dumps(cycle.record),
        **{f"processes of {node}": path.read_text(errors="replace") for node, path in cycle.seen.processes.items()},
    }
    for where, text in texts.items():
        assert not [secret for secret in secrets if secret in text], where
    assert "kubeadm join --config" in texts[f"processes of {NODE}"], (
        "the join was not among the processes that were seen"
    )
    assert "kubeadm token create" in texts["processes of master-1"]
    # Prefect's database and results among them; and what the command wrote below its own folder.
    for folder in (Path(os.environ["PREFECT_HOME"]), cycle.folder):
        found = list(joining.bytes_below(folder))
        assert found
        for path, content in found:
            assert not [secret for secret in secrets if secret.encode() in content], path


def test_nothing_of_the_join_is_left_on_the_machine(cycle: Cycle, hosts_lab: HostsLab) -> None:
    token_and_half = cycle.seen.secrets(hosts_lab)[:-1]
    for node in (NODE, "master-1"):
        assert joining.files_with(hosts_lab, node, token_and_half) == ""
    machine = hosts_lab.machine(NODE)
    assert inside(hosts_lab.lab, machine, "ls", "/run/runai-downtime").split() == ["lock"]
    assert inside(hosts_lab.lab, machine, "systemctl", "is-enabled", "kubelet").strip() == "enabled"


def test_ready_node_is_not_joined_again(cycle: Cycle, product: Product) -> None:
    cycle.ended.expect(0)
    ended = product.run("plan", "rejoin", NODE, "--output", "json").expect(3)
    assert [one["code"] for one in ended.document["blockers"]] == ["node-ready"]


@pytest.mark.long
@pytest.mark.usefixtures("cycle")
def test_kubelet_that_lived_on_after_the_deletion_is_reset_and_joined(product: Product) -> None:
    hosts = product.hosts
    joining.delete_node(hosts, NODE)
    product.run("run", "rejoin", NODE, "--yes", "--local").expect(0)
    record = the_record(hosts.api, NODE)
    assert {"machine-reset", "joined"} <= {one["what"] for one in record["changes"]}
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true", "rack": "r7"}
    assert joining.tokens_of(hosts.api) == []


@pytest.mark.usefixtures("cycle")
def test_join_cut_in_the_middle_by_the_death_of_both_is_taken_up(product: Product) -> None:
    """The process is killed and the machine loses power while kubeadm runs: half-joined, with a token that lives on."""
    hosts = product.hosts
    joining.delete_node(hosts, NODE)
    running = product.start("run", "rejoin", NODE, "--yes", "--local")

    def joins() -> bool:
        assert running.alive, running.wait().said
        record = record_of(hosts.api, NODE)
        return record is not None and record["phase"] != "closed" and _is(record, "joined", "intended")

    until(joins, seconds=200, what="the join does not begin", every=0.05)
    running.signal(signal.SIGKILL)
    hosts.power(NODE, "reset")
    running.kill()
    assert joining.tokens_of(hosts.api), "the token of the dead process should still be there"
    until(lambda: hosts.ssh(NODE, "true").returncode == 0, seconds=60, what="the machine does not come up")
    product.run("resume", NODE, "--local").expect(0)
    record = the_record(hosts.api, NODE)
    assert record["phase"] == "closed"
    assert done_steps(record) == STEPS
    assert joining.tokens_of(hosts.api) == []
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true", "rack": "r7"}


@pytest.mark.long
@pytest.mark.usefixtures("cycle")
def test_join_whose_ssh_is_cut_in_the_middle_leaves_no_token_and_is_taken_up(product: Product) -> None:
    """Only the connection dies: the process and the machine live on, and kubeadm may or may not come to its end."""
    hosts, before = product.hosts, boots(product.hosts, NODE)
    joining.delete_node(hosts, NODE)
    running = product.start("run", "rejoin", NODE, "--yes", "--local")
    until(lambda: _joins(hosts) or not running.alive, seconds=200, what="the join does not begin", every=0.05)
    _cut_ssh(hosts)
    ended = running.wait().expect(1)
    assert "broke while a command ran" in ended.err
    assert f"'downtime resume {NODE}' waits until no join runs there any more" in " ".join(ended.err.split())
    assert joining.tokens_of(hosts.api) == []
    product.run("resume", NODE, "--local").expect(0)
    record = the_record(hosts.api, NODE)
    assert (record["phase"], done_steps(record)) == ("closed", STEPS)
    assert joining.tokens_of(hosts.api) == []
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true", "rack": "r7"}
    assert boots(hosts, NODE) == before


def _joins(hosts: HostsLab) -> bool:
    look = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q 'kubeadm join --con[f]ig' && echo joins; true"
    return "joins" in inside(hosts.lab, hosts.machine(NODE), "sh", "-c", look)


def _cut_ssh(hosts: HostsLab) -> None:
    """End the machine's end of every connection of the product's user, as a broken firewall would."""
    each = (
        'for one in /proc/[0-9]*; do case "$(tr "\\0" " " <$one/cmdline 2>/dev/null)" in '
        '"sshd: ops"*) kill -9 "${one#/proc/}" ;; esac; done; true'
    )
    inside(hosts.lab, hosts.machine(NODE), "sh", "-c", each)


@pytest.mark.long
@pytest.mark.usefixtures("cycle")
def test_node_that_is_not_ready_any_more_on_a_machine_that_was_reset_is_joined_anew(product: Product) -> None:
    hosts = product.hosts
    joining.reset_machine(hosts, NODE)
    until(lambda: not _ready(hosts.node(NODE)), seconds=60, what=f"{NODE} stays Ready")
    uid = hosts.node(NODE)["metadata"]["uid"]
    product.run("run", "rejoin", NODE, "--yes", "--local").expect(0)
    assert hosts.node(NODE)["metadata"]["uid"] != uid
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true", "rack": "r7"}


@pytest.mark.long
@pytest.mark.usefixtures("cycle")
def test_machine_that_nobody_knows_needs_its_name_typed_and_a_role(product: Product) -> None:
    hosts = product.hosts
    joining.delete_node(hosts, NODE)
    joining.reset_machine(hosts, NODE)
    joining.forget_records(hosts.api, NODE)
    refused = product.run("run", "rejoin", NODE, "--role", "gpu-worker", "--yes", "--local").expect(3)
    assert f"--yes-rejoin {NODE}" in refused.err
    assert hosts.api.find(f"/api/v1/nodes/{NODE}") is None
    product.run("run", "rejoin", NODE, "--role", "gpu-worker", "--yes-rejoin", NODE, "--local").expect(0)
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true"}
    assert hosts.node(NODE)["status"]["allocatable"]["nvidia.com/gpu"] == "4"


def _is(record: JSON, what: str, state: str) -> bool:
    return any(one["what"] == what and one["state"] == state for one in record["changes"])


def _ready(node: JSON) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])
