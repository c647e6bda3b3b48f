"""Control-plane nodes of a real cluster of three: removed alive, removed dead, and joined again with a vote in etcd.

Each test begins and ends with three healthy members.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api import JSON
from lab.machines import inside
from lab.patience import until
from tests.hosts import joining, masters
from tests.hosts.conftest import HostsLab, a_lab
from tests.hosts.joining import State, watched
from tests.hosts.product import Product, done_steps, everything_stored, nodes_down, record_of, the_record

NODE, LEFT = "master-3", ("master-1", "master-2")
ACCEPTED = ("--accept-lost-tolerance", NODE)
QUICK = {"DOWNTIME_REMOVAL__AWAY_SECONDS": "5", "DOWNTIME_HOSTS__JOIN_TIMEOUT": "150"}
# An API server that moves to another host is not there for seconds.
SECONDS = 420
TAINTS = [("node-role.kubernetes.io/control-plane", "NoSchedule")]

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def three() -> Iterator[HostsLab]:
    """A lab with three control-plane hosts."""
    with a_lab("three", "--control-planes", "3", "--workers", "1") as made:
        yield made


@pytest.fixture
def product(three: HostsLab, tmp_path: Path) -> Iterator[Product]:
    """The command on that lab."""
    masters.see_healthy(three, *masters.MASTERS)
    made = Product(three, tmp_path).configured(**QUICK)
    yield made
    made.end()


def remove(product: Product, *more: str) -> Any:
    words = ("run", "remove", NODE, "--yes-remove", NODE, "--interactive", "evict", "--local", *more)
    return product.run(*words, seconds=SECONDS)


def require_joined(hosts: HostsLab) -> JSON:
    """The node is in service as a control-plane node, with a healthy member that has a vote; nothing secret is left."""
    masters.see_healthy(hosts, *masters.MASTERS, seconds=10)
    node = hosts.node(NODE)
    assert "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
    assert [(one["key"], one["effect"]) for one in node["spec"].get("taints") or []] == TAINTS
    assert not node["spec"].get("unschedulable")
    assert masters.uploads(hosts.api) == []
    assert NODE not in nodes_down(hosts.api)
    return node


def change(record: JSON, what: str) -> JSON:
    return dict(next((one for one in record["changes"] if one["what"] == what), {}))


def test_live_control_plane_node_leaves_etcd_and_joins_again_in_secret(product: Product, tmp_path: Path) -> None:
    hosts = product.hosts
    hosts.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {"rack": "r9"}}})
    refused = remove(product, "--output", "json").expect(3).document["error"]
    assert refused["code"] == "etcd-no-fault-tolerance"
    masters.see_healthy(hosts, *masters.MASTERS, seconds=10)
    assert not hosts.node(NODE)["spec"].get("unschedulable")

    remove(product, *ACCEPTED).expect(0)
    masters.see_healthy(hosts, *LEFT)
    assert hosts.api.find(f"/api/v1/nodes/{NODE}") is None
    removed = the_record(hosts.api, NODE)
    assert (removed["member"]["name"], removed["member"]["learner"]) == (NODE, False)
    assert change(removed, "etcd-member-removed")["state"] == "made"
    assert change(removed, "etcd-member-removed")["value"] == removed["member"]["id"]
    assert done_steps(removed)[-4:] == ["remove-member", "delete-node", "see-away", "close"]
    machine = hosts.machine(NODE)
    folders = "ls -A /var/lib/etcd /etc/kubernetes/manifests /etc/kubernetes/pki | grep -v : | tr -d '\\n'"
    assert inside(hosts.lab, machine, "sh", "-c", folders).strip() == ""
    inside(hosts.lab, machine, "test", "!", "-e", "/etc/kubernetes/admin.conf")

    with watched(hosts, NODE, "rack", tmp_path) as seen, masters.certificate_keys(hosts, NODE, tmp_path) as keys:
        ended = product.run("run", "rejoin", NODE, "--yes", "--reason", "mended", seconds=SECONDS)
    ended.expect(0)
    node = require_joined(hosts)
    assert node["metadata"]["labels"]["rack"] == "r9"
    record = the_record(hosts.api, NODE)
    assert "has a vote and is healthy; 3 are, of 3" in record["steps"]["see-member"]["proof"]
    assert seen.states[0] == State(joining=True, cordoned=False, labelled=False)
    assert State(joining=False, cordoned=False, labelled=False) not in seen.states

    found = set(re.findall(r"\b[0-9a-f]{64}\b", keys.read_text()))
    keys.unlink()
    assert len(found) == 1, (
        "the certificate key was not seen where only root can see it: there is nothing to search for"
    )
    secrets = [*seen.secrets(hosts), *found]
    texts = {
        "the cluster": everything_stored(hosts.api),
        "the output": ended.said,
        "the record": json.dumps(record),
        **{f"processes of {one}": path.read_text(errors="replace") for one, path in seen.processes.items()},
    }
    assert "kubeadm init phase upload-certs" in texts["processes of master-1"]
    assert "kubeadm join --config" in texts[f"processes of {NODE}"]
    for where, text in texts.items():
        assert not [secret for secret in secrets if secret in text], where
    for folder in (Path(os.environ["PREFECT_HOME"]), product.folder):
        for path, content in joining.bytes_below(folder):
            assert not [secret for secret in secrets if secret.encode() in content], path
    for one in masters.MASTERS:
        assert joining.files_with(hosts, one, [*found, *seen.secrets(hosts)[:-1]]) == ""


def test_dead_control_plane_node_is_removed_through_another_and_joins_again(product: Product) -> None:
    hosts = product.hosts
    hosts.power(NODE, "off")

    def noticed() -> bool:
        conditions = hosts.node(NODE)["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] != "True" for one in conditions)

    until(noticed, seconds=120, what=f"{NODE} is still Ready")
    blind = product.configured(DOWNTIME_POWER__STATUS="none", DOWNTIME_HOSTS__CONNECT_TIMEOUT="2")
    remove(blind, *ACCEPTED).expect(4)
    assert NODE in masters.members(hosts), "without proof that it is off its member must stay"
    blind.run("decide", NODE, "--confirm-off", NODE, "--who", "ada").expect(0)
    blind.run("resume", NODE, "--local", seconds=SECONDS).expect(0)
    masters.see_healthy(hosts, *LEFT)
    assert hosts.api.find(f"/api/v1/nodes/{NODE}") is None
    removed = the_record(hosts.api, NODE)
    assert change(removed, "machine-reset") == {}
    assert change(removed, "etcd-member-removed")["value"] == removed["member"]["id"]

    hosts.power(NODE, "on")
    until(lambda: hosts.ssh(NODE, "true").returncode == 0, seconds=60, what="the machine does not come up")
    product.run("run", "rejoin", NODE, "--yes", "--local", seconds=SECONDS).expect(0)
    require_joined(hosts)
    assert change(the_record(hosts.api, NODE), "machine-reset")["state"] == "made"


def test_control_plane_join_cut_in_the_middle_is_taken_up(product: Product) -> None:
    """The process is killed and the machine loses power while it becomes a member: half-joined, with secrets left."""
    hosts = product.hosts
    remove(product, *ACCEPTED).expect(0)
    running = product.start("run", "rejoin", NODE, "--yes", "--local")

    def announced() -> bool:
        assert running.alive, running.wait().said
        record = record_of(hosts.api, NODE)
        begun = record is not None and record["procedure"] == "rejoin" and change(record, "joined") != {}
        return begun and len(masters.members(hosts)) == 3

    until(announced, seconds=300, what="no third member is announced", every=0.05)
    running.signal(signal.SIGKILL)
    hosts.power(NODE, "reset")
    running.kill()
    assert masters.uploads(hosts.api), "what the dead process had uploaded should still be there"
    until(lambda: hosts.ssh(NODE, "true").returncode == 0, seconds=60, what="the machine does not come up")
    product.run("resume", NODE, "--local", seconds=SECONDS).expect(0)
    require_joined(hosts)
    record = the_record(hosts.api, NODE)
    assert record["phase"] == "closed"
    assert change(record, "certificates")["state"] == "undone"
