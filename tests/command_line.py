"""Running the command ``downtime`` as a person or a script does: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
_MAIN = "from deployments.cli import main; main()"


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its standard output, which must be JSON and nothing else."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error in its JSON output."""
        found: dict[str, Any] = self.document["error"]
        assert set(found) == {"code", "message", "remedy", "changed", "exit_code"}
        assert found["exit_code"] == self.code
        return found


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Variables for a command whose home and state are in ``folder``; no configuration of this machine leaks in."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOWNTIME_", "PREFECT_", "KUBE"))}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "PREFECT_HOME": str(folder / "prefect"),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def arguments(*words: str) -> list[str]:
    """The argument list of a command."""
    return [sys.executable, "-P", "-c", _MAIN, *words]


def in_this_process(*words: str) -> Ended:
    """The same without a process of its own: quicker, for what ends before anything is opened."""
    from typer.testing import CliRunner

    from deployments.cli import app

    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def downtime(folder: Path, *words: str, timeout: float = 60, **variables: str) -> Ended:
    """Run ``downtime WORDS`` in ``folder``, with nobody at a terminal."""
    done = subprocess.run(
        arguments(*words),
        cwd=folder,
        env=environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)
