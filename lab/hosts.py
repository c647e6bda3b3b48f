"""A lab with hosts: machines made of podman containers, a kubeadm cluster on them, and what looks like Run:ai on it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lab import (
    archive,
    backup_set,
    binaries,
    config_file,
    gpus,
    images,
    kubeadm,
    machines,
    network,
    packages,
    prefect_service,
    runai,
    state,
)
from lab.api import JSON, Api
from lab.engine import unfinished
from lab.errors import LabError
from lab.layout import Lab, cache_folder
from lab.machines import Machine
from lab.patience import until
from lab.pki import write_ssh_key
from lab.postgresql import image as database_image
from lab.postgresql import server as postgresql
from lab.power import write_script
from lab.progress import Progress
from lab.runai import rest_process
from lab.spec import Spec
from lab.state import write_atomically

T = TypeVar("T")

READY_SECONDS = 90.0
STRAGGLER_SECONDS = 20.0


def up(lab: Lab, spec: Spec, progress: Progress, host_names: Mapping[str, str] | None = None) -> None:
    """Make the lab. ``host_names`` gives hosts another name than their node's, as it happens in real clusters.

    Raises LabError, with the last lines of the log; what was made until then is for the caller to take down.
    """
    if spec.simulated:
        raise LabError("simulated nodes beside hosts are not possible yet: leave out --simulated, or use --no-hosts")
    packages.ensure(progress)
    binary = binaries.ensure_kubernetes(progress)
    image = images.ensure_node_image(progress)
    container_images = archive.ensure(binary, progress)
    database = None if spec.saas else database_image.ensure(progress)
    state.update(lab, kind="hosts", phase="starting", spec=spec.record(), processes=[])
    subnet = network.claim(lab)
    made = machines.plan(spec, subnet, host_names or {})
    machines.record(lab, made)
    binaries.link_commands(binary, lab.bin)
    write_ssh_key(lab.ssh_key)
    keeper = next(machine for machine in made if machine.role == "system")
    if database:
        database_image.link(database, machines.settings_of(lab, keeper))
    with progress.step(f"switching on {len(made)} machines on {subnet}"):
        for machine in made:
            gpus.write(lab, machine)
        _each(made, lambda machine: machines.start(lab, machine, made, image, binary, container_images))
        keys = _each(made, lambda machine: machines.wait_booted(lab, machine))
        lab.known_hosts.write_text("".join(f"{key}\n" for key in keys))
    with progress.step("making the cluster with kubeadm"):
        api = _make_cluster(lab, made)
    with progress.step("installing what looks like Run:ai"):
        runai.install(lab, spec, _control_plane_data(lab, keeper))
        if spec.runai_api:
            rest_process.start(lab)
    with progress.step("waiting for its pods"):
        runai.await_ready(lab, spec)
    _describe(lab, api, spec, made)
    state.update(lab, phase="up")


def _control_plane_data(lab: Lab, keeper: Machine) -> runai.Kept:
    """The database and the metrics lie on a disk of one host: while that is down, so are they."""
    folders = {name: f"/var/lib/lab/{name}" for name in ("postgresql", "thanos")}
    machines.inside(lab, keeper, "mkdir", "-p", *folders.values())
    password = secrets.token_urlsafe(18)
    write_atomically(postgresql.password_file(lab), password)
    return runai.Kept(
        password=password,
        postgresql=runai.Volume(str(Path(database_image.DATA).parent), folders["postgresql"], keeper.node),
        thanos=runai.Volume(database_image.METRICS, folders["thanos"], keeper.node),
        image=database_image.IMAGE,
        thanos_command=database_image.METRICS_COMMAND,
    )


def _make_cluster(lab: Lab, made: list[Machine]) -> Api:
    masters = [machine for machine in made if machine.role == "control-plane"]
    others = made[1:]
    token, key = kubeadm.new_token(), kubeadm.new_certificate_key()
    with _at_once() as pool:
        machines.import_images(lab, masters[0])
        imports = [pool.submit(machines.import_images, lab, machine) for machine in others]
        kubeadm.init(lab, masters, token, key)
        for done in imports:
            done.result()
    for machine in masters[1:]:  # each becomes a member of etcd, and those come one at a time
        kubeadm.join(lab, machine, token, key)
    _each(made[len(masters) :], lambda machine: kubeadm.join(lab, machine, token, key))
    api = Api(lab.kubeconfig)
    kubeadm.forget_secrets(api)
    _await_nodes(lab, api, made)  # kubeadm is done before the kubelet has made its Node
    for machine in others:
        api.patch(f"/api/v1/nodes/{machine.node}", {"metadata": {"labels": kubeadm.LABELS[machine.role]}})
    return api


def _await_nodes(lab: Lab, api: Api, made: list[Machine]) -> None:
    wanted = {machine.node for machine in made}
    waiting: set[str] = wanted

    def ready() -> bool:
        nonlocal waiting
        waiting = wanted - {node["metadata"]["name"] for node in api.items("/api/v1/nodes") if _usable(node)}
        return not waiting

    def said() -> str:
        return f"not Ready: {', '.join(sorted(waiting))}"

    until(ready, seconds=READY_SECONDS, what=said, log=lab.logs / f"{made[0].node}.log")


def _usable(node: JSON) -> bool:
    """Ready, and no longer with the taint that a node has until the controller manager has seen it Ready."""
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    return ready and not any(t["key"].startswith("node.kubernetes.io/") for t in node["spec"].get("taints", []))


def _describe(lab: Lab, api: Api, spec: Spec, made: list[Machine]) -> None:
    """Write what makes the product work with this lab: configuration, a backup set, the power program."""
    uid = str(api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])
    config_file.write(lab, uid=uid, addresses={machine.node: machine.address for machine in made})
    if spec.backup:
        backup_set.write(lab.store, uid, runaiconfig=api.get(runai.RUNAICONFIG))
    else:
        lab.store.mkdir(exist_ok=True)
    write_script(lab)


def _each(made: Iterable[Machine], work: Callable[[Machine], T]) -> list[T]:
    """Do something for several machines at once; the first error is raised when all have ended."""
    with _at_once() as pool:
        return list(pool.map(work, made))


@contextmanager
def _at_once() -> Iterator[ThreadPoolExecutor]:
    """Threads that are waited for, unless somebody interrupts: taking the machines down then ends what they do."""
    pool = ThreadPoolExecutor(max_workers=8)
    interrupted = False
    try:
        yield pool
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        pool.shutdown(wait=not interrupted, cancel_futures=True)


def down(lab: Lab) -> None:
    """Remove everything of the lab: machines, disks, network, folder. Safe to repeat, and after a crashed ``up``.

    A killed ``up`` may have left a podman behind that is just making a machine: so everything is removed again when
    the last of them has ended.
    """
    if os.geteuid() != 0:
        raise LabError(f"the lab {lab.name} has hosts, so only root can remove it")
    log = cache_folder() / "logs" / f"down-{lab.name}.log"
    prefect_service.down(lab)
    machines.remove(lab, log)
    if unfinished(lab.folder):

        def ended() -> bool:
            return not unfinished(lab.folder)

        until(ended, seconds=STRAGGLER_SECONDS, what="podman commands of an earlier up still run")
        machines.remove(lab, log)
    network.release(lab, log)
    shutil.rmtree(lab.folder, ignore_errors=True)
    if lab.folder.exists():
        raise LabError(f"can't remove {lab.folder}")
    log.unlink(missing_ok=True)


def status(lab: Lab) -> dict[str, Any]:
    """What is there, for people and programs. A machine that is off is none of the lab's problems."""
    found: dict[str, dict[str, str]] = {}
    problems = []
    for machine in machines.of_lab(lab):
        try:
            power = machines.power(lab, machine.node, "status")
        except LabError as error:
            power = "unknown"
            problems.append(f"{machine.node}: {error}")
        where = {"ssh": f"ops@{machine.address}", "host name": machine.host_name}
        found[machine.node] = {"role": machine.role, "power": power, **where}
    try:
        Api(lab.kubeconfig).call("GET", "/readyz", seconds=5)
    except LabError as error:
        problems.append(f"the API server is not ready: {error}")
    return {"healthy": not problems, "problems": problems, "hosts": found, "subnet": state.read(lab).get("subnet", "")}
