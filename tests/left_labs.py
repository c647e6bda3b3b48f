"""Labs of tests whose process ended without taking them down: killed, or interrupted while another one led the tests.

A test's lab is called after the process that made it. pytest-xdist ends its processes some seconds after an interrupt,
whatever they are tidying up, so whoever leads them sweeps afterwards; and the next run sweeps what a SIGKILL left.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from lab.layout import PROJECT

_NAMES = re.compile(r"(?:cp|cpm|test|three|masters|second|killed|failed|going)-([0-9]+)")
DOWN_SECONDS = 300


def orphaned(folder: Path) -> list[str]:
    """The names of labs below a folder that were made by processes which are no more."""
    if not folder.is_dir():
        return []
    makers = {one.name: made[1] for one in folder.iterdir() if (made := _NAMES.fullmatch(one.name))}
    return sorted(name for name, pid in makers.items() if not Path("/proc", pid).exists())


def sweep() -> None:
    """Take them down, and say so."""
    for name in orphaned(PROJECT / ".lab"):
        print(f"taking down {name}: the test process that made it is gone", file=sys.stderr)  # noqa: T201
        argv = [sys.executable, "-m", "lab", "down", "--name", name]
        subprocess.run(argv, cwd=PROJECT, timeout=DOWN_SECONDS, check=False)
