"""Handles a node that lost power as an administrator, or an alert, would: by the command ``downtime``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab.api import Api
from lab.errors import LabError, tail
from lab.layout import PROJECT, Lab
from lab.patience import until

WAITS_FOR_RETURN = 4
_COMMAND = "from deployments.cli import main; main()"
_NOTICED_SECONDS = 180.0
_KILL_SECONDS = 20.0


@dataclass(frozen=True)
class Recovery:
    """A command that runs, and its output."""

    node: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise LabError if it ended in any other way than by waiting for the node's return."""
        code = self.process.poll()
        if code not in (None, 0, WAITS_FOR_RETURN):
            raise LabError(f"the recovery of {self.node} ended with exit status {code}\n{tail(self.log)}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_KILL_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()


def recover(lab: Lab, node: str, grace_seconds: int, *, said_down: bool) -> Recovery:
    """Start ``downtime run unplanned NODE --local``, with the power status of the lab's configuration as proof."""
    argv = [sys.executable, "-P", "-c", _COMMAND, "run", "unplanned", node, "--local", "--yes"]
    argv += ["--grace-seconds", str(grace_seconds), "--reason", "measurement", "--config", str(lab.config)]
    argv += ["--said-down"] if said_down else []
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOWNTIME_", "KUBE"))}
    path = lab.logs / f"recovery-{node}.log"
    with path.open("wb") as log:
        environment = {**kept, "PYTHONPATH": str(PROJECT)}
        process = subprocess.Popen(
            argv, cwd=lab.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    return Recovery(node, process, path)


def wait_not_ready(api: Api, node: str) -> float:
    """When Kubernetes calls the node not ready (monotonic seconds)."""
    until(lambda: not _ready(api, node), seconds=_NOTICED_SECONDS, what=f"{node} is still Ready", every=0.1)
    return time.monotonic()


def _ready(api: Api, node: str) -> bool:
    conditions = api.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
