"""The product as its users meet it: the command, as a process of its own, on a lab; and what it left in the cluster.

What is looked at in the cluster is read with the lab's own client, so that a mistake of the product can't hide itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.api import JSON, Api

if TYPE_CHECKING:
    from tests.hosts.conftest import HostsLab

PROGRAM = Path(sys.executable).with_name("downtime")
# A whole maintenance takes half a minute on an idle machine; CI's is not idle.
SECONDS = 420.0
# A dead holder is waited for by whoever goes on, for as long as its lease lasts.
HURRIED = {"DOWNTIME_CLUSTER__LOCK_SECONDS": "3", "DOWNTIME_POWER__COMMAND__TIMEOUT": "20"}
EVICTING = ("--yes", "--interactive", "evict", "--power-on", "controller", "--no-hold")
"""Options of a maintenance that asks nobody."""
STEPS = (
    *("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone", "shut-down", "see-off", "power-on"),
    *("see-back", "untaint", "see-gpus", "uncordon", "see-service", "close"),
)
"""All steps of a maintenance that asks nobody, in order."""
_SYSTEM = "/api/v1/namespaces/runai-downtime"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/runai-downtime/leases"


@dataclass(frozen=True)
class Ended:
    """How a process of the command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        """What ``--output json`` printed."""
        return json.loads(self.out)

    def expect(self, code: int) -> Ended:
        assert self.code == code, f"exit {self.code} instead of {code}:\n{self.said}"
        assert "Traceback" not in self.said, self.said
        return self


class Running:
    """A process of the command that runs."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self._process = process
        self._out, self._err = out, err

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float = SECONDS) -> Ended:
        """Its end, by itself."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds:g} s, killed; it said:\n{self._said()}") from None
        return Ended(code, self._out.read_text(), self._err.read_text())

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and no process of its session (an embedded Prefect server) is left."""
        self._process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _said(self) -> str:
        return self._out.read_text() + self._err.read_text()


@dataclass(frozen=True)
class Product:
    """The command on a lab.

    ``variables`` are added to its environment: every value of the configuration can be overridden by one.
    """

    hosts: HostsLab
    folder: Path
    variables: Mapping[str, str] = field(default_factory=lambda: dict(HURRIED))
    started: list[Running] = field(default_factory=list)

    def configured(self, **variables: str) -> Product:
        """The same product with more variables."""
        return replace(self, variables={**self.variables, **variables})

    def environment(self) -> dict[str, str]:
        """The environment of the process: no Prefect server but its own, its traces below the test's folder."""
        inherited = {name: value for name, value in os.environ.items() if name not in ("PREFECT_API_URL",)}
        own = {"DOWNTIME_CONFIG": str(self.hosts.lab.config), "XDG_STATE_HOME": str(self.folder / "state")}
        return {**inherited, **own, **self.variables}

    def start(self, *arguments: str) -> Running:
        """Start the command. Its standard input is empty: nobody can be asked."""
        made, out = tempfile.mkstemp(".out", "downtime-", self.folder)
        os.close(made)
        err = Path(out).with_suffix(".err")
        with Path(out).open("wb") as output, err.open("wb") as errors:
            process = subprocess.Popen(
                [str(PROGRAM), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self.environment(),
                cwd=self.folder,
                start_new_session=True,
            )
        running = Running(process, Path(out), err)
        self.started.append(running)
        return running

    def run(self, *arguments: str, seconds: float = SECONDS) -> Ended:
        """Run the command to its end."""
        return self.start(*arguments).wait(seconds)

    def end(self) -> None:
        """End whatever a failed test left running."""
        for running in self.started:
            if running.alive:
                running.kill()


def record_of(api: Api, node: str) -> JSON | None:
    """The newest record of a node, open or closed."""
    found = api.find(f"{_SYSTEM}/configmaps/node-{node}")
    return None if found is None else dict(json.loads(found["data"]["record"]))


def the_record(api: Api, node: str) -> JSON:
    found = record_of(api, node)
    assert found is not None, f"there is no record of {node}"
    return found


def done_steps(record: JSON) -> list[str]:
    """The names of the steps that are done, in the order in which they were."""
    done = [(state["at"], name) for name, state in record["steps"].items() if state["state"] == "done"]
    return [name for _, name in sorted(done)]


def holder_of(api: Api, node: str) -> str:
    """Who holds the lock of a node; empty: nobody."""
    lease = api.find(f"{_LEASES}/node-{node}")
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


def nodes_down(api: Api) -> list[str]:
    """The nodes that are admitted to be down."""
    fleet = api.find(f"{_SYSTEM}/configmaps/fleet")
    return sorted(json.loads(fleet["data"]["fleet"])["down"]) if fleet else []


def everything_stored(api: Api) -> str:
    """All that the product keeps in the cluster, and the Events that it told, as one text."""
    kept = [api.get(f"{_SYSTEM}/configmaps"), api.get(_LEASES), api.get("/api/v1/nodes"), api.get("/api/v1/events")]
    return json.dumps(kept)
