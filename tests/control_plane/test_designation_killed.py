"""A designation that is killed before or after any journal write is ended by another process, and nothing is left."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driven_processes import Driven
from tests.control_plane.kill_chains import Chain, at_once
from tests.control_plane.kill_ground import HURRIED, Ground, KilledOnce
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.protocol_states import fleet_of, record_of, untouched
from tests.control_plane.standing_in import Last, last_one
from tests.control_plane.test_killed_while_running import WHENS, all_killed, sections, undisturbed

# Minutes of it: what must always hold of a designation is in its other tests.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
SECTIONS = 4
# Each of their steps looks at all nodes and pods: more at once keep each other from renewing their locks in time.
AT_ONCE = 4
PATIENT = {**HURRIED, "DOWNTIME_CLUSTER__LOCK_SECONDS": "8"}


@dataclass(frozen=True)
class Designating(Ground):
    """A ground on which each run designates the node that can stand in for its own."""

    lasts: dict[str, Last] = field(default_factory=dict)

    def start(self, command: str, node: str, *, kubeconfig: Path | None = None, **options: object) -> Driven:
        chosen = {"designate": self.lasts[node].spare, "shut_down": False}
        return super().start(command, node, kubeconfig=kubeconfig, **{**chosen, **options})


@pytest.fixture
def ground(
    lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, make_node: MakeNode, make_object: MakeObject
) -> Designating:
    """System nodes of which each has parts of the service that only one other node can take over."""
    made = [
        last_one(lab_api, make_node, make_object, group=f"group-{number}") for number in range(SECTIONS * len(WHENS))
    ]
    lasts = {one.system: one for one in made}
    return Designating(lab, lab_api, relay, tmp_path, variables=dict(PATIENT), lasts=lasts)


def _given_back(ground: Designating, node: str, *, aborted: bool) -> None:
    record, last = record_of(ground.api, node), ground.lasts[node]
    assert record is not None
    assert (record["phase"], record["aborted"]) == ("closed", aborted)
    assert {one["what"]: one["state"] for one in record["changes"]}["temporary-designation"] == "undone"
    assert not last.labelled()
    assert last.mark() == ""
    assert untouched(ground.api, node)
    assert node not in fleet_of(ground.api)
    until(lambda: last.all_on(node), seconds=30, what=lambda: f"the parts of {node} are on {last.where()}")


def test_killed_at_every_journal_write_the_label_is_set_and_given_back(ground: Designating) -> None:
    nodes = list(ground.lasts)
    expected, written = undisturbed(ground, nodes[0])
    assert {"Node, designated: label", "Node, designated: no label"} <= set(written), written
    parts = [(*section, when) for section in sections(written, SECTIONS) for when in WHENS]
    chains = [Chain(ground, node, when, first, last) for node, (first, last, when) in zip(nodes, parts, strict=True)]
    at_once([chain.go for chain in chains], AT_ONCE)
    for chain in chains:
        chain.ended_as(expected)
        _given_back(ground, chain.node, aborted=False)
    for when in WHENS:
        all_killed(chains, when, written)


def test_abort_killed_at_every_journal_write_gives_the_label_back(ground: Designating) -> None:
    def reach(node: str) -> None:
        ended = ground.under(KilledOnce("see-gone done"), "run", node)
        assert ended.status == -signal.SIGKILL, ended.said
        assert ground.lasts[node].labelled()

    quiet, *others = list(ground.lasts)[: 2 * len(WHENS) + 1]
    at_once([partial(reach, node) for node in (quiet, *others)], AT_ONCE)
    expected, written = undisturbed(ground, quiet, "abort")
    assert (expected.phase, expected.aborted) == ("closed", True)
    parts = [(*section, when) for section in sections(written, 2) for when in WHENS]
    chains = [
        Chain(ground, node, when, first, last, command="abort", again=("abort", "resume"))
        for node, (first, last, when) in zip(others, parts, strict=True)
    ]
    at_once([chain.go for chain in chains], AT_ONCE)
    for chain in chains:
        chain.ended_as(expected)
        _given_back(ground, chain.node, aborted=True)
    for when in WHENS:
        all_killed(chains, when, written)
