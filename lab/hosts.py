"""A lab with hosts: machines made of podman containers, and a kubeadm cluster on them, with something like Run:ai."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from lab import archive, binaries, images, kubeadm, machines, network, packages, state
from lab.errors import LabError
from lab.layout import Lab, cache_folder
from lab.machines import Machine
from lab.processes import run
from lab.progress import Progress
from lab.spec import Spec

T = TypeVar("T")


def up(lab: Lab, spec: Spec, progress: Progress, host_names: Mapping[str, str] | None = None) -> None:
    """Make the lab. ``host_names`` gives hosts another name than their node's, as it happens in real clusters.

    Raises LabError, with the last lines of the log, after everything that had been made was removed again.
    """
    packages.ensure(progress)
    binary = binaries.ensure_kubernetes(progress)
    image = images.ensure_node_image(progress)
    container_images = archive.ensure(binary, progress)
    state.update(lab, kind="hosts", phase="starting", spec=spec.record(), processes=[], ports={})
    try:
        subnet = network.claim(lab)
        made = machines.plan(spec, subnet, host_names or {})
        machines.record(lab, made)
        binaries.link_commands(binary, lab.bin)
        _make_key(lab)
        with progress.step(f"switching on {len(made)} machines on {subnet}"):
            _each(made, lambda machine: machines.start(lab, machine, made, image, binary, container_images))
            lab.known_hosts.write_text(
                "\n".join(_each(made, lambda machine: machines.wait_booted(lab, machine))) + "\n"
            )
        _cluster(lab, made, progress)
        state.update(lab, phase="up")
    except BaseException:
        _keep_logs(lab, progress)
        down(lab)
        raise


def _cluster(lab: Lab, made: list[Machine], progress: Progress) -> None:
    master, *others = made
    token = kubeadm.new_token()
    with progress.step("making the cluster with kubeadm"), ThreadPoolExecutor() as pool:
        machines.import_images(lab, master)
        imports = [pool.submit(machines.import_images, lab, machine) for machine in others]
        kubeadm.init(lab, master, [master], token)
        for done in imports:
            done.result()
        _each(others, lambda machine: kubeadm.join(lab, machine, token))
        kubeadm.forget_token(lab, master, token)


def _each(made: Iterable[Machine], work: Callable[[Machine], T]) -> list[T]:
    """Do something for several machines at once; the first error is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(work, made))


def _make_key(lab: Lab) -> None:
    arguments = ["-q", "-t", "ed25519", "-N", "", "-C", f"lab {lab.name}", "-f", str(lab.ssh_key)]
    run(["ssh-keygen", *arguments], log=lab.logs / "ssh-keygen.log", timeout=30)


def _keep_logs(lab: Lab, progress: Progress) -> None:
    """The lab's folder goes when its making failed; its logs are what a person needs then."""
    kept = cache_folder() / "logs" / f"failed-{lab.name}"
    shutil.rmtree(kept, ignore_errors=True)
    if lab.logs.is_dir():
        shutil.copytree(lab.logs, kept)
        progress.say(f"the logs are kept in {kept}")


def down(lab: Lab) -> None:
    """Remove everything of the lab: machines, disks, network, folder. Safe to repeat, and after a crashed ``up``."""
    log = cache_folder() / "logs" / f"down-{lab.name}.log"
    machines.remove(lab, log)
    network.release(lab, log)
    shutil.rmtree(lab.folder, ignore_errors=True)
    if lab.folder.exists():
        raise LabError(f"can't remove {lab.folder}")
    log.unlink(missing_ok=True)


def status(lab: Lab) -> dict[str, Any]:
    """The machines of the lab and their power state."""
    found = []
    for machine in machines.of_lab(lab):
        power = machines.power(lab, machine.node, "status")
        found.append({"node": machine.node, "host": machine.host_name, "address": machine.address, "power": power})
    return {"machines": found, "subnet": state.read(lab).get("subnet", "")}


def paths(lab: Lab) -> dict[str, Path]:
    """What ``up`` made that others need."""
    return {"kubeconfig": lab.kubeconfig, "known_hosts": lab.known_hosts, "ssh_key": lab.ssh_key}
