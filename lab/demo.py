"""The demonstration: a real kubeadm cluster, its backup, and planned maintenance of ``gpu-1`` through its deployment.

``python -m lab.demo`` makes everything and leaves it there to look at; ``--down`` removes all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from lab import cli, prefect_service
from lab.api import Api
from lab.errors import LabError
from lab.layout import Lab
from lab.patience import until
from lab.prefect_service import PrefectApi
from lab.progress import Progress

NAME, NODE = "demo", "gpu-1"
RECORD = f"/api/v1/namespaces/runai-downtime/configmaps/node-{NODE}"
RUN_SECONDS = 600.0
PARAMETERS = {
    "node": NODE,
    "reason": "demonstration: firmware update",
    "interactive": "ask",
    "power_on": "controller",
    "hold": False,
    "requested_by": "make demo",
}


def main() -> int:
    """Run the demonstration, or remove it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo", description=__doc__)
    parser.add_argument("--down", action="store_true", help="remove all that the demonstration made")
    if parser.parse_args().down:
        return cli.main(["down", "--name", NAME])
    progress = Progress()
    try:
        status = cli.main(["up", "--name", NAME, "--no-backup"])
        return status if status else _demonstrate(Lab(NAME), progress)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; 'make demo-down' removes what is there", file=sys.stderr)
        return 130


def _demonstrate(lab: Lab, progress: Progress) -> int:
    prefect = prefect_service.up(lab, progress)
    progress.say(f"the Prefect UI is at {prefect.ui}")
    _downtime(lab, "backup")
    _downtime(lab, "rehearse-recovery", DOWNTIME_RECOVERY__IDENTITY__FILE=str(lab.age_key))
    _downtime(lab, "check-recovery")
    _downtime(lab, "plan", "planned", NODE, "--power-on", "controller", "--no-hold")
    cluster = Api(lab.kubeconfig)
    run = prefect.start_run("planned-maintenance/planned-maintenance", PARAMETERS)
    progress.say(f"started through its deployment: {prefect.ui}/runs/flow-run/{run}")
    state = _follow(cluster, prefect, run, progress)
    if state["type"] != "COMPLETED":
        raise LabError(f"the run ended {state['name']}: {state.get('message')}")
    _land(cluster, progress)
    _report(prefect)
    print(f"\nEverything is still there to look at: {prefect.ui} ('make demo-down' removes all of it).")
    print(f"  .venv/bin/downtime status --config {lab.config}")
    return 0


def _downtime(lab: Lab, *arguments: str, **variables: str) -> None:
    """The command, as a user would call it, with its output on ours."""
    program = prefect_service.program("downtime")
    command, *rest = arguments
    print(f"\n$ downtime {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [program, command, "--config", str(lab.config), *rest],
        timeout=120,
        check=False,
        env={**os.environ, **variables},
    )
    if done.returncode:
        raise LabError(f"'downtime {' '.join(arguments)}' ended with exit status {done.returncode}")


def _follow(cluster: Api, prefect: PrefectApi, run: str, progress: Progress) -> dict[str, Any]:
    """Tell what happens from the record in the cluster, answer the form, and return the run's last state."""
    told, answered = Told(), False
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        _tell(cluster, told, progress)
        state = prefect.state_of(run)
        if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            _tell(cluster, told, progress)
            return state
        if state["type"] == "PAUSED" and not answered:
            progress.say("the run is suspended: it asks about interactive work, and the demonstration answers: evict")
            prefect.answer(run, {"decision": "evict", "who": "make demo"})
            answered = True
        time.sleep(0.5)
    raise LabError(f"the run did not end within {RUN_SECONDS:g} s: {prefect.ui}/runs/flow-run/{run}")


def _report(prefect: PrefectApi) -> None:
    """The report, as it lies in the UI among the run's artifacts."""
    found = prefect.call("GET", f"/artifacts/report-{NODE}/latest")
    print(flush=True)
    Console().print(Markdown(found["data"]))


@dataclass
class Told:
    """What was told already: of which record, and how many lines of its timeline."""

    record: str = ""
    lines: int = 0


def _tell(cluster: Api, told: Told, progress: Progress) -> None:
    try:
        record = json.loads(cluster.call("GET", RECORD)["data"]["record"])
    except LabError:
        return
    if record["id"] != told.record:
        # The closed record of an earlier run is still in its place until the new one is opened.
        told.record, told.lines = record["id"], len(record["timeline"]) if record["phase"] == "closed" else 0
    for moment in record["timeline"][told.lines :]:
        progress.say(f"  {moment['text']}")
    told.lines = max(told.lines, len(record["timeline"]))


def _land(cluster: Api, progress: Progress) -> None:
    """New work lands on the node again."""
    name = f"after-maintenance-{int(time.time())}"
    container = {
        "name": "work",
        "image": _image(cluster),
        "command": ["lab-work"],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "runai-team-a", "labels": {"project": "team-a"}},
        "spec": {"nodeSelector": {"kubernetes.io/hostname": NODE}, "containers": [container]},
    }
    path = "/api/v1/namespaces/runai-team-a/pods"
    with progress.step(f"a new pod that asks for a GPU lands on {NODE}"):
        cluster.call("POST", path, pod)
        until(
            lambda: cluster.call("GET", f"{path}/{name}")["status"].get("phase") == "Running",
            seconds=60,
            what=f"the pod {name} does not run",
        )


def _image(cluster: Api) -> str:
    """The image of the workloads that are there."""
    found = cluster.call("GET", "/apis/batch/v1/namespaces/runai-team-a/jobs")["items"]
    return str(found[0]["spec"]["template"]["spec"]["containers"][0]["image"])


if __name__ == "__main__":
    sys.exit(main())
