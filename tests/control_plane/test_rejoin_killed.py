"""A rejoin that is killed before or after any journal write is ended by another process, and no token stays."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from cluster.rejoin import STEPS
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import rejoining
from tests.control_plane.conftest import MakeNode
from tests.control_plane.kill_chains import at_once
from tests.control_plane.kill_ground import HURRIED, Ground, When
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.protocol_states import fleet_of, record_of
from tests.control_plane.test_removal_killed import killed_again_and_again

# Minutes of it: what must always hold of this procedure is in its other tests.
pytestmark = pytest.mark.long

QUICK = {**HURRIED, "DOWNTIME_REMOVAL__RESET_SECONDS": "10", "DOWNTIME_HOSTS__JOIN_TIMEOUT": "20"}


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path) -> Ground:
    return replace(Ground(lab, lab_api, relay, tmp_path), variables=QUICK)


@pytest.mark.timeout(1800)
def test_killed_at_every_journal_write_it_joins_as_it_was_and_no_token_stays(
    ground: Ground, make_node: MakeNode
) -> None:
    whens: tuple[When, ...] = get_args(When)
    nodes = {when: make_node().node for when in whens}
    for node in nodes.values():
        rejoining.mark(ground.api, node)
        rejoining.take_out(ground.lab, node)
    chains = at_once([partial(killed_again_and_again, ground, node, when, "rejoin") for when, node in nodes.items()], 2)
    for (when, node), killed in zip(nodes.items(), chains, strict=True):
        assert len(killed) >= 20, f"{when}: {killed}"
        record = record_of(ground.api, node)
        assert record is not None
        assert (record["procedure"], record["phase"], record["aborted"]) == ("rejoin", "closed", False)
        assert {name: one["state"] for name, one in record["steps"].items()} == dict.fromkeys(STEPS, "done")
        states = {one["what"]: one["state"] for one in record["changes"]}
        assert (states["joined"], states["token"], states["cordon"]) == ("made", "undone", "undone")
        rejoining.require_as_it_was(ground.api, node)
        assert rejoining.tokens_for(ground.api, node) == []
        machine = rejoining.machine(ground.lab, node)
        assert (machine.joined, machine.kubelet_starts, machine.kubelet_runs, machine.power) == (True, True, True, "on")
        assert node not in fleet_of(ground.api)
