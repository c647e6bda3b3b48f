"""The flows as they are served: a Prefect server and ``downtime serve`` on a lab, used as anybody with curl would.

On the machines that a test chooses, sudo wants a password, which the serving process has in a variable: a secret whose
way can be followed.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import prefect_service, state
from lab.machines import inside
from lab.patience import until
from lab.progress import Progress
from tests.hosts.product import HURRIED
from tests.prefect_runs import Runs, variables

if TYPE_CHECKING:
    from tests.hosts.conftest import HostsLab

CANARY = f"canary-{secrets.token_hex(8)}"
PASSWORD = {"LAB_SUDO_PASSWORD": CANARY, "DOWNTIME_HOSTS__SUDO_PASSWORD": json.dumps({"env": "LAB_SUDO_PASSWORD"})}
_SUDOERS = "/etc/sudoers.d/ops"


@dataclass(frozen=True)
class Served(Runs):
    """Prefect for a lab, with the flows served."""

    hosts: HostsLab

    def kill(self) -> None:
        """SIGKILL the serving process and every run that it started, as when their machine loses its power."""
        serve = next(one for one in state.processes(self.hosts.lab) if one.name == "downtime-serve" and one.alive())
        doomed = [serve.pid, *_descendants(serve.pid)]
        assert len(doomed) > 1, "no run is under way"
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not serve.alive(), seconds=10, what="the serving process lives on")

    def up(self) -> None:
        """Start what does not run."""
        with variables(HURRIED | PASSWORD):
            prefect_service.up(self.hosts.lab, Progress())


@contextmanager
def serving(hosts: HostsLab) -> Iterator[Served]:
    """Prefect on the lab; it ends with the lab."""
    with variables(HURRIED | PASSWORD):
        api = prefect_service.up(hosts.lab, Progress())
    yield Served(api, hosts)


@contextmanager
def sudo_with_password(hosts: HostsLab, node: str) -> Iterator[None]:
    """On one machine, sudo asks for the user's password, which is the canary."""
    machine = hosts.machine(node)
    before = inside(hosts.lab, machine, "cat", _SUDOERS)
    inside(hosts.lab, machine, "chpasswd", stdin=f"ops:{CANARY}\n")
    inside(hosts.lab, machine, "tee", _SUDOERS, stdin="ops ALL=(ALL) ALL\n")
    try:
        yield
    finally:
        inside(hosts.lab, machine, "tee", _SUDOERS, stdin=before)
        inside(hosts.lab, machine, "usermod", "-p", "*", "ops")


def _descendants(pid: int) -> list[int]:
    children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return [*children, *(below for child in children for below in _descendants(child))]
