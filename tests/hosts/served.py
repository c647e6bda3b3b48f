"""The flows as they are served: a Prefect server and ``downtime serve`` on a lab, used as anybody with curl would.

On the machines that a test chooses, sudo wants a password, which the serving process has in a variable: a secret whose
way can be followed.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lab import prefect_service, state
from lab.api import JSON
from lab.layout import PROJECT
from lab.machines import inside
from lab.patience import until
from lab.prefect_service import PrefectApi
from lab.progress import Progress
from tests.hosts.product import HURRIED

if TYPE_CHECKING:
    from tests.hosts.conftest import HostsLab

CANARY = f"canary-{secrets.token_hex(8)}"
PASSWORD = {"LAB_SUDO_PASSWORD": CANARY, "DOWNTIME_HOSTS__SUDO_PASSWORD": json.dumps({"env": "LAB_SUDO_PASSWORD"})}
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# A run's process needs seconds to start on an idle machine, and a maintenance half a minute.
SECONDS = 420.0
_SUDOERS = "/etc/sudoers.d/ops"


@dataclass(frozen=True)
class Served:
    """Prefect for a lab, with the flows served."""

    hosts: HostsLab
    prefect: PrefectApi

    def start(self, deployment: str, **parameters: object) -> str:
        """Start a run of a deployment; its id."""
        return self.prefect.start_run(f"{deployment}/{deployment}", parameters)

    def state(self, run: str) -> JSON:
        return self.prefect.state_of(run)

    def wait(self, run: str, *types: str) -> JSON:
        """Wait until the run's state is of one of these types; the state."""

        def there() -> JSON | None:
            seen = self.state(run)
            assert seen["type"] in types or seen["type"] not in ENDED, (
                f"the run ended {seen['name']}: {seen['message']}"
            )
            return seen if seen["type"] in types else None

        return cast(
            JSON, until(there, seconds=SECONDS, what=lambda: f"the run is {self.state(run)['name']}", every=0.3)
        )

    def answer(self, run: str, given: JSON) -> JSON:
        """Answer the form of a suspended run; what the server says of the answer."""
        return cast(JSON, self.prefect.call("POST", f"/flow_runs/{run}/resume", {"run_input": given}))

    def form(self, run: str) -> tuple[JSON, str]:
        """The form of a suspended run: the schema of its fields, and the text above them."""
        keys = self.state(run)["state_details"]["run_input_keyset"]

        def value(kind: str) -> Any:
            return self.prefect.call("GET", f"/flow_runs/{run}/input/{keys[kind]}")

        return value("schema"), str(value("description"))

    def artifacts(self, run: str) -> dict[str, str]:
        """The newest artifact of a run under each key, as text."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}, "sort": "CREATED_DESC"}
        found: dict[str, str] = {}
        for one in self.prefect.call("POST", "/artifacts/filter", wanted):
            found.setdefault(str(one["key"]), one["data"] if isinstance(one["data"], str) else json.dumps(one["data"]))
        return found

    def cancel(self, run: str) -> None:
        """What the button in the UI does."""
        self.prefect.call("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})

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
        with _variables(HURRIED | PASSWORD):
            prefect_service.up(self.hosts.lab, Progress())


@contextmanager
def serving(hosts: HostsLab) -> Iterator[Served]:
    """Prefect on the lab; it ends with the lab."""
    with _variables(HURRIED | PASSWORD):
        api = prefect_service.up(hosts.lab, Progress())
    yield Served(hosts, api)


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


def readme_commands(holding: str) -> str:
    """The shell commands of the README's block that holds this text."""
    blocks = (PROJECT / "README.md").read_text().split("```sh\n")[1:]
    found = [block.split("```")[0] for block in blocks if holding in block.split("```")[0]]
    assert len(found) == 1, f"the README has {len(found)} blocks with {holding}"
    return found[0]


def in_shell(commands: str, **variables: str) -> str:
    """Run shell commands as a reader of the README would; what they print."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def _variables(added: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _descendants(pid: int) -> list[int]:
    children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return [*children, *(below for child in children for below in _descendants(child))]
