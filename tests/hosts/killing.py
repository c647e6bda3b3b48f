"""Kills a process of the product at a chosen moment: seen by what it writes into the record, on its way to the server.

The product has no hook for it: its kubeconfig leads through a proxy.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal

from lab.api import JSON
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.hosts.product import Product

# Nobody writes more often than this in a test, so whoever has not come by is stuck.
SECONDS = 420.0


@dataclass(frozen=True)
class Moment:
    """When a process dies.

    ``intended``: the step stands in the record, and nothing was done for it yet. ``told``: the record says that the
    machine is to be shut down, and it was not told. ``done``: all is done, and the record does not say so yet.
    """

    step: str
    state: Literal["intended", "told", "done"]

    def __str__(self) -> str:
        return f"{self.step}-{self.state}"

    def has_come(self, record: JSON) -> bool:
        if self.state == "told":
            return any(change["what"] == "shutdown" for change in record["changes"])
        return bool(record["steps"].get(self.step, {}).get("state") == self.state)


@dataclass
class Killing(Script):
    """Kills the process at a moment: ``done`` before the server has the write, the others after."""

    node: str
    moment: Moment
    victim: Future[int] = field(default_factory=Future)
    killed: bool = False

    async def before(self, request: Request) -> bool:
        return await self._go_on(request) if self.moment.state == "done" else True

    async def after(self, request: Request, status: int) -> bool:
        return True if self.moment.state == "done" or status >= 300 else await self._go_on(request)

    async def _go_on(self, request: Request) -> bool:
        record = self._record(request)
        if self.killed or record is None or not self.moment.has_come(record):
            return not self.killed
        self.killed = True
        os.kill(await asyncio.wrap_future(self.victim), signal.SIGKILL)
        return False

    def _record(self, request: Request) -> JSON | None:
        if request.method != "PUT" or not request.path.endswith(f"/configmaps/node-{self.node}"):
            return None
        return dict(json.loads(json.loads(request.body)["data"]["record"]))


def killed_at(product: Product, relay: Relay, node: str, moment: Moment, *arguments: str) -> None:
    """Run the command until the moment has come, and kill it there."""
    script = Killing(node, moment)
    with relay.proxy(product.hosts.lab.kubeconfig, product.folder, script) as kubeconfig:
        through = product.configured(DOWNTIME_CLUSTER__KUBECONFIG=str(kubeconfig))
        running = through.start(*arguments)
        script.victim.set_result(running.pid)
        ended = running.wait(SECONDS)
        running.kill()
    assert script.killed, f"it ended with {ended.code} and was never at {moment}:\n{ended.said}"
    assert ended.code == -signal.SIGKILL
