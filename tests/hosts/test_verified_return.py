"""A real host back with a GPU lost: it stays out, and the report names it; somebody else's uncordon lets no work on.

One cycle of one machine, and what has to hold of each part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from lab import gpus
from lab.api import JSON
from lab.patience import until
from lab.runai.workloads import IMAGE, Work, bare_pod
from tests.hosts.conftest import HostsLab
from tests.hosts.product import Ended, Product, the_record
from tests.hosts.standing import Standing, put_right, require_cycled_once, see
from tests.hosts.work import pods_of

NODE = "gpu-2"
HOLDING = ("--yes", "--interactive", "evict", "--power-on", "controller", "--hold", "--local")
SMOKING = {"DOWNTIME_CHECKS__SMOKE_POD": IMAGE, "DOWNTIME_CHECKS__SMOKE_SECONDS": "60"}


@contextmanager
def faulty(hosts: HostsLab, *names: str) -> Iterator[None]:
    """The node's machine with these faults of its GPUs; afterwards without."""
    try:
        for name in names:
            gpus.fault(hosts.lab, NODE, name, present=True)
        yield
    finally:
        for name in names:
            gpus.fault(hosts.lab, NODE, name, present=False)


def lost(hosts: HostsLab) -> str:
    """The GPU that the lab loses, as a report names it."""
    device = gpus.truth(hosts.lab.name, NODE, ())["devices"][gpus.BROKEN]
    return f"GPU {gpus.BROKEN} ({device['uuid']}, PCI {device['pci']})"


def left_over(hosts: HostsLab) -> list[str]:
    """The pods of this product that are there."""
    return [pod["metadata"]["name"] for pod in hosts.api.items("/api/v1/namespaces/runai-downtime/pods")]


def timeline(hosts: HostsLab) -> list[str]:
    return [one["text"] for one in the_record(hosts.api, NODE)["timeline"]]


@dataclass(frozen=True)
class Return:
    """What was seen of a return: without a GPU; with all, of which none can be used; with all."""

    before: Standing
    without: Ended
    stood: Standing
    placed: bool
    timeline: list[str]
    unusable: Ended
    stood_still: Standing
    mended: Ended
    record: JSON
    left: list[str]


@pytest.fixture(scope="module")
def returned(hosts_lab: HostsLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Return]:
    made = Product(hosts_lab, tmp_path_factory.mktemp("returned"))
    with put_right(made) as product:
        yield came_back(product)


def came_back(product: Product) -> Return:
    hosts, before = product.hosts, see(product.hosts, NODE)
    product.run("run", "planned", NODE, *HOLDING).expect(4)
    with faulty(hosts, "gpu-lost"):
        running = product.configured(DOWNTIME_DRAIN__GPU_MINUTES="0.3").start("resume", NODE, "--local")
        uncordon_while_gpus_are_waited_for(hosts)
        pod = bare_pod("too-early", Work(node=NODE, gpus=1))
        hosts.api.create("/api/v1/namespaces/runai-team-a/pods", pod)
        without, stood, told = running.wait(), see(hosts, NODE), timeline(hosts)
        placed = any(one["spec"].get("nodeName") for one in pods_of(hosts.api, pod))
        hosts.api.delete("/api/v1/namespaces/runai-team-a/pods/too-early")
    with faulty(hosts, "gpu-fails"):
        unusable = product.configured(**SMOKING).run("resume", NODE, "--local")
        stood_still = see(hosts, NODE)
    mended = product.configured(**SMOKING).run("resume", NODE, "--local")
    record = the_record(hosts.api, NODE)
    return Return(before, without, stood, placed, told, unusable, stood_still, mended, record, left_over(hosts))


def uncordon_while_gpus_are_waited_for(hosts: HostsLab) -> None:
    """What the GPU operator's driver manager does; and see the cordon stand again."""

    def waiting() -> bool:
        return "see-gpus" in the_record(hosts.api, NODE)["steps"]

    until(waiting, seconds=240, what="it does not come to its GPUs", every=0.1)
    hosts.api.patch(f"/api/v1/nodes/{NODE}", {"spec": {"unschedulable": None}})
    until(lambda: see(hosts, NODE).cordoned, seconds=10, what="the cordon does not stand again", every=0.05)


def test_lost_gpu_keeps_the_node_out_and_the_report_says_which(returned: Return, hosts_lab: HostsLab) -> None:
    returned.without.expect(1)
    assert "only 3 of 4 nvidia.com/gpu can be allocated. It stays cordoned" in returned.without.err
    assert f"nvidia-smi lists 3 of 4 GPUs; missing: {lost(hosts_lab)}" in returned.without.err
    assert (returned.stood.cordoned, returned.stood.drained, returned.stood.gpus) == (True, False, 3)


def test_uncordon_by_somebody_else_is_undone_and_said_and_no_work_comes(returned: Return) -> None:
    again = f"{NODE} was uncordoned by somebody else before its GPUs were seen: it was cordoned again"
    assert again in returned.timeline
    assert not returned.placed


def test_smoke_pod_that_cannot_use_its_gpu_keeps_the_node_out_in_its_own_words(returned: Return) -> None:
    returned.unusable.expect(1)
    said = "a pod that asks for one nvidia.com/gpu failed: exit code 15, Unable to determine the device handle for GPU0"
    assert said in returned.unusable.err
    assert (returned.stood_still.cordoned, returned.stood_still.gpus) == (True, 4)


def test_mended_node_returns_by_resume_and_no_pod_of_ours_is_left(returned: Return, hosts_lab: HostsLab) -> None:
    returned.mended.expect(0)
    require_cycled_once(hosts_lab, NODE, returned.before)
    proof = returned.record["steps"]["see-gpus"]["proof"]
    for part in ("allocatable as recorded: 4", "nvidia-smi lists 4 GPUs", "no Xid error", "could use it"):
        assert part in proof
    assert returned.left == []
