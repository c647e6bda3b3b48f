"""A designation that is killed before or after any journal write is ended by another process, and nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from lab.api import Api
from lab.layout import Lab
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.kill_ground import Ground, KilledOnce, Killing, When
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.protocol_states import fleet_of, mark_of, node_of, record_of, untouched
from tests.control_plane.standing_in import Last, last_one, others_cordoned

# Minutes of it: what must always hold of a designation is in its other tests.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
WHENS: tuple[When, ...] = get_args(When)
# What a process writes before it goes on: that it took over, and its epoch on both Nodes.
_TAKING_OVER = 3


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path) -> Ground:
    return Ground(lab, lab_api, relay, tmp_path)


@pytest.fixture
def last(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Iterator[Last]:
    with others_cordoned(lab_api):
        yield last_one(lab_api, make_node, make_object)


def _state(ground: Ground, last: Last) -> str:
    record = record_of(ground.api, last.system)
    assert record is not None
    steps = [(name, one["state"]) for name, one in record["steps"].items()]
    changes = [(one["what"], one["state"]) for one in record["changes"]]
    mark, spec = mark_of(ground.api, last.system), node_of(ground.api, last.system)["spec"]
    seen = (mark and mark["owns"], spec.get("unschedulable"), spec.get("taints"), last.labelled(), bool(last.mark()))
    return f"{record['phase']} {steps} {changes} {seen} {last.where()} {last.system in fleet_of(ground.api)}"


def _killed_again_and_again(ground: Ground, last: Last, when: When, command: str, turns: tuple[str, ...]) -> list[str]:
    """Processes on one node, each killed one journal write further; the labels of the writes at which they were."""
    killed: list[str] = []
    at, stuck, known = 1, 0, ""
    options = {"designate": last.spare, "shut_down": False}
    while len(killed) < 120:
        script = Killing(at, when)
        ended = ground.under(script, command, last.system, **options)
        record = record_of(ground.api, last.system)
        if not script.killed_at:
            assert ended.status == 0, f"{command} after kills at {killed}: {ended.said}"
            return killed
        assert ended.status == -signal.SIGKILL, ended.said
        killed.append(script.killed_at)
        if record is None or (command == "abort" and not record["aborted"]):
            at += 1
            continue
        if record["phase"] == "closed":
            return killed
        assert not last.labelled() or "temporary-designation" in str(record["changes"]), "recorded before it is set"
        command = turns[len(killed) % len(turns)]
        now = _state(ground, last)
        # Some progress is on the Nodes alone: a process must be let do more, or none would ever get further.
        stuck, known = (stuck + 1 if now == known else 0), now
        at = _TAKING_OVER + (1 if when == "after" else 2) - (not last.mark()) + stuck
    raise AssertionError(f"no end after kills at {killed}")


def _all_given_back(ground: Ground, last: Last, *, aborted: bool) -> None:
    record = record_of(ground.api, last.system)
    assert record is not None
    assert (record["phase"], record["aborted"]) == ("closed", aborted)
    assert {one["what"]: one["state"] for one in record["changes"]}["temporary-designation"] == "undone"
    assert not last.labelled()
    assert last.mark() == ""
    assert untouched(ground.api, last.system)
    assert last.system not in fleet_of(ground.api)
    assert last.all_on(last.system), last.where()


@pytest.mark.parametrize("when", WHENS)
def test_killed_at_every_journal_write_the_label_is_set_and_given_back_once(
    ground: Ground, last: Last, when: When
) -> None:
    killed = _killed_again_and_again(ground, last, when, "run", ("resume", "run"))
    _all_given_back(ground, last, aborted=False)
    assert len(killed) >= 20, killed
    for wanted in ("designated: label", "designated: no label", "designate intended", "undesignate intended"):
        assert any(wanted in one for one in killed), f"no process was killed {when} {wanted}: {killed}"


@pytest.mark.parametrize("when", WHENS)
def test_abort_killed_at_every_journal_write_gives_the_label_back(ground: Ground, last: Last, when: When) -> None:
    reached = ground.under(KilledOnce("see-gone done"), "run", last.system, designate=last.spare, shut_down=False)
    assert reached.status == -signal.SIGKILL, reached.said
    assert last.labelled()
    _killed_again_and_again(ground, last, when, "abort", ("resume", "abort"))
    _all_given_back(ground, last, aborted=True)
