"""Control-plane nodes of a real cluster of three go down and come back; the API server that is talked to among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machines import inside
from lab.patience import until
from tests.hosts import masters
from tests.hosts.conftest import HostsLab, a_lab
from tests.hosts.product import Product, done_steps, nodes_down, record_of, the_record
from tests.hosts.standing import host_boot_id, require_cycled_once, see

# Its API server is the one that everybody talks to, as long as it is ready.
FIRST, SECOND, THIRD = masters.MASTERS
UNATTENDED = ("--yes", "--interactive", "evict", "--power-on", "controller")
# The lock lasts as long as it does by default: the API is away for seconds.
QUICK = {"DOWNTIME_DRAIN__STABLE_SECONDS": "5"}
MANIFEST = "/etc/kubernetes/manifests/etcd.yaml"

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def three() -> Iterator[HostsLab]:
    """A lab with three control-plane hosts."""
    with a_lab("masters", "--control-planes", "3", "--workers", "1", "--systems", "1") as made:
        yield made


@pytest.fixture
def product(three: HostsLab, tmp_path: Path) -> Iterator[Product]:
    """The command on that lab; afterwards all is as it was, whatever failed."""
    masters.see_healthy(three, *masters.MASTERS)
    masters.see_ready(three, *masters.MASTERS)
    made = Product(three, tmp_path, QUICK)
    yield made
    made.end()
    for node in masters.MASTERS:
        if three.power(node, "status") == "off":
            three.power(node, "on")
    for node in masters.MASTERS:
        record = record_of(three.api, node)
        if record is not None and record["phase"] != "closed":
            made.run("abort", node, "--local")


def refusal(product: Product, *arguments: str) -> str:
    """The code of a refusal before anything was changed."""
    return str(product.run(*arguments, "--output", "json").expect(3).document["error"]["code"])


def holder(hosts: HostsLab) -> str:
    """The host that has the address of the cluster's API."""
    endpoint = _endpoint(hosts)
    found = [
        one for one in masters.MASTERS if hosts.power(one, "status") == "on" and endpoint in _addresses(hosts, one)
    ]
    return ", ".join(found)


def _endpoint(hosts: HostsLab) -> str:
    server = next(line for line in hosts.lab.kubeconfig.read_text().splitlines() if "server:" in line)
    return server.rpartition("//")[2].partition(":")[0]


def _addresses(hosts: HostsLab, node: str) -> str:
    return inside(hosts.lab, hosts.machine(node), "ip", "-4", "-o", "address", "show", "dev", "eth0")


def test_maintenance_of_the_master_that_is_talked_to_and_of_no_other_meanwhile(product: Product) -> None:
    hosts = product.hosts
    assert holder(hosts) == FIRST
    before = see(hosts, FIRST)
    assert refusal(product, "run", "planned", FIRST, *UNATTENDED) == "etcd-no-fault-tolerance"
    assert see(hosts, FIRST) == before

    accepted = ("--accept-lost-tolerance", FIRST, "--reason", "a new disk")
    product.run("run", "planned", FIRST, *UNATTENDED, *accepted).expect(4)
    assert hosts.power(FIRST, "status") == "off"
    assert nodes_down(hosts.api) == [FIRST], "the API answers, from another host"
    assert holder(hosts) == SECOND
    other = ("run", "planned", SECOND, *UNATTENDED, "--accept-lost-tolerance", SECOND, "--local")
    assert refusal(product, *other) == "control-plane-one-at-a-time"
    assert nodes_down(hosts.api) == [FIRST]

    product.run("resume", FIRST).expect(0)
    require_cycled_once(hosts, FIRST, before)
    masters.see_healthy(hosts, *masters.MASTERS, seconds=10)
    record = the_record(hosts.api, FIRST)
    assert done_steps(record)[-1] == "close"
    assert "its member of etcd is healthy (3 of 3 are)" in record["steps"]["see-back"]["proof"]
    assert record["options"]["accept_lost_tolerance"] == FIRST
    told = hosts.api.items(f"/api/v1/events?fieldSelector=involvedObject.name={FIRST}")
    assert "LostToleranceAccepted" in [one["reason"] for one in told]


def test_master_is_kept_up_while_another_member_of_etcd_is_down(product: Product) -> None:
    hosts = product.hosts
    boot = host_boot_id(hosts, SECOND)
    machine = hosts.machine(THIRD)
    inside(hosts.lab, machine, "mv", MANIFEST, "/etc/kubernetes/etcd.yaml.aside")
    try:
        until(lambda: not masters.healthy(hosts, *masters.MASTERS), seconds=120, what="etcd goes on", every=1)
        words = ("planned", SECOND, "--interactive", "evict", "--accept-lost-tolerance", SECOND)
        # Without its etcd the host's API server is of no use either, and its kubelet, which talks to that, is silent.
        assert refusal(product, "run", *words, "--yes", "--local") in ("etcd-quorum", "control-plane-one-at-a-time")
        planned = product.run("plan", *words, "--output", "json").expect(3).document
        found = {one["code"]: one["message"] for one in planned["blockers"]}
        assert f"{THIRD} is unhealthy" in found["etcd-quorum"]
        lines = {one["check"]: one for one in product.run("doctor", "--output", "json").document["lines"]}
        assert lines[f"{FIRST} etcd"]["level"] == "WARN"
        assert THIRD in lines[f"{FIRST} etcd"]["reason"]
    finally:
        inside(hosts.lab, machine, "mv", "/etc/kubernetes/etcd.yaml.aside", MANIFEST)
    masters.see_healthy(hosts, *masters.MASTERS)
    assert host_boot_id(hosts, SECOND) == boot
    assert nodes_down(hosts.api) == []


def test_session_through_the_master_itself_is_refused_and_doctor_says_so(product: Product) -> None:
    hosts = product.hosts
    own = product.folder / "kubeconfig"
    text = hosts.lab.kubeconfig.read_text()
    own.write_text(text.replace(_endpoint(hosts), hosts.machine(SECOND).address))
    through = product.configured(DOWNTIME_CLUSTER__KUBECONFIG=str(own))
    words = ("plan", "planned", SECOND, "--accept-lost-tolerance", SECOND, "--output", "json")
    codes = [one["code"] for one in through.run(*words).expect(3).document["blockers"]]
    assert codes == ["api-server-on-node"]
    lines = {one["check"]: one for one in through.run("doctor", "--output", "json").document["lines"]}
    assert lines["api endpoint"]["level"] == "WARN"
    lines = {one["check"]: one for one in product.run("doctor", "--output", "json").document["lines"]}
    assert lines["api endpoint"]["level"] == "PASS"
    assert [lines[f"{one} etcd"]["level"] for one in masters.MASTERS] == ["PASS"] * 3


def test_master_that_is_talked_to_loses_power_and_is_recovered(product: Product) -> None:
    hosts = product.hosts
    before = see(hosts, FIRST)
    hosts.power(FIRST, "off")
    words = ("--yes", "--power-on", "controller", "--no-hold", "--grace-seconds", "10", "--local")
    product.run("run", "unplanned", FIRST, "--said-down", *words).expect(0)
    require_cycled_once(hosts, FIRST, before)
    record = the_record(hosts.api, FIRST)
    assert "its member of etcd is healthy (3 of 3 are)" in record["steps"]["see-back"]["proof"]
    masters.see_healthy(hosts, *masters.MASTERS, seconds=10)
