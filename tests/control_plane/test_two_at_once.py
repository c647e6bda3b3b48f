"""Two starts in the same instant: exactly one goes ahead, and the other one says who does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from cluster import api as apis
from cluster.config import Settings
from cluster.downtime import Start, enter
from cluster.errors import Blocked
from cluster.options import PlannedOptions
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driven_processes import Driven
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.kill_chains import at_once
from tests.control_plane.kill_ground import Ground
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import NAMESPACE, fleet_of, record_of

ROUNDS, LANES = 50, 5
SYSTEM = ("system-1", "system-2")


@dataclass
class Together(Script):
    """Holds back a request of each of two until both are there; later ones pass."""

    is_it: Callable[[Request], bool]
    there: threading.Barrier
    met: bool = field(default=False)

    async def before(self, request: Request) -> bool:
        if self.is_it(request) and not self.met:
            self.met = True
            await asyncio.to_thread(self.there.wait, 30)
        return True


@dataclass
class TogetherThenStill(Together):
    """The same; and who went ahead does not get on with it until it is let go."""

    let_go: threading.Event = field(default_factory=threading.Event)

    async def before(self, request: Request) -> bool:
        if request.is_journal_write:
            await asyncio.to_thread(self.let_go.wait, 60)
        return await super().before(request)


def race(entries: list[tuple[Settings, str]], options: Sequence[PlannedOptions] = ()) -> list[Blocked | None]:
    """Enter several downtimes at once. Nobody leaves before everybody has entered or was refused.

    Args:
        options: those of each; none: without a person, for all.
    """
    chosen = options or [UNATTENDED] * len(entries)
    begin, through = threading.Barrier(len(entries)), threading.Barrier(len(entries))

    def one(settings: Settings, node: str, options: PlannedOptions) -> Blocked | None:
        api = apis.connect(settings.cluster)
        begin.wait(30)
        try:
            with enter(api, settings, Start("planned", node, options, None, driving.WHO)) as downtime:
                downtime.write(lambda old: old.model_copy(update={"who": downtime.lock.holder}))
                through.wait(30)
                return None
        except Blocked as error:
            through.wait(30)
            return error

    with ThreadPoolExecutor(len(entries)) as pool:
        return list(pool.map(one, *zip(*entries, strict=True), chosen))


def test_of_two_starts_in_the_same_instant_one_goes_ahead(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    nodes = [make_node().node for _ in range(LANES)]
    settings = settings_of(lab)

    def rounds(node: str) -> None:
        for number in range(ROUNDS // LANES):
            # In turn: two that open the downtime, and two that go on with it.
            if number % 2 == 0:
                lab_api.delete(f"{NAMESPACE}/configmaps/node-{node}")
            errors = race([(settings, node)] * 2)
            refused = [error for error in errors if error is not None]
            assert len(refused) == 1, f"round {number}: {errors}"
            assert (refused[0].code, refused[0].exit_code) == ("locked", 3)
            record = record_of(lab_api, node)
            assert record is not None
            assert record["who"] in refused[0].message, "the holder is named"
            assert fleet_of(lab_api)[node]["record"] == record["id"]

    at_once([partial(rounds, node) for node in nodes], LANES)
    for node in nodes:
        driving.abort(settings, node)


def test_of_two_processes_that_take_the_lock_in_the_same_instant_one_goes_ahead(
    lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, make_node: MakeNode
) -> None:
    ground = Ground(lab, lab_api, relay, tmp_path)
    for _ in range(3):
        node = make_node().node
        there = threading.Barrier(2)

        def takes_the_lock(request: Request) -> bool:
            return request.method in ("POST", "PUT") and "/runai-downtime/leases" in request.path

        with ExitStack() as stack:
            scripts = [TogetherThenStill(takes_the_lock, there) for _ in range(2)]
            ways = [stack.enter_context(relay.proxy(lab.kubeconfig, tmp_path, script)) for script in scripts]
            both = [ground.start("run", node, kubeconfig=way, shut_down=False, hold=True) for way in ways]
            _until_one_ended(both)
            for script in scripts:
                script.let_go.set()
            endings = [one.wait() for one in both]
        assert sorted(one.status for one in endings) == [3, 4], [one.said for one in endings]
        refused, ahead = sorted(range(2), key=lambda number: endings[number].status)
        assert endings[refused].code == "locked"
        assert f"/{both[ahead].pid}/" in endings[refused].message
        assert ground.finish("abort", node).status == 0


def _until_one_ended(both: list[Driven]) -> None:
    until(lambda: not all(one.alive for one in both), seconds=60, what="both go on")


@pytest.fixture
def idle_systems(lab: Lab, lab_api: Api) -> Iterator[Settings]:
    """The two system nodes of the lab, which are in downtime at most for the length of a round."""
    settings = settings_of(lab)
    yield settings
    for node in SYSTEM:
        _back_out(lab_api, settings, node)


def _back_out(api: Api, settings: Settings, node: str) -> None:
    record = record_of(api, node)
    if record is not None and record["phase"] != "closed":
        driving.abort(settings, node)


def test_of_the_last_two_system_nodes_one_is_admitted(lab_api: Api, idle_systems: Settings) -> None:
    for number in range(10):
        errors = race([(idle_systems, node) for node in SYSTEM])
        refused = [error for error in errors if error is not None]
        assert [error.code for error in refused] == ["last-system-node"], f"round {number}: {errors}"
        ahead = SYSTEM[errors.index(None)]
        assert [node for node in fleet_of(lab_api) if node in SYSTEM] == [ahead]
        _back_out(lab_api, idle_systems, ahead)


def test_of_the_last_two_system_nodes_whose_admissions_meet_one_is_admitted(
    lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, idle_systems: Settings
) -> None:
    def admits(request: Request) -> bool:
        return request.is_journal_write and request.title.endswith("ConfigMap fleet")

    for _ in range(3):
        there = threading.Barrier(2)
        with ExitStack() as stack:
            ways = [stack.enter_context(relay.proxy(lab.kubeconfig, tmp_path, Together(admits, there))) for _ in SYSTEM]
            entries = [(settings_of(lab, kubeconfig=way), node) for way, node in zip(ways, SYSTEM, strict=True)]
            errors = race(entries)
        refused = [error for error in errors if error is not None]
        assert [error.code for error in refused] == ["last-system-node"], errors
        _back_out(lab_api, idle_systems, SYSTEM[errors.index(None)])
