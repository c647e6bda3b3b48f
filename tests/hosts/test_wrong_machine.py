"""Configurations that lead to another machine, to none, or to one that does not obey: refused, with nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from lab.machines import inside
from lab.runai.workloads import Work, interactive
from tests.hosts.conftest import HostsLab
from tests.hosts.product import EVICTING, Product, holder_of, record_of, the_record
from tests.hosts.standing import require_unmoved, see
from tests.hosts.work import working

NODE, OTHER = "gpu-1", "gpu-2"
SUDOERS = "/etc/sudoers.d/ops"
# In the lab's network, and no machine's.
NOBODY = 250

Wrong = Callable[[HostsLab, Path], tuple[dict[str, str], AbstractContextManager[None]]]


def addressed_to_another(hosts: HostsLab, _: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    return _address(hosts.machine(OTHER).address), nullcontext()


def addressed_to_nobody(hosts: HostsLab, _: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    return _address(f"{hosts.machine(NODE).address.rsplit('.', 1)[0]}.{NOBODY}"), nullcontext()


def unknown_host_key(hosts: HostsLab, folder: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    mine = hosts.machine(NODE).address
    lines = [line for line in hosts.lab.known_hosts.read_text().splitlines() if line.split()[0] != mine]
    return _known_hosts(folder, lines), nullcontext()


def changed_host_key(hosts: HostsLab, folder: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    mine, other = hosts.machine(NODE).address, hosts.machine(OTHER).address
    keys = dict(line.split(" ", 1) for line in hosts.lab.known_hosts.read_text().splitlines())
    return _known_hosts(folder, [f"{mine} {keys[other]}"]), nullcontext()


def sudo_for_other_commands_only(hosts: HostsLab, _: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    return {}, sudoers(hosts, "ops ALL=(ALL) NOPASSWD: /usr/bin/true\n")


def sudo_that_asks_for_a_password(hosts: HostsLab, _: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    return {}, sudoers(hosts, "ops ALL=(ALL) ALL\n")


def power_that_says_nothing(_: HostsLab, __: Path) -> tuple[dict[str, str], AbstractContextManager[None]]:
    return {"DOWNTIME_POWER__COMMAND__STATUS": json.dumps(["true"])}, nullcontext()


def _address(address: str) -> dict[str, str]:
    return {"DOWNTIME_HOSTS__ADDRESSES": json.dumps({NODE: address}), "DOWNTIME_HOSTS__CONNECT_TIMEOUT": "3"}


def _known_hosts(folder: Path, lines: list[str]) -> dict[str, str]:
    path = folder / "known_hosts"
    path.write_text("".join(f"{line}\n" for line in lines))
    return {"DOWNTIME_HOSTS__KNOWN_HOSTS": str(path)}


@contextmanager
def sudoers(hosts: HostsLab, rule: str) -> Iterator[None]:
    """Another rule for the user of the machine of NODE."""
    machine = hosts.machine(NODE)
    before = inside(hosts.lab, machine, "cat", SUDOERS)
    inside(hosts.lab, machine, "tee", SUDOERS, stdin=rule)
    try:
        yield
    finally:
        inside(hosts.lab, machine, "tee", SUDOERS, stdin=before)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (addressed_to_another, "host-identity"),
        (addressed_to_nobody, "host-unreachable"),
        (unknown_host_key, "host-key-unknown"),
        (changed_host_key, "host-key-changed"),
        (sudo_for_other_commands_only, "sudo-refused"),
        (sudo_that_asks_for_a_password, "sudo-refused"),
        (power_that_says_nothing, "power-status-unknown"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_refused_before_anything_changed(product: Product, tmp_path: Path, wrong: Wrong, code: str) -> None:
    hosts = product.hosts
    before, other, old = see(hosts, NODE), see(hosts, OTHER), record_of(hosts.api, NODE)
    variables, circumstances = wrong(hosts, tmp_path)
    with circumstances:
        command = ("run", "planned", NODE, *EVICTING, "--local", "--output", "json")
        error = product.configured(**variables).run(*command).expect(3).document["error"]
    assert error["code"] == code, error
    assert NODE in error["message"]
    assert error["remedy"]
    assert error["changed"] == []
    require_unmoved(hosts, NODE, before)
    require_unmoved(hosts, OTHER, other)
    assert record_of(hosts.api, NODE) == old, "a refused start has written into the record"


def test_configuration_gone_wrong_in_the_middle_touches_no_other_machine(product: Product) -> None:
    """The cordon stands when the address is another machine's: its boot id gives it away before anything is drained."""
    hosts, before, other = product.hosts, see(product.hosts, NODE), see(product.hosts, OTHER)
    notebook = interactive("bystander", Work(node=NODE, gpus=0, user="dora"))
    with working(hosts.api, notebook):
        product.run("run", "planned", NODE, "--yes", "--local").expect(4)
        product.run("decide", NODE, "--interactive", "evict").expect(0)
        wrong = product.configured(**_address(hosts.machine(OTHER).address))
        error = wrong.run("resume", NODE, "--local", "--output", "json").expect(3).document["error"]
        assert error["code"] == "host-identity"
        assert error["changed"] == ["cordon", "taint runai=drain:NoExecute (intended)"]
        assert not see(hosts, NODE).drained
        assert holder_of(hosts.api, NODE) == ""
        assert see(hosts, NODE).cordoned
        require_unmoved(hosts, OTHER, other)
        product.run("abort", NODE, "--local").expect(0)
    require_unmoved(hosts, NODE, before)
    assert the_record(hosts.api, NODE)["aborted"]
