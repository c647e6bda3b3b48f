"""Labs with hosts come and go: beside each other, with other host names, killed half-way, or failing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import hosts, state
from lab.api import Api
from lab.layout import PROJECT, Lab
from lab.network import FORWARDING
from lab.patience import until
from lab.progress import Progress
from lab.spec import Spec
from tests.hosts.conftest import DOWN_SECONDS, HostsLab, lab_command, need_root
from tests.hosts.product import EVICTING, Product
from tests.hosts.standing import require_cycled_once, see
from tests.hosts.traces import Traces, podman

FAILING_PODMAN = """\
#!/bin/sh
case "$*" in *"kubeadm init"*) echo "the disk is made of cheese" >&2; exit 1 ;; esac
exec {podman} "$@"
"""


@pytest.fixture(scope="module")
def second_lab(hosts_lab: HostsLab) -> Iterator[HostsLab]:
    """A smaller lab beside the first, whose host gpu-1 calls itself otherwise."""
    name = f"second-{os.getpid()}"
    lab = Lab(name)
    try:
        hosts.up(lab, Spec(name=name, workers=1), Progress(), host_names={"gpu-1": "rack7-gpu-1"})
        yield HostsLab(lab, Api(lab.kubeconfig))
    finally:
        hosts.down(lab)


def test_two_labs_share_no_address_and_know_nothing_of_each_other(hosts_lab: HostsLab, second_lab: HostsLab) -> None:
    subnets = [state.read(each.lab)["subnet"] for each in (hosts_lab, second_lab)]
    assert len(set(subnets)) == 2
    assert len(hosts_lab.api.items("/api/v1/nodes")) == 4
    assert len(second_lab.api.items("/api/v1/nodes")) == 3
    other = hosts_lab.machine("master-1").address
    assert second_lab.ssh("gpu-1", f"timeout 20 bash -c '</dev/tcp/{other}/6443'").returncode != 0


def test_a_host_may_call_itself_otherwise_than_its_node(second_lab: HostsLab) -> None:
    assert second_lab.ssh("gpu-1", "hostname").stdout.strip() == "rack7-gpu-1"
    seen = second_lab.ssh("gpu-1", "cat", "/proc/sys/kernel/random/boot_id").stdout.strip()
    assert second_lab.node("gpu-1")["status"]["nodeInfo"]["bootID"] == seen
    assert second_lab.power("gpu-1", "status") == "on"


def test_maintenance_of_a_host_that_calls_itself_otherwise(second_lab: HostsLab, tmp_path: Path) -> None:
    """And of the only GPU worker: what ran there has nowhere to go, and waits."""
    before = see(second_lab, "gpu-1")
    Product(second_lab, tmp_path).run("run", "planned", "gpu-1", *EVICTING, "--local").expect(0)
    require_cycled_once(second_lab, "gpu-1", before)


def test_down_leaves_nothing_and_the_other_lab_goes_on(hosts_lab: HostsLab, second_lab: HostsLab) -> None:
    forwarding = FORWARDING.read_text()
    traces = Traces(second_lab.lab)
    traces.note()
    assert len(traces.left()) > 10
    hosts.down(second_lab.lab)
    assert traces.left() == []
    hosts.down(second_lab.lab)
    assert hosts_lab.ssh("gpu-1", "true").returncode == 0
    assert len(hosts_lab.api.items("/api/v1/nodes")) == 4
    assert FORWARDING.read_text() == forwarding


@pytest.mark.parametrize("moment", ["as machines are made", "in kubeadm init, and its state is damaged"])
def test_an_up_that_was_killed_is_taken_down_wholly(moment: str) -> None:
    need_root()
    lab = Lab(f"killed-{os.getpid()}")
    traces = Traces(lab)
    forwarding = FORWARDING.read_text()
    up = subprocess.Popen(
        [sys.executable, "-m", "lab", "up", "--name", lab.name, "--workers", "1"], cwd=PROJECT, start_new_session=True
    )

    def come() -> bool:
        assert up.poll() is None, "up has ended too early"
        if moment == "as machines are made":
            return bool(state.read(lab).get("machines"))
        log = lab.logs / "master-1.log"
        return log.exists() and "[kubelet-start]" in log.read_text()

    try:
        until(come, seconds=600, what=f"up was not seen {moment}", every=0.05)
        up.kill()
        up.wait(timeout=10)
        traces.note()
        if "damaged" in moment:
            lab.state.write_text('{"kind": "ho')
        assert lab_command("down", "--name", lab.name, timeout=DOWN_SECONDS).returncode == 0
        assert traces.left() == []
        assert FORWARDING.read_text() == forwarding
    finally:
        up.kill()
        up.wait(timeout=10)
        hosts.down(lab)


def test_an_up_that_fails_says_what_failed_and_takes_itself_down(tmp_path: Path) -> None:
    need_root()
    lab = Lab(f"failed-{os.getpid()}")
    real = subprocess.run(["sh", "-c", "command -v podman"], capture_output=True, text=True, timeout=10, check=True)
    broken = tmp_path / "podman"
    broken.write_text(FAILING_PODMAN.format(podman=real.stdout.strip()))
    broken.chmod(0o755)
    try:
        up = subprocess.run(
            [sys.executable, "-m", "lab", "up", "--name", lab.name, "--workers", "1"],
            cwd=PROJECT,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert up.returncode == 1
        assert "kubeadm init on master-1" in up.stderr
        assert "the disk is made of cheese" in up.stderr
        assert "Traceback" not in up.stderr
        assert Traces(lab).left() == []
    finally:
        lab_command("down", "--name", lab.name, timeout=DOWN_SECONDS)


def test_a_lab_without_name_in_the_store_is_no_error_to_take_down() -> None:
    need_root()
    hosts.down(Lab(f"never-{os.getpid()}"))
    assert f"never-{os.getpid()}" not in podman("network", "ls", "-q")
