"""Commands in simulated pods: ``kubectl exec`` works in those of the database and of the metrics.

They run on this machine, started by ``lab/kubernetes/podexec``, which stands where the API server looks for kubelets.
What shall go wrong with the next ones is set here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab import binaries, processes, state
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.postgresql import programs, template
from lab.progress import Progress
from lab.state import write_atomically

NAME = "pod-exec"
POD = "LAB_POD"
NOT_FOUND = 404
GONE = "pod does not exist"
"""What a kubelet says that has just started (measured on a lab with hosts), or whose pod has just gone."""


def start(lab: Lab, pods: Mapping[str, Mapping[str, object]], progress: Progress) -> None:
    """Serve commands in ``pods`` (NAMESPACE/NAME to as whom, where and in which environment). Raises LabError."""
    binary = binaries.ensure_pod_exec(progress)
    port = int(state.read(lab)["ports"][NAME])
    pki = lab.folder / "pki"
    settings = {
        "listen": f"{template.LOOPBACK}:{port}",
        "certificate": str(pki / "pod-exec.crt"),
        "key": str(pki / "pod-exec.key"),
        "client_ca": str(pki / "ca.crt"),
        "faults": str(_faults(lab)),
        "pods": {name: {**how, "env": [*_words(how.get("env")), *_marks(lab, name)]} for name, how in pods.items()},
    }
    path = lab.folder / f"{NAME}.json"
    write_atomically(path, json.dumps(settings, indent=2))
    log = lab.logs / f"{NAME}.log"
    # Debian's own pg_dump is a script that looks for the machine's databases.
    before = [str(programs.folder())] if programs.installed() else []
    found = {"PATH": os.pathsep.join([*before, os.environ["PATH"]])}
    daemon = processes.start(NAME, [binary, path], folder=lab.folder, log=log, env=found)
    state.add_process(lab, daemon)
    until(lambda: template.listens(port), seconds=20, what="no commands run in pods", log=log, every=0.05)


@contextmanager
def refused(lab: Lab, times: int, *, status: int = NOT_FOUND, text: str = GONE) -> Iterator[None]:
    """The next ``times`` commands in pods are refused before they start; what is left of it ends with the block."""
    with _fault(lab, {"times": times, "status": status, "text": text}):
        yield


@contextmanager
def killed_after(lab: Lab, bytes_written: int, *, times: int = 1) -> Iterator[None]:
    """The next ``times`` commands that write so much to standard output are killed then (exit status 137).

    Every command counts, also one that writes less and so is spared.
    """
    with _fault(lab, {"times": times, "kill_after": bytes_written}):
        yield


def left(lab: Lab) -> int:
    """How many commands the present fault still waits for."""
    try:
        return int(json.loads(_faults(lab).read_text())["times"])
    except FileNotFoundError:
        return 0


def kill(lab: Lab, namespace: str, pod: str) -> int:
    """The pod is gone, with all that runs in it: deleted at once, its commands killed. Returns how many those were.

    Its controller makes a new one, as on a real cluster.
    """
    Api(lab.kubeconfig).delete(f"/api/v1/namespaces/{namespace}/pods/{pod}", gracePeriodSeconds=0)
    mark = f"{POD}={namespace}/{pod}".encode()
    killed = 0
    for daemon in processes.marked(lab.folder):
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{daemon.pid}/environ").read_bytes().split(b"\0"):
                os.kill(daemon.pid, signal.SIGKILL)
                killed += 1
    return killed


@contextmanager
def _fault(lab: Lab, fault: Mapping[str, object]) -> Iterator[None]:
    set_fault(lab, fault)
    try:
        yield
    finally:
        clear(lab)


def set_fault(lab: Lab, fault: Mapping[str, object]) -> None:
    """Let something go wrong with the next commands (see ``faults.go``); the former fault is replaced."""
    write_atomically(_faults(lab), json.dumps(fault))


def clear(lab: Lab) -> None:
    _faults(lab).unlink(missing_ok=True)


def _faults(lab: Lab) -> Path:
    return lab.folder / f"{NAME}-faults.json"


def _marks(lab: Lab, pod: str) -> list[str]:
    """By which ``down`` and ``kill`` find what still runs."""
    return [f"{processes.MARK}={lab.folder}", f"{POD}={pod}"]


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else []
