"""Planned maintenance of a real host by the command, with Prefect embedded: one cycle, and all that has to hold of it.

While it is under way, a second process tries the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.api import JSON
from lab.patience import until
from lab.runai.workloads import Work, bare_pod, interactive, training
from tests.hosts.conftest import HostsLab
from tests.hosts.product import EVICTING, STEPS, Ended, Product, done_steps, holder_of, record_of, the_record
from tests.hosts.standing import Standing, put_right, require_cycled_once, see
from tests.hosts.watching_nodes import History, Marks, watched
from tests.hosts.work import wait_running, working

NODE = "gpu-1"
# The slow end of this one is the time in which the second process comes.
SLOW = training("slow-to-end", Work(node=NODE, lingers=5, gpus=0))
NOTEBOOK = interactive("pinned-notebook", Work(node=NODE, user="dora", gpus=0))


@dataclass(frozen=True)
class Cycle:
    """One maintenance, and what was seen of it."""

    before: Standing
    ended: Ended
    second: Ended
    holder: str
    history: History
    record: JSON


@pytest.fixture(scope="module")
def cycle(hosts_lab: HostsLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycle]:
    made = Product(hosts_lab, tmp_path_factory.mktemp("maintenance"))
    with put_right(made) as product, working(hosts_lab.api, SLOW, NOTEBOOK):
        yield maintained(product)


def maintained(product: Product) -> Cycle:
    api, before = product.hosts.api, see(product.hosts, NODE)
    old = record_of(api, NODE)

    def tainted() -> bool:
        assert running.alive, running.wait().said
        record = record_of(api, NODE)
        fresh = record is not None and (old is None or record["id"] != old["id"])
        return fresh and record is not None and "taint" in done_steps(record)

    with watched(api, NODE) as history:
        running = product.start("run", "planned", NODE, *EVICTING, "--reason", "firmware")
        until(tainted, seconds=300, what="the drain does not begin", every=0.1)
        holder = holder_of(api, NODE)
        second = product.run("run", "planned", NODE, *EVICTING, "--reason", "firmware", "--local")
        ended = running.wait()
    return Cycle(before, ended, second, holder, history, the_record(api, NODE))


def test_machine_goes_down_once_and_the_node_is_as_it_was(cycle: Cycle, hosts_lab: HostsLab) -> None:
    cycle.ended.expect(0)
    require_cycled_once(hosts_lab, NODE, cycle.before)
    assert len(cycle.history.boot_ids) == 2


def test_cordon_stands_around_the_taint_and_all_that_stands_is_said_to_be_ours(cycle: Cycle) -> None:
    assert cycle.history.lost == ""
    free, cordoned = Marks(False, False, ""), Marks(True, False, "cordon")
    assert cycle.history.marks == [free, cordoned, Marks(True, True, "cordon+taint"), cordoned, free]


def test_record_is_closed_with_every_step_in_the_planners_order(cycle: Cycle) -> None:
    assert cycle.record["phase"] == "closed"
    assert done_steps(cycle.record) == list(STEPS)
    assert all(change["state"] == "undone" for change in cycle.record["changes"])
    assert cycle.record["reason"] == "firmware"
    assert cycle.record["found"]["boot_id"] == cycle.before.boot_id
    assert cycle.record["found"]["gpus"] == {"nvidia.com/gpu": 4}
    planned = [line.split()[1] for line in cycle.ended.out.splitlines() if line.strip()[:1].isdigit() and ". " in line]
    assert planned[: len(STEPS)] == list(STEPS), "the plan that was printed is not what was done"


def test_report_says_where_each_workload_is_now(cycle: Cycle) -> None:
    before = {(one["namespace"], one["name"]) for one in cycle.record["workloads"]}
    assert {("runai-team-a", "slow-to-end"), ("runai-team-a", "pinned-notebook")} <= before
    report = cycle.ended.out[cycle.ended.out.index("What ran on gpu-1") : cycle.ended.out.index("\nSteps\n", 3000)]
    for namespace, name in before:
        line = next(line for line in report.splitlines() if f"{namespace}/{name}" in line)
        assert any(word in line for word in ("runs: on gpu-", "waits", "has finished", "was deleted")), line
    assert "dora" in report


def test_new_work_lands_on_the_node_again(cycle: Cycle, hosts_lab: HostsLab) -> None:
    cycle.ended.expect(0)
    pod = bare_pod("after-maintenance", Work(node=NODE, gpus=1))
    with working(hosts_lab.api, pod):
        assert wait_running(hosts_lab.api, pod) == NODE


def test_second_process_is_refused_while_the_first_acts_and_told_who_that_is(cycle: Cycle) -> None:
    cycle.second.expect(3)
    assert cycle.holder
    assert cycle.holder in cycle.second.err
    assert "is acting on gpu-1 at this moment" in cycle.second.err
    lines = [moment["text"] for moment in cycle.record["timeline"]]
    assert not any(line.startswith("continued") for line in lines)
