"""A whole control-plane lab: up, down, what is there, and nodes that come later."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab import backup_set, config_file, control_plane, packages, processes, runai, state
from lab.api import Api
from lab.errors import LabError
from lab.layout import PROJECT, Lab
from lab.locks import release_ports
from lab.patience import until
from lab.pki import write_ssh_key
from lab.postgresql import programs as postgresql_programs
from lab.postgresql import server as postgresql
from lab.power import write_script
from lab.progress import Progress
from lab.runai import metrics_data, rest_process
from lab.runai.definitions import pool_labels
from lab.simulated import host as hosts
from lab.simulated import pod_exec
from lab.simulated.control import request
from lab.simulated.node_objects import manifest
from lab.spec import GPUS_PER_SIMULATED_NODE, Spec

READY_SECONDS = 60.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
METRICS_POD = "runai-backend/runai-backend-thanos-receive-0"
# A lab's data is thrown away, so nobody has to wait until an API server has said good-bye to every watcher.
STOP_SECONDS = 2.0


def up(lab: Lab, spec: Spec, progress: Progress) -> None:
    """Make the lab. Raises LabError; what was made until then is for the caller to take down."""
    state.update(lab, kind="control-plane", phase="starting", spec=spec.record(), processes=[])
    write_ssh_key(lab.ssh_key)
    api = control_plane.start(lab, progress, default_detection=spec.default_detection)
    with progress.step("adding simulated nodes"):
        machines = hosts.create(lab, _planned(spec), **_ports(lab))
        _start_simulator(lab)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda machine: api.create("/api/v1/nodes", manifest(machine)), machines))
    kept = _control_plane_data(lab, spec, progress)
    with progress.step("installing what looks like Run:ai"):
        runai.install(lab, spec, kept)
        if spec.runai_api:
            rest_process.start(lab)
    with progress.step("waiting for nodes and pods"):
        _await_nodes(lab, api, len(machines))
        runai.await_ready(lab, spec)
    write_configuration(lab, api)
    if spec.backup:
        backup_set.write(lab.store, cluster_uid(api), runaiconfig=api.get(runai.RUNAICONFIG))
    else:
        lab.store.mkdir(exist_ok=True)
    write_script(lab)
    state.update(lab, phase="up")


def down(lab: Lab) -> None:
    """Stop all processes of the lab, recorded or not, and remove its folder. Raises LabError if something stays."""
    try:
        recorded = state.processes(lab)
    except LabError:
        recorded = []
    processes.stop(
        {daemon.pid: daemon for daemon in [*processes.marked(lab.folder), *recorded]}.values(), grace=STOP_SECONDS
    )
    if lab.folder.exists():
        shutil.rmtree(lab.folder)
    release_ports(lab)


def status(lab: Lab) -> dict[str, Any]:
    """What is there, for people and programs."""
    wrong = control_plane.unhealthy(lab)
    machines = {
        host.node: {"role": host.role, "power": host.power, "ssh": host.reached} for host in hosts.load_all(lab)
    }
    running = {daemon.name: "running" if daemon.alive() else "ended" for daemon in state.processes(lab)}
    return {"healthy": not wrong, "problems": wrong, "hosts": machines, "processes": running}


def add_node(
    lab: Lab, name: str, role: str = "gpu", *, hostname: str = "", gpus: int | None = None, pool: str = ""
) -> hosts.Host:
    """Add a node with a host of its own to a lab that is up, and return the host. Raises LabError.

    Args:
        pool: the Run:ai node pool that it is of.
    """
    api = Api(lab.kubeconfig)
    if gpus is None:
        gpus = GPUS_PER_SIMULATED_NODE if role == "gpu" else 0
    [host] = hosts.create(lab, [hosts.Wanted(name, role, gpus, hostname)], **_ports(lab))
    request(lab, do="add", node=name)
    body = manifest(host)
    body["metadata"]["labels"] |= pool_labels(pool) if pool else {}
    api.create("/api/v1/nodes", body)
    write_configuration(lab, api)
    return host


def remove_node(lab: Lab, name: str) -> None:
    """Take away a node's host and its Node; the pods on it are force-deleted, as nobody is left to end them."""
    api = Api(lab.kubeconfig)
    api.delete(f"/api/v1/nodes/{name}")
    for pod in api.items(f"/api/v1/pods?fieldSelector=spec.nodeName={name}"):
        where = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
        api.delete(where, gracePeriodSeconds=0)
    request(lab, do="remove", node=name)
    hosts.remove(lab, name)
    write_configuration(lab, api)


