"""A removal that is killed before or after any journal write is ended by another process: once, and wholly."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.runai.workloads import Work, interactive
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.kill_chains import at_once
from tests.control_plane.kill_ground import HURRIED, Ground, Killing, When
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.protocol_states import fleet_of, record_of
from tests.control_plane.removing import host, there

# What a process writes before it goes on: that it took over, and its epoch on the Node.
_TAKING_OVER = 2
QUICK = {**HURRIED, "DOWNTIME_REMOVAL__AWAY_SECONDS": "1", "DOWNTIME_REMOVAL__RESET_SECONDS": "10"}


# Minutes of it: what must always hold of this procedure is in its other tests.
pytestmark = pytest.mark.long


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path) -> Ground:
    return replace(Ground(lab, lab_api, relay, tmp_path), variables=QUICK)


def killed_again_and_again(ground: Ground, node: str, when: When, begins: str = "remove") -> list[str]:
    """Processes on one node, each killed one journal write further; the labels of the writes at which they were."""
    killed: list[str] = []
    old = (record_of(ground.api, node) or {}).get("id")
    command, at, seen = begins, 1, Counter[str]()
    while len(killed) < 100:
        script = Killing(at, when)
        ended = ground.under(script, command, node)
        record = record_of(ground.api, node)
        if not script.killed_at:
            assert ended.status == 0, f"{command} after kills at {killed}: {ended.said}"
            return killed
        assert ended.status == -signal.SIGKILL, ended.said
        killed.append(script.killed_at)
        if record is None or record["id"] == old:
            at += 1
            continue
        if record["phase"] == "closed":
            return killed
        command = ("resume", begins)[len(killed) % 2]
        changes = [(one["what"], one["state"]) for one in record["changes"]]
        steps = [(name, one["state"]) for name, one in record["steps"].items()]
        now = f"{record['phase']} {steps} {changes} {'kept' in record} {there(ground.api, node)}"
        # Some of what one process does the next one undoes first: where many were, one must be let do more.
        at = _TAKING_OVER + (1 if when == "after" else 2) + seen[now] - (not there(ground.api, node))
        seen[now] += 1
    raise AssertionError(f"no end after kills at {killed}")


@pytest.mark.timeout(900)
def test_killed_at_every_journal_write_it_is_removed_once_and_wholly(
    ground: Ground, make_node: MakeNode, make_object: MakeObject
) -> None:
    whens: tuple[When, ...] = get_args(When)
    nodes = {when: make_node().node for when in whens}
    for node in nodes.values():
        make_object(interactive(f"notebook-{node}", Work(node=node, grace_seconds=1)))
    chains = at_once([partial(killed_again_and_again, ground, node, when) for when, node in nodes.items()], 2)
    for (when, node), killed in zip(nodes.items(), chains, strict=True):
        assert len(killed) >= 20, f"{when}: {killed}"
        record = record_of(ground.api, node)
        assert record is not None
        assert (record["phase"], record["aborted"]) == ("closed", False)
        assert {name: one["state"] for name, one in record["steps"].items() if one["state"] != "done"} == {}
        assert record["kept"]["labels"]
        states = {one["what"]: one["state"] for one in record["changes"]}
        assert (states["machine-reset"], states["node-deleted"]) == ("made", "made")
        assert {states["cordon"], states["taint"]} == {"undone"}
        assert not there(ground.api, node)
        machine = host(ground.lab, node)
        assert (machine["joined"], machine["kubelet_starts"], machine["power"]) == (False, False, "on")
        assert node not in fleet_of(ground.api)
