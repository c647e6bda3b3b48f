"""The GPU device plugin on a real kubelet: it registers again by itself, and a lost GPU shows."""

from __future__ import annotations

from lab.gpus import fault
from lab.patience import until
from tests.hosts.conftest import HostsLab

NODE, GPU = "gpu-2", "nvidia.com/gpu"


def gpus(lab: HostsLab) -> tuple[int, int]:
    """Allocatable and capacity."""
    status = lab.node(NODE)["status"]
    return int(status["allocatable"].get(GPU, "0")), int(status["capacity"].get(GPU, "0"))


def root(lab: HostsLab, *command: str) -> None:
    result = lab.ssh(NODE, "sudo", "-n", *command)
    assert result.returncode == 0, result.stderr


def test_plugin_registers_again_after_the_kubelet_restarted(hosts_lab: HostsLab) -> None:
    until(lambda: gpus(hosts_lab) == (4, 4), seconds=30, what="not all GPUs are there to begin with")
    before = hosts_lab.ssh(NODE, "stat", "-c", "%i-%y", "/var/lib/kubelet/device-plugins/lab-gpu.sock")
    root(hosts_lab, "systemctl", "restart", "kubelet")

    def registered() -> bool:
        after = hosts_lab.ssh(NODE, "stat", "-c", "%i-%y", "/var/lib/kubelet/device-plugins/lab-gpu.sock")
        return after.returncode == 0 and after.stdout != before.stdout

    until(registered, seconds=30, what="the plugin has not made its socket anew")
    until(lambda: gpus(hosts_lab) == (4, 4), seconds=30, what="the GPUs have not come back")


def test_lost_gpu_counts_in_capacity_only(hosts_lab: HostsLab) -> None:
    try:
        fault(hosts_lab.lab, NODE, "gpu-lost", present=True)
        until(lambda: gpus(hosts_lab) == (3, 4), seconds=30, what="the loss of a GPU is not seen")
        assert len(hosts_lab.ssh(NODE, "nvidia-smi", "-L").stdout.splitlines()) == 3, "it reads the same truth"
    finally:
        fault(hosts_lab.lab, NODE, "gpu-lost", present=False)
    until(lambda: gpus(hosts_lab) == (4, 4), seconds=30, what="the GPU has not come back")


def test_only_gpu_workers_have_the_driver_and_its_lines_in_their_kernel_log(hosts_lab: HostsLab) -> None:
    assert hosts_lab.ssh("system-1", "nvidia-smi").returncode == 127
    asked = "--query-gpu=index,uuid,mig.mode.current", "--format=csv,noheader"
    said = hosts_lab.ssh(NODE, "nvidia-smi", *asked).stdout.splitlines()
    assert [line.split(", ")[::2] for line in said] == [[str(number), "Disabled"] for number in range(4)]
    log = {node: hosts_lab.ssh(node, "sudo", "-n", "journalctl", "--dmesg", "--boot") for node in (NODE, "system-1")}
    assert "kernel: NVRM: loading NVIDIA" in log[NODE].stdout
    assert "NVRM" not in log["system-1"].stdout, "the log of the machine below all of them is nobody's"
