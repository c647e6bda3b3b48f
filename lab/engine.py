"""podman, with a configuration and a store of the lab's own.

All labs of a machine share one store, in the cache beside the compiled binaries, and not podman's default one: images,
containers and networks of a lab are then never mixed up with the machine's own, nothing is written to ``/etc``, and a
machine whose podman is configured otherwise (crun, CNI, the systemd cgroup manager) works all the same. The
configuration is podman's own mechanism for that: ``CONTAINERS_CONF`` and ``CONTAINERS_STORAGE_CONF``.

Two settings need a word. ``tmp_dir`` lies on the tmpfs of ``/run``, as podman finds out by it whether the machine was
restarted since. ``lock_type`` is ``file``, as the shared-memory locks of two stores would be one and the same, and
podman frees all of them when it first sees a store after a restart.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from lab.layout import cache_folder
from lab.processes import MARK, Daemon, marked, run
from lab.state import write_atomically

MACHINE = Path("/run/runai-downtime-lab")
"""What the labs of one machine share until it restarts: locks, claims of subnets, podman's run-time state."""

SECONDS = 60.0


def store() -> Path:
    """Where podman keeps images and containers of all labs."""
    return cache_folder() / "podman"


def environment() -> dict[str, str]:
    """The environment that makes podman use the lab's configuration; writes the files that it names."""
    key = hashlib.sha256(os.fspath(store()).encode()).hexdigest()[:8]
    run_folder = MACHINE / key
    configuration = f"""\
[containers]
log_driver = "k8s-file"
base_hosts_file = "none"
[network]
network_backend = "netavark"
network_config_dir = "{store() / "networks"}"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
lock_type = "file"
tmp_dir = "{run_folder / "libpod"}"
"""
    storage = f"""\
[storage]
driver = "overlay"
graphroot = "{store() / "storage"}"
runroot = "{run_folder / "storage"}"
"""
    paths = {
        "CONTAINERS_CONF": (store() / "containers.conf", configuration),
        "CONTAINERS_STORAGE_CONF": (store() / "storage.conf", storage),
    }
    for path, text in paths.values():
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text)
    return {variable: os.fspath(path) for variable, (path, _) in paths.items()}


def unfinished(folder: Path) -> list[Daemon]:
    """The podman commands that work for the lab in ``folder`` right now, also those of a process that was killed.

    Not the monitors of its running containers, which inherit the same mark.
    """
    found = []
    for daemon in marked(folder):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{daemon.pid}/comm").read_text().strip() == "podman":
                found.append(daemon)
    return found


def podman(
    *arguments: str, log: Path, timeout: float = SECONDS, stdin: str | bytes | None = None, what: str = ""
) -> str:
    """Run podman on the labs' store and return its standard output. Raises LabError with the log's last lines.

    A command for one lab logs into its folder, and is marked as belonging to it.
    """
    variables = {**environment(), MARK: os.fspath(log.parent.parent)}
    return run(["podman", *arguments], log=log, timeout=timeout, env=variables, stdin=stdin, what=what)


def succeeds(*arguments: str, log: Path, timeout: float = SECONDS) -> bool:
    """Whether a podman command that asks a question (``image exists``, …) answers yes."""
    script = 'podman "$@" >&2 && echo yes || echo no'
    answer = run(["sh", "-c", script, "sh", *arguments], log=log, timeout=timeout, env=environment())
    return answer.strip() == "yes"
