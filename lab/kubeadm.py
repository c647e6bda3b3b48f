"""A real cluster on the lab's machines: ``kubeadm init`` and ``kubeadm join`` with the settings that it needs here.

Add-ons are left out: workloads of the lab need neither cluster DNS nor services, and both cost seconds and memory.
Failures are noticed within seconds instead of a minute (leases of 8 s; a grace period of 8 s), for the tests' sake:
measured, a node is NotReady 7 to 10 s after a power cut. A lab with ``default_detection`` has Kubernetes' own settings.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lab import state
from lab.archive import ETCD_TAG, REPOSITORY
from lab.binaries import KUBERNETES_VERSION
from lab.errors import LabError
from lab.layout import Lab
from lab.machines import Machine, copy_out, inside, settings_of
from lab.state import write_atomically

API = "kubeadm.k8s.io/v1beta4"
INIT_SECONDS = 180.0
JOIN_SECONDS = 120.0

LABELS = {
    "control-plane": {},
    "gpu-worker": {"node-role.kubernetes.io/runai-gpu-worker": "true"},
    "system": {"node-role.kubernetes.io/runai-system": "true"},
}

FAST = {"kube-api-qps": "200", "kube-api-burst": "400"}
"""By default the controllers are throttled so much that their start alone takes 4 s (measured)."""

DETECTION = {"node-monitor-grace-period": "8s", "node-monitor-period": "1s"}
KUBELET_DETECTION: Mapping[str, Any] = {
    "nodeStatusUpdateFrequency": "2s",
    "nodeStatusReportFrequency": "5s",
    "nodeLeaseDurationSeconds": 8,
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
    "syncFrequency": "10s",
    "fileCheckFrequency": "2s",
    "shutdownGracePeriod": "0s",
}


def new_token() -> str:
    """A bootstrap token, as kubeadm wants it: ``[a-z0-9]{6}.[a-z0-9]{16}``."""
    return f"{secrets.token_hex(3)}.{secrets.token_hex(8)}"


def init(lab: Lab, master: Machine, masters: Sequence[Machine], token: str) -> None:
    """Make the cluster on its first machine, and write the lab's kubeconfig. Raises LabError."""
    alone = {"leader-elect": "false"} if len(masters) == 1 else {}
    slow = state.read(lab)["spec"]["default_detection"]
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
            "etcd": {"local": {"imageTag": ETCD_TAG, "extraArgs": _flags({"unsafe-no-fsync": "true"})}},
            "apiServer": {"certSANs": sorted(names)},
            "controllerManager": {"extraArgs": _flags({**FAST, **alone, **({} if slow else DETECTION)})},
            "scheduler": {"extraArgs": _flags({**FAST, **alone})},
        },
        {**KUBELET, **({} if slow else KUBELET_DETECTION)},
    ]
    _kubeadm(lab, master, "init", documents, INIT_SECONDS)
    copy_out(lab, master, "/etc/kubernetes/admin.conf", lab.kubeconfig)


def join(lab: Lab, machine: Machine, token: str) -> None:
    """Let a machine join the cluster. Raises LabError.

    It learns of the cluster from a file: discovery by token waits until the controllers, just started, have signed the
    cluster's public information, which takes 10 s (measured).
    """
    clusters = yaml.safe_load(lab.kubeconfig.read_text())["clusters"]
    context = {"name": "lab", "context": {"cluster": clusters[0]["name"], "user": "nobody"}}
    information = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [context],
        "current-context": "lab",
    }
    write_atomically(settings_of(lab, machine) / "cluster.conf", json.dumps(information))
    document = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": "/etc/lab/cluster.conf"}, "tlsBootstrapToken": token},
        "nodeRegistration": _registration(machine),
    }
    _kubeadm(lab, machine, "join", [document], JOIN_SECONDS)


def forget_token(lab: Lab, master: Machine, token: str) -> None:
    """Delete the token that the machines joined with: none outlives the lab's making."""
    inside(lab, master, "kubeadm", "token", "delete", token.split(".", maxsplit=1)[0])


def _flags(flags: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [{"name": name, "value": value} for name, value in flags.items()]


def _registration(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.node,
        "criSocket": "unix:///run/containerd/containerd.sock",
        "imagePullPolicy": "Never",
    }


def _kubeadm(lab: Lab, machine: Machine, verb: str, documents: list[Mapping[str, Any]], timeout: float) -> None:
    """The configuration goes through standard input: it holds a token, which no file or command line should show."""
    text = "\n---\n".join(json.dumps(document) for document in documents)
    aloud = 'exec "$@" >&2'  # into the log as it comes, so that a failure shows what it hung on
    arguments = ["kubeadm", verb, "--config", "/dev/stdin"]
    try:
        inside(lab, machine, "sh", "-c", aloud, "sh", *arguments, timeout=timeout, stdin=text, what=f"kubeadm {verb}")
    except LabError as error:
        raise LabError(f"{error}\n{_why(lab, machine)}") from error


def _why(lab: Lab, machine: Machine) -> str:
    """What the kubelet said last: kubeadm itself only says that it waited for it in vain."""
    try:
        said = inside(lab, machine, "journalctl", "--no-pager", "-u", "kubelet", "-p", "err", "-n", "20", "-o", "cat")
        more = inside(lab, machine, "journalctl", "--no-pager", "-u", "kubelet", "-n", "200", "-o", "cat")
    except LabError as error:
        return f"and its kubelet's log can't be read: {error}"
    errors = [line[:300] for line in (said + more).splitlines() if line.startswith(("E", "F", "Error", "kubelet."))]
    return "\n".join(["last errors of its kubelet:", *(f"    {line}" for line in errors[-6:])])
