"""How a node and its machine stand: what must be the same after a maintenance as before, and what must not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.machines import inside
from lab.patience import until
from tests.hosts.product import Product, holder_of, nodes_down, record_of

if TYPE_CHECKING:
    from tests.hosts.conftest import HostsLab

BACK_SECONDS = 120.0
NODES = ("gpu-1", "gpu-2")


@dataclass(frozen=True)
class Standing:
    """A node and its machine at one moment."""

    boot_id: str
    boots: int
    cordoned: bool
    taints: tuple[str, ...]
    owns: str
    gpus: int

    @property
    def drained(self) -> bool:
        """Whether Run:ai's drain taint stands."""
        return "runai=drain:NoExecute" in self.taints

    @property
    def untouched(self) -> bool:
        """Whether nothing stands on the node that a downtime sets."""
        return not (self.cordoned or self.taints or self.owns)


def see(hosts: HostsLab, node: str) -> Standing:
    """Look at a node whose machine is on."""
    found = hosts.node(node)
    taints = (f"{one['key']}={one.get('value', '')}:{one['effect']}" for one in found["spec"].get("taints") or [])
    return Standing(
        boot_id=found["status"]["nodeInfo"]["bootID"],
        boots=boots(hosts, node),
        cordoned=bool(found["spec"].get("unschedulable")),
        taints=tuple(taints),
        owns=found["metadata"]["annotations"].get("runai-downtime/owns", ""),
        gpus=int(found["status"]["allocatable"].get("nvidia.com/gpu", "0")),
    )


def boots(hosts: HostsLab, node: str) -> int:
    """How often the machine has booted, by its own journal."""
    listed = inside(hosts.lab, hosts.machine(node), "journalctl", "--list-boots", "--no-pager")
    return len(re.findall(r"^ *-?\d+ [0-9a-f]{32} ", listed, re.MULTILINE))


def host_boot_id(hosts: HostsLab, node: str) -> str:
    """The boot id that the machine itself tells."""
    return hosts.ssh(node, "cat", "/proc/sys/kernel/random/boot_id").stdout.strip()


def require_cycled_once(hosts: HostsLab, node: str, before: Standing) -> None:
    """The machine was down and up exactly once, and the node is otherwise as it was."""
    now = see(hosts, node)
    assert now.boots == before.boots + 1, f"{now.boots - before.boots} boots instead of one"
    assert now.boot_id != before.boot_id
    assert now.boot_id == host_boot_id(hosts, node)
    require_same_marks(hosts, node, before)


def require_unmoved(hosts: HostsLab, node: str, before: Standing) -> None:
    """The machine was never off, and the node is as it was."""
    now = see(hosts, node)
    assert (now.boots, now.boot_id) == (before.boots, before.boot_id)
    require_same_marks(hosts, node, before)


def require_same_marks(hosts: HostsLab, node: str, before: Standing) -> None:
    """Nothing of a downtime is left on the node or in the cluster, and nothing that was there before is gone."""
    now = see(hosts, node)
    assert (now.cordoned, now.taints, now.owns, now.gpus) == (
        before.cordoned,
        before.taints,
        before.owns,
        before.gpus,
    )
    assert node not in nodes_down(hosts.api)
    assert holder_of(hosts.api, node) == ""


def at_rest(hosts: HostsLab, node: str) -> bool:
    """Whether the node is in service: Ready, nothing of a downtime on it, all GPUs there."""
    found = hosts.node(node)
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in found["status"]["conditions"])
    gpus = int(found["status"]["allocatable"].get("nvidia.com/gpu", "0"))
    marks = found["spec"].get("unschedulable") or found["spec"].get("taints")
    marks = marks or "runai-downtime/owns" in found["metadata"]["annotations"]
    return ready and not marks and gpus == 4


@contextmanager
def put_right(product: Product) -> Iterator[Product]:
    """The product on a whole lab; what a failed test leaves half-way is backed out of, so that the next finds one."""
    hosts = product.hosts
    for node in NODES:
        until(lambda name=node: at_rest(hosts, name), seconds=BACK_SECONDS, what=f"{node} is not in service")  # type: ignore[misc]
    try:
        yield product
    finally:
        product.end()
        for node in NODES:
            _back_out(product, node)


def _back_out(product: Product, node: str) -> None:
    hosts = product.hosts
    if hosts.power(node, "status") == "off":
        hosts.power(node, "on")
    left = record_of(hosts.api, node)
    if left is not None and left["phase"] != "closed":
        product.run("abort", node, "--local")
