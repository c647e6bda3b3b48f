"""Permanent removal on real machines: kubeadm's reset, a kubelet that stays off, and machines that are not touched.

It has a lab of its own, whose nodes go one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.api import JSON
from lab.errors import LabError
from lab.machines import inside
from lab.patience import until
from tests.hosts.conftest import HostsLab, a_lab
from tests.hosts.product import Product, the_record

AWAY_SECONDS = 5
# A machine that starts has its kubelet running, and a Node registered, within five seconds.
BACK_SECONDS = 20
LIVE, OFFLINE, ELSEWHERE = "gpu-1", "gpu-2", "gpu-3"


@pytest.fixture(scope="module")
def going() -> Iterator[HostsLab]:
    """A lab with three GPU workers."""
    with a_lab("going", "--workers", "3") as made:
        yield made


@pytest.fixture
def removing(going: HostsLab, tmp_path: Path) -> Iterator[Product]:
    """The command on that lab."""
    product = Product(going, tmp_path).configured(DOWNTIME_REMOVAL__AWAY_SECONDS=str(AWAY_SECONDS))
    yield product
    product.end()


def _nodes(hosts: HostsLab) -> dict[str, JSON]:
    return {one["metadata"]["name"]: one for one in hosts.api.items("/api/v1/nodes")}


def _remove(product: Product, node: str, *more: str) -> Any:
    return product.run("run", "remove", node, "--yes-remove", node, "--interactive", "evict", "--local", *more)


def _see_not_ready(hosts: HostsLab, node: str) -> None:
    def noticed() -> bool:
        conditions = hosts.node(node)["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] != "True" for one in conditions)

    until(noticed, seconds=90, what=f"{node} is still Ready")


def _stays_away(hosts: HostsLab, node: str) -> None:
    with pytest.raises(LabError, match="nobody came"):
        until(lambda: node in _nodes(hosts), seconds=BACK_SECONDS, what="nobody came")


def test_live_node_is_reset_and_a_restart_does_not_bring_it_back(going: HostsLab, removing: Product) -> None:
    machine = going.machine(LIVE)
    rule = ("INPUT", "-s", "203.0.113.7", "-j", "DROP")
    inside(going.lab, machine, "iptables", "-A", *rule)
    authority = going.lab.kubeconfig.read_text()
    inside(going.lab, machine, "sh", "-c", "mkdir -p ~root/.kube && cat > ~root/.kube/config", stdin=authority)
    inside(going.lab, machine, "sh", "-c", "echo '{}' > /etc/cni/net.d/10-old.conflist")
    going.api.patch(f"/api/v1/nodes/{LIVE}", {"metadata": {"labels": {"rack": "7"}}})

    _remove(removing, LIVE).expect(0)

    assert LIVE not in _nodes(going)
    record = the_record(going.api, LIVE)
    assert record["phase"] == "closed"
    assert record["kept"]["labels"]["rack"] == "7"
    assert record["found"]["machine_id"] == inside(going.lab, machine, "cat", "/etc/machine-id").strip()
    folders = "for one in /etc/kubernetes/manifests /var/lib/kubelet /etc/cni/net.d; do ls -A $one || true; done"
    assert inside(going.lab, machine, "sh", "-c", folders).strip() == ""
    gone = "[ ! -e /etc/kubernetes/kubelet.conf ] && [ ! -e ~root/.kube/config ] && ! systemctl is-active kubelet"
    inside(going.lab, machine, "sh", "-c", gone)
    inside(going.lab, machine, "iptables", "-C", *rule)

    going.power(LIVE, "reset")
    _stays_away(going, LIVE)


def test_machine_that_is_off_loses_its_node_only_with_proof(going: HostsLab, removing: Product) -> None:
    going.power(OFFLINE, "off")
    _see_not_ready(going, OFFLINE)
    blind = removing.configured(DOWNTIME_POWER__STATUS="none", DOWNTIME_HOSTS__CONNECT_TIMEOUT="2")
    assert "waiting" in _remove(blind, OFFLINE, "--output", "json").expect(4).document["error"]["code"]
    assert OFFLINE in _nodes(going)
    blind.run("decide", OFFLINE, "--confirm-off", "gpu-3").expect(2)
    blind.run("resume", OFFLINE, "--local").expect(4)
    assert OFFLINE in _nodes(going)
    blind.run("decide", OFFLINE, "--confirm-off", OFFLINE, "--who", "ada").expect(0)
    blind.run("resume", OFFLINE, "--local").expect(0)
    assert OFFLINE not in _nodes(going)
    assert "ada" in json.dumps(the_record(going.api, OFFLINE)["steps"])


def test_wrong_address_leaves_the_healthy_machine_alone(going: HostsLab, removing: Product) -> None:
    other = going.machine("system-1")
    wrong = removing.configured(DOWNTIME_HOSTS__ADDRESSES=json.dumps({ELSEWHERE: other.address}))
    error = _remove(wrong, ELSEWHERE, "--output", "json").expect(3).document["error"]
    assert error["code"] == "host-identity"
    assert {ELSEWHERE, "system-1"} <= set(_nodes(going))
    inside(going.lab, other, "systemctl", "is-active", "kubelet")
    inside(going.lab, other, "systemctl", "is-enabled", "kubelet")
    inside(going.lab, other, "test", "-e", "/etc/kubernetes/kubelet.conf")
    assert not going.node(ELSEWHERE)["spec"].get("unschedulable")
