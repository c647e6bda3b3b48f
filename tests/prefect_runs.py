"""Runs of the served deployments, started and answered over REST, as the UI or anybody with curl does it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from lab.api import JSON
from lab.layout import PROJECT
from lab.patience import until
from lab.prefect_service import PrefectApi

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# A run's process needs seconds to start on an idle machine, and a maintenance half a minute.
SECONDS = 420.0


@dataclass(frozen=True)
class Runs:
    """Prefect with the flows served."""

    prefect: PrefectApi

    def start(self, deployment: str, **parameters: object) -> str:
        """Start a run of a deployment; its id."""
        return self.prefect.start_run(f"{deployment}/{deployment}", parameters)

    def state(self, run: str) -> JSON:
        return self.prefect.state_of(run)

    def name(self, run: str) -> str:
        return str(self.prefect.call("GET", f"/flow_runs/{run}")["name"])

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

    def wait_for_form(self, run: str, subject: str) -> tuple[JSON, str]:
        """Wait until the run is suspended with a form about this; the schema of its fields, and the text above them."""

        def there() -> bool:
            seen = self.wait(run, "PAUSED")
            return str(seen["state_details"]["pause_key"]).startswith(f"{subject}-")

        until(there, seconds=SECONDS, what=lambda: f"no form about {subject}: {self.state(run)}", every=0.3)
        return self.form(run)

    def answer(self, run: str, given: JSON) -> JSON:
        """Answer the form of a suspended run; what the server says of the answer."""
        return cast(JSON, self.prefect.call("POST", f"/flow_runs/{run}/resume", {"run_input": given}))

    def form(self, run: str) -> tuple[JSON, str]:
        """The form of a suspended run: the schema of its fields, and the text above them."""
        keys = self.state(run)["state_details"]["run_input_keyset"]

        def value(kind: str) -> Any:
            return self.prefect.call("GET", f"/flow_runs/{run}/input/{keys[kind]}")

        # The state is there a moment before its form.
        until(lambda: _quietly(lambda: value("description")), seconds=30, what="the form is not there", every=0.3)
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


def _quietly(ask: Any) -> bool:
    from lab.errors import LabError

    try:
        return bool(ask())
    except LabError:
        return False


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
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def variables(added: dict[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
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
