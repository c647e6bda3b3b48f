"""Where processes are killed: a proxy that kills at a chosen journal write, and names for these writes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.api import Api
from lab.layout import Lab
from tests.control_plane import driven_processes
from tests.control_plane.driven_processes import Driven, Ended
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_states import OWNS

When = Literal["before", "after"]
# A lock that stands still is taken over soon, and yet a process on a busy machine keeps its own.
LOCK_SECONDS = 4
HURRIED = {"DOWNTIME_CLUSTER__LOCK_SECONDS": str(LOCK_SECONDS), "DOWNTIME_POWER__COMMAND__TIMEOUT": "10"}
# The end of the label of the write that says where each workload went.
WENT = "; whereabouts known"


@dataclass
class Killing(Script):
    """Kills the process at one of its journal writes: at the first one with a label, or else at one by its number.

    Attributes:
        at: that number, counted from 1 among those that succeed; 0: at none.
        when: before the write is handed on, or after the server has answered.
        wanted: the label; empty: the number counts.
        written: the labels of what was written.
        killed_at: the label of the write at which it was killed; empty: it was not.
    """

    at: int = 0
    when: When = "before"
    wanted: str = ""
    victim: Future[int] = field(default_factory=Future)
    written: list[str] = field(default_factory=list)
    killed_at: str = ""

    async def before(self, request: Request) -> bool:
        if self.when == "before" and request.is_journal_write and self._is_it(request, len(self.written) + 1):
            return await self._kill(request)
        return True

    async def after(self, request: Request, status: int) -> bool:
        if request.is_journal_write and 200 <= status < 300:
            self.written.append(label(request, first=not self.written))
            if self.when == "after" and self._is_it(request, len(self.written)):
                return await self._kill(request)
        return True

    def _is_it(self, request: Request, number: int) -> bool:
        return label(request) == self.wanted if self.wanted else number == self.at

    async def _kill(self, request: Request) -> bool:
        # An answer comes after its write was counted.
        self.killed_at = label(request, first=len(self.written) == (self.when == "after"))
        os.kill(await asyncio.wrap_future(self.victim), signal.SIGKILL)
        return False


@dataclass
class KilledOnce(Killing):
    """Kills the process once it has written a record whose newest step is this one, in this state."""

    reached: str = ""

    def __init__(self, reached: str) -> None:
        super().__init__()
        self.reached = reached

    async def after(self, request: Request, status: int) -> bool:
        if request.is_journal_write and 200 <= status < 300 and f": {self.reached};" in label(request):
            return await self._kill(request)
        return True


def label(request: Request, *, first: bool = False) -> str:
    """What a journal write says, so that the same write of two processes has the same label.

    Args:
        first: it is the first one of its process, which may say that this one goes on.
    """
    body = json.loads(request.body)
    name = body["metadata"]["name"]
    if request.method == "PUT" and "/nodes/" in request.path and not body["metadata"].get("annotations", {}).get(OWNS):
        stands_in = json.loads(body["metadata"].get("annotations", {}).get("runai-downtime/designated", "null"))
        if stands_in:
            return f"Node, designated: {'label' if stands_in['owns'] else 'no label'}"
    if request.method == "PUT" and "/nodes/" in request.path:
        mark = json.loads(body["metadata"].get("annotations", {}).get(OWNS, "null"))
        return f"Node, owned: {', '.join(mark['owns']) or 'nothing'}" if mark else "Node, without mark"
    if name == "fleet":
        return "fleet"
    record = json.loads(body["data"]["record"])
    if name.startswith("closed-"):
        return "archive"
    if first and record["timeline"][-1]["text"].startswith("continued by"):
        return "record, continued"
    step, state = list(record["steps"].items())[-1] if record["steps"] else ("nothing", {"state": "done"})
    changes = ", ".join(f"{one['what']} {one['state']}" for one in record.get("changes", ()))
    drained = "; workloads known" if record.get("workloads") else ""
    went = WENT if record.get("went") and record["phase"] == "draining" else ""
    return f"record, {record['phase']}: {step} {state['state']}; {changes or 'no changes'}{drained}{went}"


@dataclass(frozen=True)
class Ground:
    """A lab, and how processes of the product are started on it."""

    lab: Lab
    api: Api
    relay: Relay
    folder: Path
    variables: dict[str, str] = field(default_factory=lambda: dict(HURRIED))
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, command: str, node: str, *, kubeconfig: Path | None = None, **options: object) -> Driven:
        """Start a process of the product; with this kubeconfig, or with the lab's."""
        variables = {"DOWNTIME_CONFIG": str(self.lab.config), **self.variables}
        if kubeconfig is not None:
            variables["DOWNTIME_CLUSTER__KUBECONFIG"] = str(kubeconfig)
        arguments = [command, node, json.dumps(options)]
        return driven_processes.start(arguments, self.folder / f"said-{next(self._numbers)}", variables)

    def finish(self, command: str, node: str, **options: object) -> Ended:
        """The same, to its end."""
        return self.start(command, node, kubeconfig=None, **options).wait()

    def under(self, script: Killing, command: str, node: str, **options: object) -> Ended:
        """Run a process to its end, or to where the script kills it."""
        with self.relay.proxy(self.lab.kubeconfig, self.folder, script) as kubeconfig:
            driven = self.start(command, node, kubeconfig=kubeconfig, **options)
            script.victim.set_result(driven.pid)
            return driven.wait()