def write_configuration(lab: Lab, api: Api) -> None:
    addresses = {host.node: host.reached for host in hosts.load_all(lab)}
    config_file.write(lab, uid=cluster_uid(api), addresses=addresses)


def cluster_uid(api: Api) -> str:
    return str(api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])


def _control_plane_data(lab: Lab, spec: Spec, progress: Progress) -> runai.Kept:
    """Start the database, and make commands run in its pod and in that of the metrics."""
    folder = lab.folder / "thanos"
    metrics_data.write(folder)
    database = not spec.saas and _postgresql_there(progress)
    kept = runai.Kept(
        password=postgresql.start(lab, progress) if database else secrets.token_urlsafe(18),
        # Commands in the pods run on this machine: what a pod mounts must be at the same place here.
        postgresql=runai.Volume("/bitnami/postgresql", "/var/lib/lab/postgresql"),
        thanos=runai.Volume(str(folder), str(folder)),
    )
    here: dict[str, object] = {"uid": -1, "gid": -1, "dir": str(folder), "env": ["LANG=C.UTF-8"]}
    pods = {} if spec.saas else {METRICS_POD: here}
    if database:
        pods[postgresql.POD] = postgresql.in_pod(lab)
    pod_exec.start(lab, pods, progress)
    return kept


def _postgresql_there(progress: Progress) -> bool:
    """Whether this machine has PostgreSQL's programs; root installs them. Without, the lab does all but backups."""
    if not postgresql_programs.installed():
        if os.geteuid() != 0:
            progress.say("no PostgreSQL here (Debian's package postgresql-15): nothing runs in the database's pod")
            return False
        packages.ensure(progress, packages.DATABASE)
    return True


def _planned(spec: Spec) -> list[hosts.Wanted]:
    systems = [hosts.Wanted(f"system-{number}", "system") for number in range(1, spec.systems + 1)]
    workers = [hosts.Wanted(f"gpu-{number}", "gpu", GPUS_PER_SIMULATED_NODE) for number in range(1, spec.simulated + 1)]
    masters = [hosts.Wanted(f"master-{number}", "control-plane") for number in range(1, spec.control_planes + 1)]
    return [*masters, *systems, *workers]


def _ports(lab: Lab) -> dict[str, int]:
    ports = state.read(lab)["ports"]
    return {"port": int(ports["ssh"]), "kubelet_port": int(ports["pod-exec"])}


def _start_simulator(lab: Lab) -> None:
    log = lab.logs / "simulator.log"
    argv = [sys.executable, "-P", "-m", "lab.simulated", lab.name]
    daemon = processes.start("simulator", argv, folder=lab.folder, log=log, env={"PYTHONPATH": str(PROJECT)})
    state.add_process(lab, daemon)

    def answers() -> bool:
        control_plane.check_alive(lab)
        try:
            return request(lab, do="ping") == "pong"
        except LabError:
            return False

    until(answers, seconds=READY_SECONDS, what="the simulated hosts do not answer", log=log, every=0.1)


def _await_nodes(lab: Lab, api: Api, wanted: int) -> None:
    def not_ready() -> list[str]:
        control_plane.check_alive(lab)
        leases = {lease["metadata"]["name"] for lease in api.items(LEASES)}
        nodes = {node["metadata"]["name"]: _schedulable(node) for node in api.items("/api/v1/nodes")}
        waiting = sorted(name for name, ready in nodes.items() if not ready or name not in leases)
        return waiting + ["nodes not there yet"] * (wanted - len(nodes))

    until(
        lambda: not not_ready(),
        seconds=READY_SECONDS,
        what=lambda: f"not Ready: {', '.join(not_ready())}",
        log=lab.logs / "kwok.log",
    )


def _schedulable(node: dict[str, Any]) -> bool:
    """Ready, and no longer with the taint that every new node gets until the controller manager has seen it."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    return ready and not any(t["key"].startswith("node.kubernetes.io/") for t in node["spec"].get("taints", []))
