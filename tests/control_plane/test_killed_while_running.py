"""A process that is killed before or after any journal write: another one goes on, and ends in the same state."""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, interactive
from tests.control_plane import driven_processes
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driven_processes import Driven, Ended
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_states import (
    Ending,
    ending_of,
    lease_of,
    machine_of,
    record_of,
    untouched,
)

When = Literal["before", "after"]
NODES = 10
VARIABLES = {"DOWNTIME_CLUSTER__LOCK_SECONDS": "2", "DOWNTIME_POWER__COMMAND__TIMEOUT": "10"}


@dataclass
class Killing(Script):
    """Counts the journal writes that succeed, and kills the process at one of them; at none if ``at`` is 0."""

    at: int = 0
    when: When = "before"
    victim: Future[int] = field(default_factory=Future)
    written: list[str] = field(default_factory=list)
    killed_at: str = ""

    async def before(self, request: Request) -> bool:
        if self.when == "before" and request.is_journal_write and len(self.written) == self.at - 1:
            return await self._kill(request)
        return True

    async def after(self, request: Request, status: int) -> bool:
        if request.is_journal_write and 200 <= status < 300:
            self.written.append(request.title)
            if self.when == "after" and len(self.written) == self.at:
                return await self._kill(request)
        return True

    async def _kill(self, request: Request) -> bool:
        self.killed_at = request.title
        os.kill(await asyncio.wrap_future(self.victim), signal.SIGKILL)
        return False


@dataclass(frozen=True)
class Ground:
    """Where the kill tests take place."""

    lab: Lab
    api: Api
    relay: Relay
    folder: Path
    nodes: tuple[str, ...]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self, command: str, node: str, kubeconfig: Path | None = None) -> Driven:
        """Start a process of the product; by this kubeconfig, or by the lab's."""
        variables = {"DOWNTIME_CONFIG": str(self.lab.config), **VARIABLES}
        if kubeconfig is not None:
            variables["DOWNTIME_CLUSTER__KUBECONFIG"] = str(kubeconfig)
        return driven_processes.start([command, node], self.folder / f"said-{next(self.numbers)}", variables)

    def through_proxy(self, command: str, node: str, script: Killing) -> Ended:
        """The same under the eyes of a proxy, to its end."""
        with self.relay.proxy(self.lab.kubeconfig, self.folder, script) as kubeconfig:
            driven = self.start(command, node, kubeconfig)
            script.victim.set_result(driven.pid)
            return driven.wait()


@pytest.fixture
def ground(
    lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, make_node: MakeNode, make_object: MakeObject
) -> Ground:
    nodes = tuple(make_node().node for _ in range(NODES))
    for node in nodes:
        make_object(interactive(f"notebook-{node}", Work(node=node, grace_seconds=1)))
    return Ground(lab, lab_api, relay, tmp_path, nodes)


def test_undisturbed(ground: Ground) -> None:
    script = Killing()
    import time

    t = time.time()
    ended = ground.through_proxy("run", ground.nodes[0], script)
    print(time.time() - t)
    print(ended.said)
    print(len(script.written))
    print("\n".join(script.written))
    print(ending_of(ground.lab, ground.api, ground.nodes[0]))
    assert ended.status == 0
    assert 0
