"""A Kubernetes control plane as plain processes on loopback, without root: etcd, API server, controllers, scheduler.

Nodes are simulated by kwok (leases, pods) and by lab.simulated (hosts with SSH and power, boot ids, GPUs).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from lab import processes, state
from lab.api import Api
from lab.binaries import ensure_kubernetes, ensure_kwok, link_commands
from lab.errors import LabError, tail
from lab.kubeconfig import kubeconfig
from lab.layout import PROJECT, Lab
from lab.locks import reserve_ports
from lab.patience import until
from lab.pki import Authority, signing_pair
from lab.progress import Progress
from lab.state import write_atomically

LOOPBACK = "127.0.0.1"
NODE_LEASE_SECONDS = 8
# A kubelet's own default; kwok's is to make no leases at all.
DEFAULT_LEASE_SECONDS = 40
READY_SECONDS = 90.0
MANAGED = "lab/powered=on"
STAGES = PROJECT / "lab" / "stages"
_FAST_DETECTION = [f"--node-monitor-grace-period={NODE_LEASE_SECONDS}s", "--node-monitor-period=1s"]

Commands = Mapping[str, list[str]]


def start(lab: Lab, progress: Progress, *, default_detection: bool = False) -> Api:
    """Start the control plane and wait until it answers. Raises LabError with the log of what did not start.

    ``default_detection``: failures of nodes are noticed as late as Kubernetes does by default.
    """
    kube, kwok = ensure_kubernetes(progress), ensure_kwok(progress)
    ports = reserve_ports(lab, ("etcd", "etcd-peer", "apiserver", "ssh", "pod-exec", "postgresql"))
    state.update(lab, ports=ports)
    link_commands(kube, lab.bin)
    server = f"https://{LOOPBACK}:{ports['apiserver']}"
    _write_credentials(lab, server)
    with progress.step("starting etcd and the API server"):
        _launch(lab, {"etcd": _etcd(lab, ports), "kube-apiserver": _apiserver(lab, ports)})
        api = Api(lab.kubeconfig)
        _await_ready(lab, api)
    _launch(
        lab,
        {
            "kube-controller-manager": [*_controller_manager(lab), *([] if default_detection else _FAST_DETECTION)],
            "kube-scheduler": _scheduler(lab),
            "kwok": _kwok(lab, kwok, DEFAULT_LEASE_SECONDS if default_detection else NODE_LEASE_SECONDS),
        },
    )
    return api


def stop_apiserver(lab: Lab) -> None:
    """Kill the API server, as a crash would; whoever talks to it is on his own until ``start_apiserver``."""
    found = [daemon for daemon in state.processes(lab) if daemon.name == "kube-apiserver"]
    processes.stop(found, grace=0)
    state.update(lab, processes=[asdict(one) for one in state.processes(lab) if one not in found])


def start_apiserver(lab: Lab) -> None:
    """Start the API server again and wait until it answers. Raises LabError."""
    _launch(lab, {"kube-apiserver": _apiserver(lab, state.read(lab)["ports"])})
    _await_ready(lab, Api(lab.kubeconfig))


def unhealthy(lab: Lab) -> list[str]:
    """What is wrong with the running lab, in words; empty if nothing is."""
    wrong = [f"{daemon.name} has ended (log: {daemon.log})" for daemon in state.processes(lab) if not daemon.alive()]
    if not wrong:
        try:
            Api(lab.kubeconfig).call("GET", "/readyz", seconds=5)
        except LabError as error:
            wrong.append(f"the API server is not ready: {error}")
    return wrong


def check_alive(lab: Lab) -> None:
    """Raise LabError, with the log's tail, if one of the lab's processes has ended."""
    for daemon in state.processes(lab):
        processes.collect(daemon)
        if not daemon.alive():
            raise LabError(f"{daemon.name} has ended\n{tail(Path(daemon.log))}")


def _launch(lab: Lab, commands: Commands) -> None:
    for name, argv in commands.items():
        daemon = processes.start(name, argv, folder=lab.folder, log=lab.logs / f"{name}.log")
        state.add_process(lab, daemon)


def _await_ready(lab: Lab, api: Api) -> None:
    def ready() -> bool:
        check_alive(lab)
        try:
            return bool(api.call("GET", "/readyz", seconds=2))
        except LabError:
            return False

    log = lab.logs / "kube-apiserver.log"
    until(ready, seconds=READY_SECONDS, what="the API server is not ready", log=log, every=0.1)


def _pki(lab: Lab) -> Path:
    return lab.folder / "pki"


def _write_credentials(lab: Lab, server: str) -> None:
    folder, authority = _pki(lab), Authority()
    serving = authority.server(["localhost", "kubernetes.default.svc"], [LOOPBACK, "10.96.0.1"])
    executing, asking = authority.server(["localhost"], [LOOPBACK]), authority.client("lab-kubelet-client")
    private, public = signing_pair()
    for name, text in {
        "ca.crt": authority.certificate,
        "apiserver.crt": serving.certificate,
        "apiserver.key": serving.key,
        "pod-exec.crt": executing.certificate,
        "pod-exec.key": executing.key,
        "kubelet-client.crt": asking.certificate,
        "kubelet-client.key": asking.key,
        "sa.key": private,
        "sa.pub": public,
    }.items():
        write_atomically(folder / name, text)
    for path, user, group in (
        (lab.kubeconfig, "lab-admin", "system:masters"),
        (folder / "controller-manager.conf", "system:kube-controller-manager", None),
        (folder / "scheduler.conf", "system:kube-scheduler", None),
        (folder / "kwok.conf", "lab-kwok", "system:masters"),
    ):
        write_atomically(path, kubeconfig(server, authority.certificate, user, authority.client(user, group)))


def _etcd(lab: Lab, ports: Mapping[str, int]) -> list[str]:
    client, peer = (f"http://{LOOPBACK}:{ports[name]}" for name in ("etcd", "etcd-peer"))
    return [
        str(lab.bin / "etcd"),
        f"--data-dir={lab.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _apiserver(lab: Lab, ports: Mapping[str, int]) -> list[str]:
    pki = _pki(lab)
    return [
        str(lab.bin / "kube-apiserver"),
        f"--etcd-servers=http://{LOOPBACK}:{ports['etcd']}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports['apiserver']}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-cluster-ip-range=10.96.0.0/16",
        # A loopback address is refused as the endpoint of the service "kubernetes", which nothing here uses.
        "--endpoint-reconciler-type=none",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalDNS",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        "--profiling=false",
    ]


def _controller_manager(lab: Lab) -> list[str]:
    pki = _pki(lab)
    return [
        str(lab.bin / "kube-controller-manager"),
        f"--kubeconfig={pki / 'controller-manager.conf'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--secure-port=0",
        # With the defaults, 20 requests a second, a drain of a simulated cluster crawls.
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    ]


def _scheduler(lab: Lab) -> list[str]:
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(_pki(lab) / "scheduler.conf"), "qps": 1000, "burst": 2000},
        "leaderElection": {"leaderElect": False},
    }
    path = lab.folder / "scheduler.json"
    write_atomically(path, json.dumps(config))
    return [str(lab.bin / "kube-scheduler"), f"--config={path}", "--secure-port=0"]


def _kwok(lab: Lab, binary: Path, lease_seconds: int) -> list[str]:
    """kwok manages the nodes that bear a label: the label's removal is the only thing that makes it let go of one.

    (With an annotation it goes on renewing the lease, for it sees a removed annotation as no event at all; read in
    kwok 0.8.0, pkg/utils/informer.)
    """
    ready_made = binary.parent / "stages"
    stages = [*sorted(ready_made.glob("*-node-*.yaml")), *ready_made.glob("*-pod-ready.yaml"), *STAGES.glob("*.yaml")]
    return [
        str(binary),
        f"--kubeconfig={_pki(lab) / 'kwok.conf'}",
        *(f"--config={stage}" for stage in stages),
        "--manage-all-nodes=false",
        f"--manage-nodes-with-label-selector={MANAGED}",
        f"--node-lease-duration-seconds={lease_seconds}",
        "--cidr=10.245.0.0/16",
    ]
