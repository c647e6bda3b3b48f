"""Simulated hosts behave as machines do: over SSH, with power, and with their GPUs."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable

import paramiko
import pytest

from lab.api import JSON, Api
from lab.errors import LabError
from lab.layout import Lab
from lab.patience import until
from lab.pki import ssh_pair
from lab.power import power
from lab.runai.workloads import Work, training
from lab.simulated.control import request
from lab.simulated.host import Host
from lab.simulated.machine import BOOT_SECONDS
from lab.simulated.node_objects import heartbeat
from lab.simulated.ssh_server import load_key
from tests.control_plane.conftest import MakeNode, MakeObject

GPU = "nvidia.com/gpu"
DRAIN = {"key": "runai", "value": "drain", "effect": "NoExecute"}


def connect(lab: Lab, host: Host, user: str = "ops", key: paramiko.PKey | None = None) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.load_host_keys(str(lab.known_hosts))
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    mine = key or load_key(lab.ssh_key.read_text())
    client.connect(
        host.address, host.port, user, pkey=mine, timeout=5, look_for_keys=False, allow_agent=False, banner_timeout=5
    )
    return client


def execute(lab: Lab, host: Host, command: str) -> tuple[int, str]:
    """Run a command on a host; returns exit status and what it printed."""
    with connect(lab, host) as client:
        _, output, errors = client.exec_command(command, timeout=10)
        text = output.read().decode() + errors.read().decode()
        return output.channel.recv_exit_status(), text.strip()


def node(api: Api, host: Host) -> JSON:
    return api.get(f"/api/v1/nodes/{host.node}")


def ready(api: Api, host: Host) -> str:
    return next(str(c["status"]) for c in node(api, host)["status"]["conditions"] if c["type"] == "Ready")


def gpus(api: Api, host: Host) -> int:
    return int(node(api, host)["status"]["allocatable"].get(GPU, "0"))


def boot_id(api: Api, host: Host) -> str:
    return str(node(api, host)["status"]["nodeInfo"]["bootID"])


def taint(api: Api, host: Host, *taints: JSON) -> None:
    api.patch(f"/api/v1/nodes/{host.node}", {"spec": {"taints": list(taints)}})


def refused(lab: Lab, host: Host) -> bool:
    try:
        connect(lab, host).close()
    except (OSError, EOFError, paramiko.SSHException):
        return True
    return False


def soon(probe: Callable[[], bool], what: str, seconds: float = 15) -> None:
    until(probe, seconds=seconds, what=f"still waiting for {what}")


def test_host_answers_with_the_nodes_boot_id(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    host = make_node(hostname="rack-7-slot-3")
    assert execute(lab, host, "cat /proc/sys/kernel/random/boot_id") == (0, boot_id(lab_api, host))
    assert execute(lab, host, "cat /etc/machine-id") == (0, node(lab_api, host)["status"]["nodeInfo"]["machineID"])
    assert execute(lab, host, "hostname") == (0, "rack-7-slot-3")
    assert execute(lab, host, "sudo -S -p 'password: ' true") == (0, "")
    assert execute(lab, host, "sudo -n -- nvidia-smi -L")[1].count("GPU ") == 8
    assert execute(lab, host, "no-such-program")[0] == 127
    assert execute(lab, host, "systemctl poweroff")[0] == 1, "only root powers off"


def test_host_removed_while_it_boots_gives_its_address_back(lab: Lab, make_node: MakeNode) -> None:
    host = make_node()
    power(lab, host.node, "off")
    power(lab, host.node, "on")
    request(lab, do="remove", node=host.node)
    bound_again = []

    def seen_after_the_boot() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            bound_again.append(probe.connect_ex((host.address, host.port)) == 0)
        return len(bound_again) > 10

    until(seen_after_the_boot, seconds=30, what="the boot to be over", every=2 * BOOT_SECONDS / 10)
    assert not any(bound_again)


def test_only_ops_with_the_labs_key_gets_in(lab: Lab, make_node: MakeNode) -> None:
    host = make_node()
    with pytest.raises(paramiko.AuthenticationException):
        connect(lab, host, user="root")
    with pytest.raises(paramiko.AuthenticationException):
        connect(lab, host, key=load_key(ssh_pair()[0]))


def test_power_cycle_changes_the_boot_id_and_the_node_is_not_ready_between(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    host = make_node()
    before = boot_id(lab_api, host)
    assert execute(lab, host, "sudo -n systemctl poweroff") == (0, "")
    soon(lambda: power(lab, host.node, "status") == "off", "the machine to be off", 5)
    assert refused(lab, host)
    assert ready(lab_api, host) == "True", "nobody knows yet"
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{host.node}"
    soon(lambda: ready(lab_api, host) == "Unknown", "the node to be NotReady", 30)
    renewed = lab_api.get(lease)["spec"]["renewTime"]
    switched_on = time.time()
    assert power(lab, host.node, "on") == "on"
    soon(lambda: ready(lab_api, host) == "True", "the node to be Ready")
    assert boot_id(lab_api, host) != before
    assert heartbeat(node(lab_api, host)) >= int(switched_on)
    assert execute(lab, host, "cat /proc/sys/kernel/random/boot_id") == (0, boot_id(lab_api, host))
    soon(lambda: lab_api.get(lease)["spec"]["renewTime"] > renewed, "the lease to be renewed")


def test_gpus_are_gone_while_the_drain_taint_stands_and_back_after_it(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    host = make_node()
    assert gpus(lab_api, host) == 8
    taint(lab_api, host, DRAIN)
    soon(lambda: gpus(lab_api, host) == 0, "the plugin to be evicted", 5)
    power(lab, host.node, "reset")
    soon(lambda: boot_id(lab_api, host) != host.boot_id, "the new boot")
    assert gpus(lab_api, host) == 0
    taint(lab_api, host)
    soon(lambda: gpus(lab_api, host) == 8, "the plugin to register", 6)


def test_pods_that_stayed_are_ready_again_when_the_node_is_back(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    host = make_node()
    pods = f"/api/v1/pods?fieldSelector=spec.nodeName={host.node}&labelSelector=app=node-agent"

    def states() -> list[str]:
        conditions = [c for pod in lab_api.items(pods) for c in pod["status"].get("conditions", [])]
        return [str(c["status"]) for c in conditions if c["type"] == "Ready"]

    soon(lambda: states() == ["True"], "the agent to run")
    power(lab, host.node, "off")
    soon(lambda: states() == ["False"], "the agent to be marked as not ready", 30)
    power(lab, host.node, "on")
    soon(lambda: states() == ["True"], "the agent to be ready again")


def test_pods_of_a_dead_node_stay_terminating_until_it_is_back(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    host = make_node()
    make_object(training("doomed", Work(node=host.node)))
    pods = f"/api/v1/pods?fieldSelector=spec.nodeName={host.node}&labelSelector=release=doomed"
    soon(lambda: [p["status"]["phase"] for p in lab_api.items(pods)] == ["Running"], "the pod to run")
    power(lab, host.node, "off")
    soon(lambda: ready(lab_api, host) == "Unknown", "the node to be NotReady", 30)
    taint(lab_api, host, DRAIN)
    soon(lambda: all(p["metadata"].get("deletionTimestamp") for p in lab_api.items(pods)), "the eviction")
    assert lab_api.items(pods), "nobody confirms the end of a pod on a dead node"
    power(lab, host.node, "on")
    soon(lambda: not lab_api.items(pods), "the pod to be gone")


@pytest.mark.parametrize(
    ("fault", "command", "expected"),
    [
        ("sudo-refused", "sudo -n true", (1, "sudo: a password is required")),
        ("other-machine", "cat /etc/machine-id", (0, "0123456789abcdef0123456789abcdef")),
        ("poweroff-ignored", "sudo -n systemctl poweroff", (0, "")),
    ],
)
def test_fault_shows_over_ssh_and_ends_when_cleared(
    lab: Lab, make_node: MakeNode, fault: str, command: str, expected: tuple[int, str]
) -> None:
    host = make_node()
    request(lab, do="fault", node=host.node, fault=fault, present=True)
    assert execute(lab, host, command) == expected
    request(lab, do="fault", node=host.node, fault=fault, present=False)
    if fault != "poweroff-ignored":
        assert execute(lab, host, command) != expected
    assert power(lab, host.node, "status") == "on"


def test_changed_host_key_is_noticed(lab: Lab, make_node: MakeNode) -> None:
    host = make_node()
    request(lab, do="fault", node=host.node, fault="host-key-changed", present=True)
    with pytest.raises(paramiko.BadHostKeyException):
        connect(lab, host)


@pytest.mark.parametrize("fault", ["ssh-refused", "ssh-hangs", "never-boots"])
def test_host_that_does_not_answer(lab: Lab, make_node: MakeNode, fault: str) -> None:
    host = make_node()
    request(lab, do="fault", node=host.node, fault=fault, present=True)
    assert refused(lab, host)
    request(lab, do="fault", node=host.node, fault=fault, present=False)
    assert execute(lab, host, "sudo -n true") == (0, "")


def test_same_boot_id_after_a_cycle_and_a_lost_gpu(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    host = make_node()
    for fault in ("same-boot-id", "gpu-lost"):
        request(lab, do="fault", node=host.node, fault=fault, present=True)
    soon(lambda: gpus(lab_api, host) == 7, "the loss of a GPU", 5)
    power(lab, host.node, "off")
    soon(lambda: ready(lab_api, host) == "Unknown", "the node to be NotReady", 30)
    power(lab, host.node, "on")
    soon(lambda: ready(lab_api, host) == "True", "the node to be Ready")
    assert boot_id(lab_api, host) == host.boot_id
    soon(lambda: gpus(lab_api, host) == 7, "the remaining GPUs", 6)
    assert node(lab_api, host)["status"]["capacity"][GPU] == "8"


def test_power_program_is_fast_and_works_from_anywhere(lab: Lab, make_node: MakeNode) -> None:
    host = make_node()

    def run(action: str) -> subprocess.CompletedProcess[str]:
        argv = [str(lab.power), host.node, action]
        environment = {"PATH": "/usr/bin:/bin"}
        return subprocess.run(argv, cwd="/", env=environment, capture_output=True, text=True, timeout=10, check=False)

    began = time.monotonic()
    assert run("status").stdout == "on\n"
    assert time.monotonic() - began < 1
    assert run("off").stdout == "off\n"
    assert run("status").stdout == "off\n"
    assert run("on").stdout == "on\n"
    request(lab, do="fault", node=host.node, fault="power-unknown", present=True)
    unknown = run("status")
    assert unknown.returncode == 1
    assert unknown.stdout == ""


def test_power_of_an_unknown_node_is_an_error(lab: Lab) -> None:
    with pytest.raises(LabError, match="no simulated host for node 'nowhere'"):
        power(lab, "nowhere", "off")
