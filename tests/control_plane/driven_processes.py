"""Processes that run ``driving.py``, for tests that kill, freeze and race them.

They come from a fork server that has imported the product already: a start takes a tenth of a second, not one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.control_plane import driving

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.control_plane.driving", "tests.control_plane.driven_processes", "cluster.ssh_connection", "kubernetes"]
)


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit status (negative: the signal), its last words, and all that it said."""

    status: int
    code: str
    message: str
    said: str


class Driven:
    """A process of the product."""

    def __init__(self, process: BaseProcess, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    @property
    def said(self) -> str:
        """What it has said until now."""
        return self._output.read_text() if self._output.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    def wait(self, seconds: float = 120) -> Ended:
        """Wait for its end. Fails, and kills it, when it does not end in time."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            self.signal(signal.SIGKILL)
            self._process.join(10)
            raise AssertionError(f"it did not end within {seconds:g} s; it said:\n{self.said}")
        said = self.said
        last = said.rstrip().rpartition("\n")[2]
        words = json.loads(last) if last.startswith("{") else {"code": "", "message": ""}
        return Ended(self._process.exitcode, words["code"], words["message"], said)


def start(arguments: list[str], output: Path, variables: Mapping[str, str]) -> Driven:
    """Start ``driving.py`` with these arguments, this file for its output, and these environment variables."""
    process = _CONTEXT.Process(target=_work, args=(arguments, str(output), dict(variables)), daemon=True)
    process.start()
    return Driven(process, output)


def _work(arguments: list[str], output: str, variables: dict[str, Any]) -> None:
    os.environ.update(variables)
    with Path(output).open("w", buffering=1) as file:
        sys.stdout = sys.stderr = file
        try:
            status = driving.main(arguments)
        except BaseException:  # noqa: BLE001 - what a script would show on its standard error
            traceback.print_exc()
            status = 70
    # The child of a fork server has nothing of its own to tidy up; a real process of the product exits here as well.
    os._exit(status)
