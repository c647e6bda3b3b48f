"""Measures the forecast of one node of a large cluster beside ``kubectl get pods -A -o json``, in turns.

Both read the pods of the whole cluster from the same API server; the product keeps sums of most.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from typing import Any

from bench import crowd
from bench.ending import end, lab_of_its_own
from bench.forecast_results import FORECAST, KUBECTL, PLAN, SYSTEM_PLAN, ForecastResult, Run
from bench.program import run
from lab.api import Api
from lab.errors import LabError
from lab.layout import Lab
from lab.progress import Progress


def main() -> int:
    """Measure; exit status 0 if the target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.forecast", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="of the cluster (default: 1000)")
    parser.add_argument("--pods", type=int, default=10_000, help="that run on them (default: 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--name", default="bench-forecast", metavar="LAB", help="name of the lab that is made")
    options = parser.parse_args()
    return end(lambda: measure(options.name, options.nodes, options.pods, options.rounds, Progress()))


def measure(name: str, nodes: int, pods: int, rounds: int, progress: Progress) -> ForecastResult:
    """Make a lab, fill it with nodes and pods, measure in turns, and take the lab down."""
    runs: list[Run] = []
    size = 0
    with lab_of_its_own(name, "--no-hosts", "--default-detection") as lab:
        with progress.step(f"making {nodes} nodes and {pods} pods"):
            crowd.make(Api(lab.kubeconfig), nodes, pods)
        with progress.step("reading all of it once: the API server's caches fill, and the cluster settles"):
            kubectl(lab)
        for number in range(1, rounds + 1):
            with progress.step(f"round {number} of {rounds}"):
                first, size = kubectl(lab)
                for one in (first, forecast(lab), plan(lab), plan_of_system_node(lab)):
                    runs.append(one)
                    print(f"{one.how}: {one.seconds:.1f} s, {one.peak_mib:.0f} MiB", file=sys.stderr)
    return ForecastResult(nodes, pods, size / (1 << 20), runs)


def kubectl(lab: Lab) -> tuple[Run, int]:
    """All pods as a person would get them, and the bytes of that."""
    argv = [str(lab.bin / "kubectl"), "--kubeconfig", str(lab.kubeconfig), "get", "pods", "-A", "-o", "json"]
    with tempfile.TemporaryFile() as file:
        seconds, peak, _ = run(argv, file.fileno())
        return Run(KUBECTL, seconds, peak), file.tell()


def forecast(lab: Lab) -> Run:
    """The forecast of one node: its own seconds, without those in which the program starts."""
    argv = [sys.executable, "-P", "-m", "bench.forecasting", str(lab.folder / "downtime.toml"), crowd.name_of(0)]
    _, peak, said = run(argv)
    return Run(FORECAST, float(said.split()[0]), peak)


def plan(lab: Lab) -> Run:
    """The whole command. What it finds forbidden in so artificial a cluster is no matter."""
    seconds, peak, made = _planned(lab, crowd.name_of(0))
    if not any(one.get("forecast") for one in made["workloads"]):
        raise LabError("the plan has no forecast")
    return Run(PLAN, seconds, peak)


def plan_of_system_node(lab: Lab) -> Run:
    """The whole command once more: who could take over is judged from the pods of all nodes."""
    seconds, peak, made = _planned(lab, crowd.name_of(crowd.SYSTEM))
    if made["kind"] != "system":
        raise LabError("the plan is not of a system node")
    return Run(SYSTEM_PLAN, seconds, peak)


def _planned(lab: Lab, node: str) -> tuple[float, float, dict[str, Any]]:
    argv = [sys.executable, "-P", "-c", "from deployments.cli import main; main()"]
    argv += ["plan", "planned", node, "--output", "json"]
    seconds, peak, said = run(argv, ends=(0, 3), DOWNTIME_CONFIG=str(lab.folder / "downtime.toml"))
    made: dict[str, Any] = json.loads(said)
    return seconds, peak, made


if __name__ == "__main__":
    sys.exit(main())
