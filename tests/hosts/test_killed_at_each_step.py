"""A process that dies at any step of a maintenance of a real host: another one goes on, and ends in the same state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.control_plane.killing_proxy import Relay, relay
from tests.hosts.killing import Moment, killed_at
from tests.hosts.product import EVICTING, STEPS, Product, done_steps, holder_of, the_record
from tests.hosts.standing import host_boot_id, require_cycled_once, see

NODE = "gpu-2"
MOST_DANGEROUS = (
    Moment("taint", "done"),  # tainted, and only the Node knows
    Moment("see-gone", "done"),
    Moment("shut-down", "told"),  # the record says that it is shut down, and it is not
    Moment("shut-down", "done"),  # it is, and the record does not say so
    Moment("see-off", "done"),
    Moment("power-on", "done"),  # switched on, and the record says that it is off
    Moment("untaint", "done"),
    Moment("uncordon", "done"),  # in service, and the record says that it is not
    Moment("close", "done"),  # nothing is left but an open record
)
HOLDING = ("--yes", "--interactive", "evict", "--power-on", "controller", "--hold")
# Steps that look and find all well are only written down as done: a machine may be off when it is first looked at.
NEVER_INTENDED = ("recovery-gate", "approve-workloads", "see-off", "see-service")
ONE_BY_ONE = (
    *(Moment(step, "intended") for step in STEPS if step not in NEVER_INTENDED),
    *(Moment(step, "done") for step in STEPS if step != "recovery-gate"),
    Moment("shut-down", "told"),
)


@pytest.fixture(scope="module")
def proxies() -> Iterator[Relay]:
    with relay() as made:
        yield made


def test_nine_deaths_in_one_maintenance_and_the_machine_was_down_once(product: Product, proxies: Relay) -> None:
    """The machine is worked on meanwhile: the run waits for a person, and the next command is that person's word."""
    hosts, before = product.hosts, see(product.hosts, NODE)
    first, *others = MOST_DANGEROUS
    killed_at(product, proxies, NODE, first, "run", "planned", NODE, *HOLDING, "--local")
    opened = the_record(hosts.api, NODE)
    assert holder_of(hosts.api, NODE), "a dead process can't have given its lock back"
    for moment in others:
        killed_at(product, proxies, NODE, moment, "resume", NODE, "--local")
        if moment == Moment("shut-down", "told"):
            assert host_boot_id(hosts, NODE) == before.boot_id, "it was killed before it told the machine anything"
        if moment == Moment("see-off", "done"):
            assert hosts.power(NODE, "status") == "off"
            product.run("resume", NODE, "--local").expect(4)
            assert hosts.power(NODE, "status") == "off", "switched on while a person works on it"
    product.run("resume", NODE, "--local").expect(0)
    at = STEPS.index("power-on")
    require_as_if_undisturbed(product, opened["id"], (*STEPS[:at], "approve-return", *STEPS[at:]))
    require_cycled_once(hosts, NODE, before)
    assert the_record(hosts.api, NODE)["epoch"] == opened["epoch"] + len(MOST_DANGEROUS) + 1


@pytest.mark.long
@pytest.mark.parametrize("moment", ONE_BY_ONE, ids=str)
def test_killed_at_a_step_and_taken_up_by_another_process(product: Product, proxies: Relay, moment: Moment) -> None:
    before = see(product.hosts, NODE)
    killed_at(product, proxies, NODE, moment, "run", "planned", NODE, *EVICTING, "--local")
    opened = the_record(product.hosts.api, NODE)
    product.run("resume", NODE, "--local").expect(0)
    require_as_if_undisturbed(product, opened["id"])
    require_cycled_once(product.hosts, NODE, before)


@pytest.mark.long
@pytest.mark.parametrize("moment", ONE_BY_ONE, ids=str)
def test_killed_at_a_step_and_backed_out_of(product: Product, proxies: Relay, moment: Moment) -> None:
    before = see(product.hosts, NODE)
    killed_at(product, proxies, NODE, moment, "run", "planned", NODE, *EVICTING, "--local")
    told = any(change["what"] == "shutdown" for change in the_record(product.hosts.api, NODE)["changes"])
    # Whether the shutdown was sent is not known: the machine is given this long to go off.
    product.configured(DOWNTIME_DRAIN__OFF_MINUTES="0.5").run("abort", NODE, "--local").expect(0)
    closed = the_record(product.hosts.api, NODE)
    assert (closed["phase"], closed["aborted"]) == ("closed", True)
    after = see(product.hosts, NODE)
    assert (after.cordoned, after.taints, after.owns, after.gpus) == (
        before.cordoned,
        before.taints,
        before.owns,
        before.gpus,
    )
    # A machine that was to be shut down but never told is left as it is; one that was told was down once.
    assert after.boots - before.boots == (1 if told and moment.state != "told" else 0)


def require_as_if_undisturbed(product: Product, record_id: str, steps: tuple[str, ...] = STEPS) -> None:
    """The record is the one that was opened, closed, with every step done once and in order, and nothing standing."""
    record = the_record(product.hosts.api, NODE)
    assert record["id"] == record_id
    assert record["phase"] == "closed"
    assert not record["aborted"]
    assert done_steps(record) == list(steps)
    assert {change["what"]: change["state"] for change in record["changes"]} == {
        "cordon": "undone",
        "taint": "undone",
        "shutdown": "undone",
    }
    lines = [moment["text"] for moment in record["timeline"]]
    # The gate was passed before there was a record whose timeline could tell of it.
    for step in steps[1:]:
        assert sum(line.startswith(f"{step}: done") for line in lines) == 1, f"{step}: {lines}"
