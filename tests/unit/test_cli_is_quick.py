"""The command answers at once, and looking never needs Prefect."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import ROOT, downtime, environment

_IMPORTED = """
import json, sys
from deployments import cli
try:
    cli.app(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("\\n" + json.dumps({"code": code, "modules": sorted(name.partition(".")[0] for name in sys.modules)}))
"""


def imported(folder: Path, *words: str) -> tuple[int, set[str]]:
    """The exit code of a command, and the packages that it imported."""
    argv = [sys.executable, "-P", "-c", _IMPORTED, *words]
    done = subprocess.run(
        argv, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=True
    )
    last = json.loads(done.stdout.splitlines()[-1])
    return last["code"], set(last["modules"])


def unreachable(folder: Path) -> Path:
    """A configuration for a cluster that nobody serves: port 9 of this machine."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:9"}}],
                "users": [{"name": "a", "user": {"token": "x"}}],
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "current-context": "a",
            }
        )
    )
    config = folder / "downtime.toml"
    config.write_text('[cluster]\nuid = "u"\nkubeconfig = "kubeconfig"\n')
    return config


def test_help_takes_less_than_half_a_second_of_work(tmp_path: Path) -> None:
    """Of processor time: a busy machine is not the command's fault."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times = []
    for _ in range(3):
        before = spent()
        assert downtime(tmp_path, "--help").code == 0
        times.append(spent() - before)
    assert min(times) < 0.5, times


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("schema", "plan")])
def test_help_imports_neither_prefect_nor_adapters(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, modules = imported(tmp_path, *words)
    assert code == 0
    assert not modules & {"prefect", "fabric", "kubernetes"}


@pytest.mark.parametrize("words", [("plan", "planned", "gpu-1"), ("status",), ("status", "gpu-1")])
def test_looking_never_imports_prefect(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Through to the first request, which nobody answers; that the rest needs none either is shown on a real one."""
    unreachable(tmp_path)
    code, modules = imported(tmp_path, *words)
    assert code == 3
    assert "kubernetes" in modules, "it got as far as the session"
    assert "prefect" not in modules


def test_the_modules_of_commands_import_no_prefect(tmp_path: Path) -> None:
    names = [f"deployments.{path.stem}" for path in (ROOT / "deployments").glob("commands_*.py")]
    assert len(names) > 5
    code = f"import sys\nfor name in {names!r}: __import__(name)\nassert 'prefect' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], env=environment(tmp_path), timeout=60, check=True)
