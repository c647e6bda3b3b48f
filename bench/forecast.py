"""Measures the forecast of one node of a large cluster beside ``kubectl get pods -A -o json``, in turns.

Both read the pods of the whole cluster from the same API server; the product keeps sums of most.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType

from bench import crowd
from bench.forecast_results import FORECAST, KUBECTL, PLAN, ForecastResult, Run
from lab import cli
from lab.api import Api
from lab.errors import LabError
from lab.layout import PROJECT, Lab
from lab.progress import Progress


def main() -> int:
    """Measure; exit status 0 if the target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.forecast", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000, help="of the cluster (default: 1000)")
    parser.add_argument("--pods", type=int, default=10_000, help="that run on them (default: 10000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--name", default="bench-forecast", metavar="LAB", help="name of the lab that is made")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _lab(options.name) as lab:
            result = measure(lab, options.nodes, options.pods, options.rounds, Progress())
    except LabError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(result.text())
    print()
    print(json.dumps(result.document()))
    return 0 if result.good else 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def measure(lab: Lab, nodes: int, pods: int, rounds: int, progress: Progress) -> ForecastResult:
    """Fill a lab with nodes and pods, and measure in turns."""
    with progress.step(f"making {nodes} nodes and {pods} pods"):
        crowd.make(Api(lab.kubeconfig), nodes, pods)
    runs: list[Run] = []
    size = 0
    for number in range(1, rounds + 1):
        with progress.step(f"round {number} of {rounds}"):
            run, size = kubectl(lab)
            for one in (run, forecast(lab), plan(lab)):
                runs.append(one)
                print(f"{one.how}: {one.seconds:.1f} s, {one.peak_mib:.0f} MiB", file=sys.stderr)
    return ForecastResult(nodes, pods, size / (1 << 20), runs)


def kubectl(lab: Lab) -> tuple[Run, int]:
    """All pods as a person would get them, and the bytes of that."""
    argv = [str(lab.bin / "kubectl"), "--kubeconfig", str(lab.kubeconfig), "get", "pods", "-A", "-o", "json"]
    with tempfile.TemporaryFile() as file:
        seconds, peak, _ = _run(argv, file.fileno())
        return Run(KUBECTL, seconds, peak), file.tell()


def forecast(lab: Lab) -> Run:
    """The forecast of one node: its own seconds, without those in which the program starts."""
    argv = [sys.executable, "-P", "-m", "bench.forecasting", str(lab.folder / "downtime.toml"), crowd.name_of(0)]
    _, peak, said = _run(argv)
    return Run(FORECAST, float(said.split()[0]), peak)


def plan(lab: Lab) -> Run:
    """The whole command. What it finds forbidden in so artificial a cluster is no matter."""
    argv = [sys.executable, "-P", "-c", "from deployments.cli import main; main()"]
    argv += ["plan", "planned", crowd.name_of(0), "--output", "json"]
    seconds, peak, said = _run(argv, ends=(0, 3), DOWNTIME_CONFIG=str(lab.folder / "downtime.toml"))
    told = [one.get("forecast") for one in json.loads(said)["workloads"]]
    if not any(told):
        raise LabError("the plan has no forecast")
    return Run(PLAN, seconds, peak)


def _run(
    argv: Sequence[str], output: int = subprocess.PIPE, ends: Sequence[int] = (0,), **environment: str
) -> tuple[float, float, bytes]:
    """Seconds from start to end, the peak memory in MiB of the program itself, and what it said."""
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    began = time.monotonic()
    process = subprocess.Popen(argv, stdout=output, env={**os.environ, "PYTHONPATH": path, **environment})
    try:
        said = process.stdout.read() if process.stdout is not None else b""
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ends:
        raise LabError(f"{Path(argv[0]).name} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024, said


@contextmanager
def _lab(name: str) -> Iterator[Lab]:
    with redirect_stdout(sys.stderr):
        if cli.main(["up", "--name", name, "--no-hosts", "--default-detection"]):
            raise LabError(f"the lab {name} did not come up")
    try:
        yield Lab(name)
    finally:
        with redirect_stdout(sys.stderr):
            cli.main(["down", "--name", name])


if __name__ == "__main__":
    sys.exit(main())
