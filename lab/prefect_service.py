"""Prefect for a lab: a server with its UI, and ``downtime serve`` beside it, as processes of the lab.

``down`` of the lab ends them with everything else. Both listen on, or talk to, loopback alone.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import processes, state
from lab.errors import LabError
from lab.layout import Lab
from lab.locks import release_ports, reserve_ports
from lab.patience import until
from lab.progress import Progress

LOOPBACK = "127.0.0.1"
DEPLOYMENTS = (
    "planned-maintenance/planned-maintenance",
    "unplanned-recovery/unplanned-recovery",
    "permanent-removal/permanent-removal",
    "rejoin/rejoin",
    "resume-downtime/resume-downtime",
    "abort-downtime/abort-downtime",
)
# The first start makes the database: 10 to 12 s on an idle machine, over 120 s were seen on a busy one.
_SERVER_SECONDS, _SERVE_SECONDS = 300.0, 240.0


@dataclass(frozen=True)
class PrefectApi:
    """A client of Prefect's REST API, as anybody with curl would use it."""

    url: str

    @property
    def ui(self) -> str:
        """Where a person looks."""
        return self.url.removesuffix("/api")

    def call(self, method: str, path: str, body: Any = None, seconds: float = 30.0) -> Any:
        """One request; the answer's JSON. Raises LabError with what the server said."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(request, timeout=seconds) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")[:500]
                # Its database was locked: nothing was done. Prefect's own client tries again as well.
                if error.code != 503 or time.monotonic() > deadline:
                    raise LabError(f"Prefect answered {error.code} to {method} {path}: {said}") from error
            except OSError as error:
                raise LabError(f"Prefect does not answer {method} {path}: {error}") from error
            time.sleep(0.5)

    def start_run(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Start a run of a deployment (``flow/deployment``); its id."""
        found = self.call("GET", f"/deployments/name/{deployment}")
        run = self.call("POST", f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})
        return str(run["id"])

    def state_of(self, run: str) -> dict[str, Any]:
        """The state of a run: ``type``, ``name``, ``message``."""
        return dict(self.call("GET", f"/flow_runs/{run}")["state"])

    def answer(self, run: str, given: dict[str, Any]) -> None:
        """Answer the form of a suspended run. Raises LabError when the answer is refused."""
        said = self.call("POST", f"/flow_runs/{run}/resume", {"run_input": given})
        if said["status"] != "ACCEPT":
            raise LabError(f"Prefect refused the answer: {said}")


def environment(lab: Lab, url: str) -> dict[str, str]:
    """What a process needs to work with this lab's Prefect and cluster."""
    return {
        "DOWNTIME_CONFIG": str(lab.config),
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(lab.folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def up(lab: Lab, progress: Progress) -> PrefectApi:
    """Start the server and serve the flows; what runs already is left as it is. Raises LabError with the log."""
    port = state.read(lab).get("prefect_port")
    if port is None:
        port = reserve_ports(lab, ("prefect",))["prefect"]
        state.update(lab, prefect_port=port)
    api = PrefectApi(f"http://{LOOPBACK}:{port}/api")
    variables = environment(lab, api.url)
    server = ["server", "start", "--host", LOOPBACK, "--port", str(port)]
    with progress.step("starting the Prefect server"):
        log = _ensure(lab, "prefect-server", [program("prefect"), *server], variables)
        until(lambda: _healthy(api), seconds=_SERVER_SECONDS, what="the Prefect server is not healthy", log=log)
    with progress.step("serving the flows"):
        log = _ensure(lab, "downtime-serve", [program("downtime"), "serve"], variables)
        until(lambda: _served(api), seconds=_SERVE_SECONDS, what="the deployments are not served", log=log)
    return api


def down(lab: Lab) -> None:
    """End the processes of a lab, recorded or not, and give its ports back. Raises LabError if one stays."""
    try:
        recorded = state.processes(lab)
    except LabError:
        recorded = []
    every = {daemon.pid: daemon for daemon in [*processes.marked(lab.folder), *recorded]}
    processes.stop(every.values(), grace=20)
    release_ports(lab)


def _ensure(lab: Lab, name: str, argv: list[str], variables: dict[str, str]) -> Path:
    log = lab.logs / f"{name}.log"
    if not any(daemon.name == name and daemon.alive() for daemon in state.processes(lab)):
        state.add_process(lab, processes.start(name, argv, folder=lab.folder, log=log, env=variables))
    return log


def program(name: str) -> str:
    """One of our programs."""
    # Beside the interpreter that runs the lab: the virtual environment's, whatever PATH says.
    return str(Path(sys.executable).with_name(name))


def _healthy(api: PrefectApi) -> bool:
    try:
        return api.call("GET", "/health", seconds=2) is True
    except LabError:
        return False


def _served(api: PrefectApi) -> bool:
    try:
        found = [api.call("GET", f"/deployments/name/{name}", seconds=5) for name in DEPLOYMENTS]
    except LabError:
        return False
    return all(one["status"] == "READY" for one in found)
