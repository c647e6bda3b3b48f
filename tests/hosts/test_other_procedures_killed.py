"""One death at each step of a recovery, a removal and a rejoin of a real host: another process goes on each time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cluster.rejoin import STEPS as ALL_REJOIN_STEPS
from cluster.remove import STEPS as ALL_REMOVE_STEPS
from lab.api import JSON
from lab.machines import inside
from lab.patience import until
from lab.runai.workloads import Work, interactive
from tests.control_plane.killing_proxy import Relay, relay
from tests.hosts import joining
from tests.hosts.conftest import HostsLab
from tests.hosts.killing import Moment, killed_at
from tests.hosts.product import Product, done_steps, holder_of, nodes_down, the_record
from tests.hosts.standing import BACK_SECONDS, at_rest, require_cycled_once, see
from tests.hosts.test_unplanned_recovery import ALONE, NODE, OUT, QUICK, STEPS, cut_power, taints_of, watched
from tests.hosts.work import pods_of, working

# Minutes of it: that each procedure goes on at all is in its other tests.
pytestmark = pytest.mark.long

ROLE = "node-role.kubernetes.io/runai-gpu-worker"
MORE = {"DOWNTIME_HOSTS__JOIN_TIMEOUT": "40", "DOWNTIME_REMOVAL__AWAY_SECONDS": "5"}
REMOVE = ("run", "remove", NODE, "--yes-remove", NODE, "--interactive", "evict", "--local")
REJOIN = ("run", "rejoin", NODE, "--yes", "--local")
RECOVERY_MOMENTS = (
    *(Moment(step, "done") for step in STEPS[: STEPS.index("out-of-service")]),
    Moment("out-of-service", "intended"),
    *(Moment(step, "done") for step in STEPS[STEPS.index("out-of-service") :]),
)
# Those of a GPU worker: the others are of system nodes and of members of etcd.
REMOVE_STEPS = tuple(step for step in ALL_REMOVE_STEPS if step not in ("designate", "evict", "remove-member"))
REJOIN_STEPS = tuple(step for step in ALL_REJOIN_STEPS if step != "see-member")
# The gate is passed before there is a record.
REMOVAL_MOMENTS = (
    *(Moment(step, "done") for step in REMOVE_STEPS[1 : REMOVE_STEPS.index("reset-host")]),
    Moment("reset-host", "intended"),
    Moment("reset-host", "done"),
    Moment("delete-node", "intended"),
    *(Moment(step, "done") for step in REMOVE_STEPS[REMOVE_STEPS.index("delete-node") :]),
)
REJOIN_MOMENTS = (
    Moment("prove-machine", "done"),
    Moment("clear-machine", "done"),
    Moment("join", "intended"),
    *(Moment(step, "done") for step in REJOIN_STEPS[REJOIN_STEPS.index("join") :]),
)


@pytest.fixture(scope="module")
def proxies() -> Iterator[Relay]:
    with relay() as made:
        yield made


@pytest.fixture
def going(hosts_lab: HostsLab, tmp_path: Path) -> Iterator[Product]:
    """The command on the lab; afterwards the node is there again with its role, whatever a test did to it."""
    until(lambda: at_rest(hosts_lab, NODE), seconds=BACK_SECONDS, what=f"{NODE} is not in service")
    made = Product(hosts_lab, tmp_path).configured(**MORE)
    yield made
    made.end()
    until(lambda: hosts_lab.api.find(f"/api/v1/nodes/{NODE}"), seconds=BACK_SECONDS, what=f"there is no {NODE}")
    hosts_lab.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {ROLE: "true"}}})
    until(lambda: at_rest(hosts_lab, NODE), seconds=BACK_SECONDS, what=f"{NODE} is not in service")


def die_at_each(product: Product, proxies: Relay, moments: Sequence[Moment], *first: str) -> JSON:
    """A process that dies at each of these moments, and one that comes to the end; the record."""
    killed_at(product, proxies, NODE, moments[0], *first)
    opened = the_record(product.hosts.api, NODE)
    for moment in moments[1:]:
        killed_at(product, proxies, NODE, moment, "resume", NODE, "--local")
    product.run("resume", NODE, "--local").expect(0)
    record = the_record(product.hosts.api, NODE)
    assert (record["id"], record["phase"], record["aborted"]) == (opened["id"], "closed", False)
    assert record["epoch"] == opened["epoch"] + len(moments)
    assert NODE not in nodes_down(product.hosts.api)
    assert holder_of(product.hosts.api, NODE) == ""
    return record


def once_each(record: JSON, steps: Sequence[str]) -> None:
    """Every step is done, in order, and was so once."""
    assert done_steps(record) == list(steps)
    lines = [one["text"] for one in record["timeline"]]
    for step in steps[1:]:
        assert sum(line.startswith(f"{step}: done") for line in lines) == 1, f"{step}: {lines}"


@pytest.mark.timeout(900)
def test_recovery_that_dies_at_every_step_powers_on_once_and_never_beside_the_out_of_service_taint(
    product: Product, proxies: Relay
) -> None:
    hosts, before = product.hosts, see(product.hosts, NODE)
    quick = product.configured(**QUICK)
    notebook = interactive("held", Work(node=NODE, gpus=0, user="dora"))
    with working(hosts.api, notebook), watched(hosts) as seen:
        [pod] = pods_of(hosts.api, notebook)
        cut_power(hosts)
        record = die_at_each(quick, proxies, RECOVERY_MOMENTS, *ALONE)
        assert [one["metadata"]["uid"] for one in pods_of(hosts.api, notebook)] != [pod["metadata"]["uid"]]
        assert seen.wrong == []
        assert frozenset({"runai", OUT}) in seen.taints
    once_each(record, STEPS)
    assert {one["what"]: one["state"] for one in record["changes"]} == {"cordon": "undone", "taint": "undone"} | (
        {"out-of-service": "undone"} if "out-of-service" in json.dumps(record["changes"]) else {}
    )
    assert taints_of(hosts.node(NODE)) == frozenset()
    require_cycled_once(hosts, NODE, before)


@pytest.mark.timeout(900)
def test_removal_and_rejoin_that_die_at_every_step_end_once_and_wholly(going: Product, proxies: Relay) -> None:
    hosts, before = going.hosts, see(going.hosts, NODE)
    hosts.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {"rack": "r7"}}})
    uid = hosts.node(NODE)["metadata"]["uid"]
    machine = hosts.machine(NODE)

    removed = die_at_each(going, proxies, REMOVAL_MOMENTS, *REMOVE)
    once_each(removed, REMOVE_STEPS)
    assert removed["kept"]["labels"]["rack"] == "r7"
    assert hosts.api.find(f"/api/v1/nodes/{NODE}") is None
    gone = "[ ! -e /etc/kubernetes/kubelet.conf ] && ! systemctl is-active kubelet && ! systemctl is-enabled kubelet"
    inside(hosts.lab, machine, "sh", "-c", gone)

    joined = die_at_each(going, proxies, REJOIN_MOMENTS, *REJOIN)
    once_each(joined, REJOIN_STEPS)
    assert joining.tokens_of(hosts.api) == []
    assert joining.labels_of(hosts.node(NODE)) == {ROLE: "true", "rack": "r7"}
    assert hosts.node(NODE)["metadata"]["uid"] != uid
    hosts.api.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"labels": {"rack": None}}})
    after = see(hosts, NODE)
    assert (after.boots, after.gpus, after.untouched) == (before.boots, before.gpus, True)
