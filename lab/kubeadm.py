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
from lab.api import Api
from lab.archive import ETCD_TAG, REPOSITORY
from lab.binaries import KUBERNETES_VERSION
from lab.errors import LabError
from lab.layout import Lab
from lab.machines import ENDPOINT_NAME, Machine, copy_out, endpoint_of, inside, settings_of
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

ELECTION = {"leader-elect-lease-duration": "6s", "leader-elect-renew-deadline": "4s", "leader-elect-retry-period": "1s"}
"""With the defaults it takes 15 s until another one leads; 27 s until a lost node is noticed (measured)."""

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


def new_certificate_key() -> str:
    """What the control plane's certificates are encrypted with, on their way to the other control-plane hosts."""
    return secrets.token_hex(32)


def init(lab: Lab, masters: Sequence[Machine], token: str, certificate_key: str) -> None:
    """Make the cluster on its first machine, and write the lab's kubeconfig. Raises LabError."""
    slow = state.read(lab)["spec"]["default_detection"]
    master = masters[0]
    endpoint = endpoint_of(masters)
    election = ELECTION if endpoint else {"leader-elect": "false"}
    names = {name for machine in masters for name in (machine.node, machine.host_name, machine.address)}
    names |= {endpoint, ENDPOINT_NAME} if endpoint else set()
    documents: list[Mapping[str, Any]] = [
        {
            "apiVersion": API,
            "kind": "InitConfiguration",
            "bootstrapTokens": [{"token": token, "ttl": "15m"}],
            "localAPIEndpoint": {"advertiseAddress": master.address},
            "nodeRegistration": _registration(master),
            "certificateKey": certificate_key,
            "skipPhases": ["addon/coredns", "addon/kube-proxy"],
        },
        {
            "apiVersion": API,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": KUBERNETES_VERSION,
            "imageRepository": REPOSITORY,
            "controlPlaneEndpoint": f"{ENDPOINT_NAME}:6443" if endpoint else "",
            "networking": {"podSubnet": "10.244.0.0/16"},
            "etcd": {"local": {"imageTag": ETCD_TAG, "extraArgs": _flags({"unsafe-no-fsync": "true"})}},
            "apiServer": {"certSANs": sorted(names)},
            "controllerManager": {"extraArgs": _flags({**FAST, **election, **({} if slow else DETECTION)})},
            "scheduler": {"extraArgs": _flags({**FAST, **election})},
        },
        {**KUBELET, **({} if slow else KUBELET_DETECTION)},
    ]
    upload = ["--upload-certs"] if endpoint else []
    _kubeadm(lab, master, ["init", *upload], documents, INIT_SECONDS)
    copy_out(lab, master, "/etc/kubernetes/admin.conf", lab.kubeconfig)
    if endpoint:
        # Its name is known to the hosts alone.
        written = lab.kubeconfig.read_text().replace(f"https://{ENDPOINT_NAME}:6443", f"https://{endpoint}:6443")
        write_atomically(lab.kubeconfig, written)


def join(lab: Lab, machine: Machine, token: str, certificate_key: str) -> None:
    """Let a machine join the cluster; control-plane hosts one after the other. Raises LabError.

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
    document: dict[str, Any] = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {"file": {"kubeConfigPath": "/etc/lab/cluster.conf"}, "tlsBootstrapToken": token},
        "nodeRegistration": _registration(machine),
    }
    if machine.role == "control-plane":
        where = {"advertiseAddress": machine.address}
        document["controlPlane"] = {"localAPIEndpoint": where, "certificateKey": certificate_key}
    _kubeadm(lab, machine, ["join"], [document], JOIN_SECONDS)


def forget_secrets(api: Api) -> None:
    """Delete what the machines joined with: no token and no copy of the certificates outlives the lab's making."""
    folder = "/api/v1/namespaces/kube-system/secrets"
    for found in api.items(folder):
        if found["type"] == "bootstrap.kubernetes.io/token" or found["metadata"]["name"] == "kubeadm-certs":
            api.delete(f"{folder}/{found['metadata']['name']}")


def _flags(flags: Mapping[str, str]) -> list[Mapping[str, str]]:
    return [{"name": name, "value": value} for name, value in flags.items()]


def _registration(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.node,
        "criSocket": "unix:///run/containerd/containerd.sock",
        "imagePullPolicy": "Never",
    }


def _kubeadm(
    lab: Lab, machine: Machine, verb: Sequence[str], documents: list[Mapping[str, Any]], timeout: float
) -> None:
    """The configuration goes through standard input: it holds a token, which no file or command line should show."""
    text = "\n---\n".join(json.dumps(document) for document in documents)
    aloud = 'exec "$@" >&2'  # into the log as it comes, so that a failure shows what it hung on
    arguments = ["kubeadm", *verb, "--config", "/dev/stdin"]
    try:
        inside(
            lab, machine, "sh", "-c", aloud, "sh", *arguments, timeout=timeout, stdin=text, what=f"kubeadm {verb[0]}"
        )
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
