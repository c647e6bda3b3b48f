"""A recovery that is killed before or after any journal write: another process ends it, as if undisturbed."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from lab.api import Api
from lab.layout import Lab
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.kill_chains import Chain, at_once
from tests.control_plane.kill_ground import HURRIED, Ground, Killing, When
from tests.control_plane.killing_proxy import Relay, Request
from tests.control_plane.protocol_states import ending_of, machine_of, node_of
from tests.control_plane.recovering import OUT, fail, is_there, notebook
from tests.control_plane.test_killed_while_running import all_killed, sections, undisturbed

# Minutes of it: what must always hold of this procedure is in its other tests.
pytestmark = pytest.mark.long

SECTIONS = 4
WHENS: tuple[When, ...] = get_args(When)
QUICK = {
    **HURRIED,
    # Several of them at once, each seen by a proxy that looks: a busy machine must not lose locks that are held.
    "DOWNTIME_CLUSTER__LOCK_SECONDS": "8",
    "DOWNTIME_HOSTS__CONNECT_TIMEOUT": "0.5",
    "DOWNTIME_DRAIN__STABLE_SECONDS": "3",
    "DOWNTIME_DRAIN__OFF_MINUTES": "1",
}


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path) -> Ground:
    return replace(Ground(lab, lab_api, relay, tmp_path), variables=QUICK)


@dataclass
class NeverBoth(Killing):
    """Kills, and sees that out-of-service taint and power never go together."""

    ground: Ground | None = None
    wrong: list[str] | None = None

    async def before(self, request: Request) -> bool:
        await asyncio.to_thread(self._look, request)
        return await super().before(request)

    def _look(self, request: Request) -> None:
        assert self.ground is not None
        assert self.wrong is not None
        if not request.is_journal_write:
            return
        body = json.loads(request.body)
        name = body["metadata"]["name"]
        if "/nodes/" in request.path:
            sets = any(one["key"] == OUT for one in body["spec"].get("taints", []))
            if sets and machine_of(self.ground.lab, name).power != "off":
                self.wrong.append(f"the out-of-service taint is set on {name}, whose machine is on")
        elif name.startswith("node-"):
            record = json.loads(body["data"]["record"])
            if not record["steps"].get("power-on"):
                return
            taints = node_of(self.ground.api, record["node"])["spec"].get("taints", [])
            if any(one["key"] == OUT for one in taints):
                self.wrong.append(f"{record['node']} is to be switched on, and the out-of-service taint stands")


@pytest.mark.timeout(1800)
def test_killed_at_every_journal_write_it_ends_in_the_same_state(
    ground: Ground, make_node: MakeNode, make_object: MakeObject
) -> None:
    hosts = [make_node() for _ in range((SECTIONS + 1) * len(WHENS) + 1)]
    stuck = [notebook(ground.api, make_object, host.node) for host in hosts]
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(partial(fail, ground.lab, ground.api), hosts))
    quiet, *nodes = [host.node for host in hosts]
    before = {node: machine_of(ground.lab, node) for node in nodes}
    expected, written = undisturbed(ground, quiet, "unplanned")
    assert (expected.phase, expected.power, expected.in_fleet, expected.unschedulable) == ("closed", "on", False, False)
    assert ("out-of-service", "undone") in expected.changes
    assert len(written) >= 30, written
    wrong: list[str] = []
    # Where others died while the taint stood, the pods were gone already: nobody else comes by here.
    released = next(label for label in written if ": out-of-service done;" in label)
    parts = [(*part, when) for part in (*sections(written, SECTIONS), (released, released)) for when in WHENS]
    chains = [
        Chain(
            ground,
            node,
            when,
            first,
            last,
            command="unplanned",
            again=("resume", "unplanned"),
            most=80,
            script=partial(NeverBoth, ground=ground, wrong=wrong),
        )
        for node, (first, last, when) in zip(nodes, parts, strict=True)
    ]
    at_once([chain.go for chain in chains], 4)
    assert wrong == []
    for chain in chains:
        chain.ended_as(expected)
        now = machine_of(ground.lab, chain.node)
        assert now.powered_off == before[chain.node].powered_off, f"it was never off again: {chain}"
        assert now.boot_id != before[chain.node].boot_id
    for when in WHENS:
        all_killed(chains, when, written)
    assert not [pod["metadata"]["name"] for pod in stuck if is_there(ground.api, pod)]
    for chain in chains:
        assert ending_of(ground.lab, ground.api, chain.node).taints == expected.taints
