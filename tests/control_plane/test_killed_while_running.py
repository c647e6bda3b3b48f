"""A process is killed before or after any journal write: another one goes on, and ends as if nothing had happened."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.runai.workloads import Work, interactive
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.kill_chains import Chain, at_once
from tests.control_plane.kill_ground import WENT, Ground, KilledOnce, Killing, When
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.protocol_states import Ending, ending_of, machine_of, record_of, untouched

SECTIONS = 5
# A step that only looks has no intent to write when it sees at once what it wants.
# Where each workload went is told once, by whoever sees them gone.
OPTIONAL = re.compile(rf": (see|approve)-[a-z]+ intended;|{WENT}$")
WHENS: tuple[When, ...] = get_args(When)


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path) -> Ground:
    return Ground(lab, lab_api, relay, tmp_path)


@pytest.fixture
def nodes(make_node: MakeNode, make_object: MakeObject) -> list[str]:
    """Nodes with something on them that must be evicted."""
    made = [make_node().node for _ in range(SECTIONS * len(WHENS))]
    for node in made:
        make_object(interactive(f"notebook-{node}", Work(node=node, grace_seconds=1)))
    return made


def undisturbed(ground: Ground, node: str, command: str = "run") -> tuple[Ending, list[str]]:
    """How a downtime ends that nobody disturbs, and the labels of its journal writes."""
    script = Killing()
    ended = ground.under(script, command, node)
    assert ended.status == 0, ended.said
    return ending_of(ground.lab, ground.api, node), script.written


def sections(written: list[str], number: int) -> list[tuple[str, str]]:
    """The journal writes in so many parts: at the write with which label each begins, and at which it ends.

    Each ends where the next one begins: at a write that is made whatever was seen at once.
    """
    sure = [label for label in written if re.match(r"record, \w+: ", label) and not OPTIONAL.search(label)]
    begins = ["", *(sure[len(sure) * part // number] for part in range(1, number))]
    return list(zip(begins, [*begins[1:], ""], strict=True))


def all_killed(chains: Iterable[Chain], when: When, written: Iterable[str]) -> None:
    """Every journal write was one at which a process was killed."""
    killed = {label for chain in chains if chain.when == when for label in chain.killed}
    missing = [label for label in written if label not in killed and not OPTIONAL.search(label)]
    assert not missing, f"no process was killed {when} these writes: {missing}\nbut at these: {sorted(killed)}"


@pytest.mark.timeout(600)
def test_killed_at_every_journal_write_it_ends_in_the_same_state(ground: Ground, nodes: list[str]) -> None:
    expected, written = undisturbed(ground, nodes[0])
    assert expected.phase == "closed"
    assert not expected.in_fleet
    assert len(written) >= 30, written
    before = {node: machine_of(ground.lab, node) for node in nodes}
    parts = [(*section, when) for section in sections(written, SECTIONS) for when in WHENS]
    chains = [Chain(ground, node, when, first, last) for node, (first, last, when) in zip(nodes, parts, strict=True)]
    at_once([chain.go for chain in chains], len(chains))
    for chain in chains:
        chain.ended_as(expected)
        now = machine_of(ground.lab, chain.node)
        assert now.powered_off - before[chain.node].powered_off == 1, f"shut down exactly once: {chain}"
        assert now.boot_id != before[chain.node].boot_id
    for when in WHENS:
        all_killed(chains, when, written)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("reached", ["taint done", "shut-down done"])
def test_killed_at_every_journal_write_of_an_abort_it_ends_in_the_same_state(
    ground: Ground, nodes: list[str], reached: str
) -> None:
    def reach(node: str) -> None:
        ended = ground.under(KilledOnce(reached), "run", node)
        assert ended.status == -signal.SIGKILL, ended.said

    quiet, *others = nodes[: 2 * len(WHENS) + 1]
    at_once([partial(reach, node) for node in (quiet, *others)], len(others) + 1)
    before = {node: machine_of(ground.lab, node) for node in others}
    expected, written = undisturbed(ground, quiet, "abort")
    assert (expected.phase, expected.aborted, expected.in_fleet) == ("closed", True, False)
    assert untouched(ground.api, quiet)
    parts = [(*section, when) for section in sections(written, 2) for when in WHENS]
    chains = [
        Chain(ground, node, when, first, last, command="abort", again=("abort", "resume"))
        for node, (first, last, when) in zip(others, parts, strict=True)
    ]
    at_once([chain.go for chain in chains], len(chains))
    for chain in chains:
        chain.ended_as(expected)
        now = machine_of(ground.lab, chain.node)
        shut_down = now.boot_id != before[chain.node].boot_id
        assert shut_down == (reached == "shut-down done"), chain
    for when in WHENS:
        all_killed(chains, when, written)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_once_at_any_journal_write_it_ends_in_the_same_state(ground: Ground, nodes: list[str]) -> None:
    expected, written = undisturbed(ground, nodes[0])
    cases = [(at, when) for at in range(1, len(written) + 1) for when in WHENS]
    lanes = [
        partial(_one_after_the_other, ground, node, cases[n :: len(nodes)], expected) for n, node in enumerate(nodes)
    ]
    killed = sum(at_once(lanes, 6))
    assert killed >= len(cases) - 8, "the last cases are not reached when a step sees at once what it wants"


def _one_after_the_other(ground: Ground, node: str, cases: list[tuple[int, When]], expected: Ending) -> int:
    return sum(_killed_once(ground, node, at, when, expected) for at, when in cases)


def _killed_once(ground: Ground, node: str, at: int, when: When, expected: Ending) -> bool:
    before, old = machine_of(ground.lab, node), record_of(ground.api, node)
    script = Killing(at, when)
    ended = ground.under(script, "run", node)
    assert ended.status == (-signal.SIGKILL if script.killed_at else 0), ended.said
    record = record_of(ground.api, node)
    fresh = record is None or record == old
    if fresh:
        assert untouched(ground.api, node), "nothing is changed before there is a record"
    elif record is not None and record["phase"] == "closed":
        fresh = False
    if script.killed_at and (fresh or (record is not None and record["phase"] != "closed")):
        ended = ground.finish("run" if fresh or at % 2 else "resume", node)
        assert ended.status == 0, f"killed {when} {script.killed_at}: {ended.said}"
    ending = ending_of(ground.lab, ground.api, node)
    if script.killed_at.startswith("record, closed") and when == "after":
        ending = replace(ending, holder="")  # Nobody goes on from there: the lock runs out by itself.
    assert ending == expected, f"killed {when} {script.killed_at}"
    after = machine_of(ground.lab, node)
    assert after.powered_off - before.powered_off == 1, f"shut down exactly once, killed {when} {script.killed_at}"
    assert after.boot_id != before.boot_id
    return bool(script.killed_at)
