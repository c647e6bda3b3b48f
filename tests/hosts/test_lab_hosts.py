"""The lab's hosts behave like machines: boot, SSH, power, GPUs; and they are closed off from the world."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab.patience import until
from tests.hosts.conftest import HostsLab
from tests.hosts.traces import podman

BACK_SECONDS = 90.0
TAINT = {"key": "runai", "value": "drain", "effect": "NoExecute"}


def test_each_host_is_a_ready_node_with_ids_of_its_own(hosts_lab: HostsLab) -> None:
    boot_ids, machine_ids = set(), set()
    for name in ("master-1", "gpu-1", "gpu-2", "system-1"):
        node = hosts_lab.node(name)
        assert ready(node)
        info = node["status"]["nodeInfo"]
        seen = hosts_lab.ssh(name, "cat", "/proc/sys/kernel/random/boot_id", "/etc/machine-id", "/etc/hostname").stdout
        boot_id, machine_id, host_name = seen.split()
        assert (info["bootID"], info["machineID"]) == (boot_id, machine_id)
        assert host_name == name
        boot_ids.add(boot_id)
        machine_ids.add(machine_id)
    assert len(boot_ids) == len(machine_ids) == 4
    assert Path("/proc/sys/kernel/random/boot_id").read_text().strip() not in boot_ids


def test_nodes_bear_the_roles_that_run_ai_looks_for(hosts_lab: HostsLab) -> None:
    for name, role in (("gpu-1", "runai-gpu-worker"), ("gpu-2", "runai-gpu-worker"), ("system-1", "runai-system")):
        assert hosts_lab.node(name)["metadata"]["labels"][f"node-role.kubernetes.io/{role}"] == "true"


def test_ops_becomes_root_by_sudo_and_root_may_not_log_in(hosts_lab: HostsLab) -> None:
    assert hosts_lab.ssh("gpu-1", "sudo", "-n", "id", "-u").stdout.strip() == "0"
    refused = hosts_lab.ssh("gpu-1", "true", user="root")
    assert refused.returncode == 255
    assert "Permission denied" in refused.stderr


def test_a_host_key_that_is_not_the_known_one_is_refused(hosts_lab: HostsLab, tmp_path: Path) -> None:
    mine, other = hosts_lab.machine("gpu-1").address, hosts_lab.machine("gpu-2").address
    lines = dict(line.split(" ", 1) for line in hosts_lab.lab.known_hosts.read_text().splitlines())
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"{mine} {lines[other]}\n")
    refused = hosts_lab.ssh("gpu-1", "true", known_hosts=str(wrong))
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_power_off_over_ssh_ends_the_machine_and_power_on_is_a_new_boot_of_the_same(hosts_lab: HostsLab) -> None:
    before = hosts_lab.node("gpu-2")["status"]
    hosts_lab.ssh("gpu-2", "sudo", "-n", "systemctl", "poweroff")
    wait(lambda: hosts_lab.power("gpu-2", "status") == "off", "gpu-2 is not off", seconds=30)
    assert hosts_lab.ssh("gpu-2", "true").returncode == 255

    assert hosts_lab.power("gpu-2", "on") == "on"
    wait_back(hosts_lab, "gpu-2", before["nodeInfo"]["bootID"])
    after = hosts_lab.node("gpu-2")["status"]
    assert after["nodeInfo"]["machineID"] == before["nodeInfo"]["machineID"]
    assert after["addresses"] == before["addresses"]
    seen = hosts_lab.ssh("gpu-2", "cat", "/proc/sys/kernel/random/boot_id")
    assert seen.stdout.strip() == after["nodeInfo"]["bootID"], seen.stderr
    wait(lambda: gpus(hosts_lab, "gpu-2") == 4, "gpu-2 has not got its GPUs back")


def test_a_power_cut_is_noticed_and_the_node_comes_back_by_itself(hosts_lab: HostsLab) -> None:
    before = hosts_lab.node("gpu-2")["status"]["nodeInfo"]["bootID"]
    assert hosts_lab.power("gpu-2", "off") == "off"
    assert hosts_lab.power("gpu-2", "off") == "off"
    wait(lambda: not ready(hosts_lab.node("gpu-2")), "gpu-2 is still Ready without power", seconds=30)
    assert hosts_lab.power("gpu-2", "on") == "on"
    wait_back(hosts_lab, "gpu-2", before)
    between = hosts_lab.node("gpu-2")["status"]["nodeInfo"]["bootID"]
    assert hosts_lab.power("gpu-2", "reset") == "on"
    wait_back(hosts_lab, "gpu-2", between)
    wait(lambda: gpus(hosts_lab, "gpu-2") == 4, "gpu-2 has not got its GPUs back")


def test_the_drain_taint_takes_the_gpus_away_until_it_is_removed(hosts_lab: HostsLab) -> None:
    """The catch-22: while the taint stands, the plugin can't run, so after a boot the GPUs can't be verified."""
    node = hosts_lab.node("gpu-2")
    assert gpus(hosts_lab, "gpu-2") == 4
    try:
        set_taints(hosts_lab, "gpu-2", [TAINT])
        wait(lambda: not plugins(hosts_lab, "gpu-2"), "the device plugin was not evicted")
        hosts_lab.power("gpu-2", "reset")
        wait_back(hosts_lab, "gpu-2", node["status"]["nodeInfo"]["bootID"])
        wait(lambda: gpus(hosts_lab, "gpu-2") == 0, "the GPUs outlive their plugin")
        assert not plugins(hosts_lab, "gpu-2")
    finally:
        set_taints(hosts_lab, "gpu-2", [])
    wait(lambda: gpus(hosts_lab, "gpu-2") == 4, "the GPUs do not come back")


def test_a_host_reaches_its_neighbours_and_nothing_else(hosts_lab: HostsLab) -> None:
    neighbour = hosts_lab.machine("master-1").address
    assert hosts_lab.ssh("gpu-1", f"timeout 10 bash -c '</dev/tcp/{neighbour}/6443'").returncode == 0
    # An address for documentation (RFC 5737), in no network of the world.
    began = time.monotonic()
    beyond = hosts_lab.ssh("gpu-1", "timeout 20 bash -c '</dev/tcp/198.51.100.1/80'")
    assert beyond.returncode == 1, "a packet got out, or nobody said that it can't"
    assert "No route to host" in beyond.stderr
    assert time.monotonic() - began < 15


def test_the_machine_itself_serves_nothing_of_the_lab_and_stays_as_it_was(hosts_lab: HostsLab) -> None:
    """All that listens does so in the hosts' own network namespaces."""
    ours = Path("/proc/self/ns/net").readlink()
    for machine in ("master-1", "gpu-1", "gpu-2", "system-1"):
        container = hosts_lab.machine(machine).container(hosts_lab.lab)
        pid = podman("inspect", "-f", "{{.State.Pid}}", container).strip()
        assert Path(f"/proc/{pid}/ns/net").readlink() != ours
        assert podman("port", container) == ""
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert hosts_lab.machine("gpu-1").address.rsplit(".", 1)[0] not in rules
    seen = hosts_lab.ssh("gpu-1", "sudo sh -c 'echo 4194304 > /proc/sys/kernel/pid_max'")
    assert "Read-only file system" in seen.stderr, "a host can change the kernel settings of this machine"


def ready(node: dict[str, object]) -> bool:
    status = node["status"]
    assert isinstance(status, dict)
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])


def gpus(hosts_lab: HostsLab, node: str) -> int:
    return int(hosts_lab.node(node)["status"]["allocatable"].get("nvidia.com/gpu", "0"))


def plugins(hosts_lab: HostsLab, node: str) -> list[str]:
    pods = hosts_lab.api.items(f"/api/v1/namespaces/gpu-operator/pods?fieldSelector=spec.nodeName={node}")
    return [pod["metadata"]["name"] for pod in pods]


def set_taints(hosts_lab: HostsLab, node: str, taints: list[dict[str, str]]) -> None:
    hosts_lab.api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": taints}})


def wait(so: Callable[[], bool], otherwise: str, seconds: float = BACK_SECONDS) -> None:
    until(so, seconds=seconds, what=otherwise)


def wait_back(hosts_lab: HostsLab, name: str, old_boot_id: str) -> None:
    """Ready alone proves nothing: a node that has just lost its power still is."""

    def back() -> bool:
        node = hosts_lab.node(name)
        return ready(node) and node["status"]["nodeInfo"]["bootID"] != old_boot_id

    wait(back, f"{name} is not back with a new boot id")
