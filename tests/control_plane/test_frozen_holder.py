"""A process that is frozen past its lease, overtaken, and then woken changes nothing more."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driven_processes import Driven
from tests.control_plane.kill_ground import Ground, label
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_states import (
    ending_of,
    fleet_of,
    lease_of,
    machine_of,
    mark_of,
    node_of,
    record_of,
    untouched,
)

HOLDING = {"shut_down": False, "hold": True}


@dataclass
class Freezing(Script):
    """Freezes the process at a request: after its answer is on its way back, or while it is on its way there.

    Attributes:
        is_it: the request, given what was written before it.
        in_flight: the request is held back until ``go`` is set: it reaches the server long after it was sent.
    """

    is_it: Callable[[Request, list[str]], bool]
    in_flight: bool
    victim: Future[int] = field(default_factory=Future)
    frozen: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    written: list[str] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    held: Request | None = None
    woken: bool = False
    changed: list[str] = field(default_factory=list)

    async def before(self, request: Request) -> bool:
        if self.in_flight and not self.frozen.is_set() and self.is_it(request, self.written):
            self.held = request
            await self._freeze()
            await asyncio.to_thread(self.go.wait, 90)
        return True

    async def after(self, request: Request, status: int) -> bool:
        # Others may have been on their way at the same time (a renewal of the lease), and are answered as they should.
        if request is self.held:
            self.late.append(status)
        if self.woken and request.method != "GET" and 200 <= status < 300:
            self.changed.append(f"{request.method} {request.path}")
        if request.is_journal_write and 200 <= status < 300:
            self.written.append(label(request))
        if not self.in_flight and not self.frozen.is_set() and self.is_it(request, self.written):
            await self._freeze()
        return True

    async def _freeze(self) -> None:
        os.kill(await asyncio.wrap_future(self.victim), signal.SIGSTOP)
        self.frozen.set()


@contextmanager
def frozen(ground: Ground, script: Freezing, node: str, **options: object) -> Iterator[Driven]:
    """A process that was frozen; whatever happens, it is gone at the end."""
    with ground.relay.proxy(ground.lab.kubeconfig, ground.folder, script) as kubeconfig:
        driven = ground.start("run", node, kubeconfig=kubeconfig, **options)
        script.victim.set_result(driven.pid)
        try:
            assert script.frozen.wait(60), f"it never came to the request: {driven.said}"
            yield driven
        finally:
            script.go.set()
            driven.signal(signal.SIGKILL)


def wake(script: Freezing, driven: Driven) -> None:
    """Let what is in flight arrive, and the process go on, to its end: it must end by itself, as overtaken."""
    script.woken = True
    script.go.set()
    driven.signal(signal.SIGCONT)
    ended = driven.wait(60)
    assert (ended.status, ended.code) == (1, "lock-lost"), ended.said
    assert script.changed == []


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path) -> Ground:
    return Ground(lab, lab_api, relay, tmp_path)


def reads_the_node_to_taint_it(request: Request, written: list[str]) -> bool:
    ready = bool(written) and "taint intended" in written[-1]
    return ready and request.method == "GET" and "/api/v1/nodes/" in request.path


def taints_the_node(request: Request, written: list[str]) -> bool:
    return request.is_journal_write and label(request) == "Node, owned: cordon, taint"


def records_the_cordon(request: Request, written: list[str]) -> bool:
    return request.is_journal_write and "cordon done" in label(request)


def reads_its_record(request: Request, written: list[str]) -> bool:
    last = written[-1] if written else ""
    return request.method == "GET" and "/configmaps/node-" in request.path and last == "Node, owned: cordon"


@pytest.mark.parametrize(
    ("is_it", "in_flight"),
    [
        (reads_the_node_to_taint_it, False),
        (taints_the_node, True),
        (reads_its_record, False),
        (records_the_cordon, True),
    ],
)
def test_woken_after_it_was_overtaken_it_changes_nothing(
    ground: Ground, make_node: MakeNode, is_it: Callable[[Request, list[str]], bool], in_flight: bool
) -> None:
    node = make_node().node
    script = Freezing(is_it, in_flight)
    with frozen(ground, script, node, **HOLDING) as driven:
        taker = ground.finish("resume", node)
        assert (taker.status, taker.code) == (4, "waiting-for-return"), taker.said
        epoch = lease_of(ground.api, node)["spec"]["leaseTransitions"]
        found, record = node_of(ground.api, node), record_of(ground.api, node)
        wake(script, driven)
        assert script.late[:1] in ([], [409]), "what was in flight is refused"
    now = node_of(ground.api, node)
    assert now["spec"] == found["spec"]
    assert now["metadata"]["annotations"] == found["metadata"]["annotations"]
    assert record_of(ground.api, node) == record
    mark = mark_of(ground.api, node)
    assert mark is not None
    assert record is not None
    assert mark["epoch"] == record["epoch"] == epoch == 2
    assert ground.finish("resume", node).status == 0
    assert untouched(ground.api, node)


def test_woken_after_all_is_over_it_does_not_shut_the_machine_down_again(ground: Ground, make_node: MakeNode) -> None:
    node = make_node().node

    def intends_shutdown(_: Request, written: list[str]) -> bool:
        return bool(written) and "shutdown intended" in written[-1]

    script = Freezing(intends_shutdown, in_flight=False)
    with frozen(ground, script, node) as driven:
        assert ground.finish("resume", node).status == 0
        ending = ending_of(ground.lab, ground.api, node)
        assert ending.phase == "closed"
        wake(script, driven)
    assert ending_of(ground.lab, ground.api, node) == ending
    assert machine_of(ground.lab, node).powered_off == 1


def test_woken_in_its_admission_it_does_not_take_the_place_of_who_overtook_it(
    ground: Ground, make_node: MakeNode
) -> None:
    node = make_node().node

    def admits(request: Request, _: list[str]) -> bool:
        return request.is_journal_write and label(request) == "fleet"

    script = Freezing(admits, in_flight=True)
    with frozen(ground, script, node, **HOLDING) as driven:
        taker = ground.finish("run", node, **HOLDING)
        assert taker.status == 4, taker.said
        record = record_of(ground.api, node)
        wake(script, driven)
        assert script.late[0] == 409
    assert record is not None
    assert record_of(ground.api, node) == record
    assert fleet_of(ground.api)[node]["record"] == record["id"]
    assert ground.finish("resume", node).status == 0
    assert node not in fleet_of(ground.api)
