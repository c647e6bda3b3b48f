"""Backing out of a maintenance on a real host. What people had set on the node is found again, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.patience import until
from lab.runai.workloads import Work, training
from tests.hosts.conftest import HostsLab
from tests.hosts.product import Product, done_steps, the_record
from tests.hosts.standing import require_cycled_once, require_unmoved, see
from tests.hosts.watching_nodes import marks_of
from tests.hosts.work import working

NODE = "gpu-1"
PERSONS_TAINT = {"key": "maintenance", "value": "rack-7", "effect": "PreferNoSchedule"}


@contextmanager
def cordoned_by_a_person(hosts: HostsLab) -> Iterator[None]:
    """The node, cordoned and tainted by somebody else."""
    path = f"/api/v1/nodes/{NODE}"
    hosts.api.patch(path, {"spec": {"unschedulable": True, "taints": [PERSONS_TAINT]}})
    until(lambda: see(hosts, NODE).cordoned, seconds=10, what="the cordon does not stand")
    try:
        yield
    finally:
        hosts.api.patch(path, {"spec": {"unschedulable": None, "taints": None}})


def test_abort_after_the_shutdown_brings_the_machine_back_and_leaves_a_persons_cordon(product: Product) -> None:
    hosts = product.hosts
    with cordoned_by_a_person(hosts):
        before = see(hosts, NODE)
        assert len(before.taints) == 2, "the person's, and what Kubernetes adds for a cordon"
        options = ("--yes", "--interactive", "evict", "--power-on", "controller", "--hold")
        product.run("run", "planned", NODE, *options, "--local").expect(4)
        assert hosts.power(NODE, "status") == "off"
        ended = product.run("abort", NODE, "--local", "--output", "json").expect(0)
        assert ended.document["outcome"] == "aborted"
        assert ended.document["standing"] == []
        require_cycled_once(hosts, NODE, before)
    record = the_record(hosts.api, NODE)
    assert (record["phase"], record["aborted"]) == ("closed", True)
    assert "approve-return" not in done_steps(record)
    assert {change["what"] for change in record["changes"]} == {"taint", "shutdown"}, "the cordon was never ours"


def test_abort_in_the_middle_of_the_drain_undoes_it_and_powers_nothing_off(product: Product) -> None:
    hosts, before = product.hosts, see(product.hosts, NODE)
    stubborn = training("stubborn", Work(node=NODE, gpus=0, lingers=10))
    with working(hosts.api, stubborn):
        options = ("--yes", "--interactive", "evict", "--power-on", "controller", "--no-hold")
        running = product.start("run", "planned", NODE, *options, "--local")
        until(
            lambda: marks_of(hosts.node(NODE)).drained or not running.alive,
            seconds=120,
            what="no taint comes",
            every=0.1,
        )
        running.kill()
        product.run("abort", NODE, "--local").expect(0)
    require_unmoved(hosts, NODE, before)
    record = the_record(hosts.api, NODE)
    assert (record["phase"], record["aborted"]) == ("closed", True)
    assert "see-gpus" in done_steps(record), "the device plugin was evicted as well: its return is seen"
