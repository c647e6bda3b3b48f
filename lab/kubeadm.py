"""A real cluster on the lab's machines: ``kubeadm init`` and ``kubeadm join`` with the settings that it needs here.

Add-ons are left out: workloads of the lab need neither cluster DNS nor services, and both cost seconds and memory.
Failures are noticed within seconds instead of a minute (leases of 8 s; a grace period of 8 s), for the tests' sake:
measured, a node is NotReady 7 to 10 s after a power cut.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.archive import ETCD_TAG, REPOSITORY
from lab.binaries import KUBERNETES_VERSION
from lab.errors import LabError
from lab.layout import Lab
from lab.machines import Machine, inside
from lab.state import write_atomically

API = "kubeadm.k8s.io/v1beta4"
INIT_SECONDS = 180.0
JOIN_SECONDS = 120.0

LABELS = {
    "control-plane": {},
    "gpu-worker": {"node-role.kubernetes.io/runai-gpu-worker": "true"},
    "system": {"node-role.kubernetes.io/runai-system": "true"},
}

KUBELET: Mapping[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "cgroupDriver": "cgroupfs",
    "failSwapOn": False,
    "failCgroupV1": False,
    # It can't raise its limits of open files in a container, and takes that as a reason to end otherwise.
    "featureGates": {"KubeletInUserNamespace": True},
    # All hosts share one disk: its being full is no reason to evict from all of them at once.
    "imageGCHighThresholdPercent": 100,
    "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
    "systemReserved": {"cpu": "100m", "memory": "128Mi"},
    "nodeStatusUpdateFrequency": "2s",
    "nodeStatusReportFrequency": "5s",
    "nodeLeaseDurationSeconds": 8,
    "syncFrequency": "10s",
    "fileCheckFrequency": "2s",
    "shutdownGracePeriod": "0s",
}


@dataclass(frozen=True)
class Join:
    """What a machine needs to join."""

    endpoint: str
    token: str
    ca_hash: str


def init(lab: Lab, master: Machine, masters: Iterable[Machine]) -> Join:
    """Make the cluster on its first machine, and write the lab's kubeconfig. Raises LabError."""
    token = f"{secrets.token_hex(3)}.{secrets.token_hex(8)}"
    names = {name for machine in masters for name in (machine.node, machine.host_name, machine.address)}
    documents: list[Mapping[str, Any]] = [
        {
            "apiVersion": API,
            "kind": "InitConfiguration",
            "bootstrapTokens": [{"token": token, "ttl": "15m"}],
            "localAPIEndpoint": {"advertiseAddress": master.address},
            "nodeRegistration": _registration(master),
            "skipPhases": ["addon/coredns", "addon/kube-proxy"],
        },
        {
            "apiVersion": API,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": KUBERNETES_VERSION,
            "imageRepository": REPOSITORY,
            "networking": {"podSubnet": "10.244.0.0/16"},
            "etcd": {"local": {"imageTag": ETCD_TAG, "extraArgs": [{"name": "unsafe-no-fsync", "value": "true"}]}},
            "apiServer": {"certSANs": sorted(names)},
            "controllerManager": {
                "extraArgs": [
                    {"name": "node-monitor-grace-period", "value": "8s"},
                    {"name": "node-monitor-period", "value": "1s"},
                ]
            },
        },
        KUBELET,
    ]
    _kubeadm(lab, master, "init", documents, INIT_SECONDS)
    write_atomically(lab.kubeconfig, inside(lab, master, "cat", "/etc/kubernetes/admin.conf"))
    printed = inside(lab, master, "kubeadm", "token", "create", "--print-join-command", "--ttl", "1s")
    found = re.search(r"kubeadm join (\S+) .*--discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})", printed)
    if found is None:
        raise LabError(f"kubeadm printed no join command: {printed!r}")
    return Join(found[1], token, found[2])


def join(lab: Lab, machine: Machine, how: Join) -> None:
    """Let a machine join the cluster. Raises LabError."""
    bootstrap = {"token": how.token, "apiServerEndpoint": how.endpoint, "caCertHashes": [how.ca_hash]}
    document = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": bootstrap},
        "nodeRegistration": _registration(machine),
    }
    _kubeadm(lab, machine, "join", [document], JOIN_SECONDS)


def forget_token(lab: Lab, master: Machine, how: Join) -> None:
    """Delete the token that the machines joined with: none outlives the lab's making."""
    inside(lab, master, "kubeadm", "token", "delete", how.token.split(".")[0])


def _registration(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.node,
        "criSocket": "unix:///run/containerd/containerd.sock",
        "imagePullPolicy": "Never",
        "ignorePreflightErrors": ["all"],
    }


def _kubeadm(lab: Lab, machine: Machine, verb: str, documents: list[Mapping[str, Any]], timeout: float) -> None:
    """The configuration goes through standard input: it holds a token, which no file or command line should show."""
    text = "\n---\n".join(json.dumps(document) for document in documents)
    aloud = 'exec "$@" >&2'  # into the log as it comes, so that a failure shows what it hung on
    arguments = ["kubeadm", verb, "--config", "/dev/stdin"]
    inside(lab, machine, "sh", "-c", aloud, "sh", *arguments, timeout=timeout, stdin=text, what=f"kubeadm {verb}")
