"""What became of a suspension whose outcome is unknown: it is not given up while Run:ai may still carry it out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cluster import runai_api, suspending
from cluster.record import Record
from tests.unit.runai_server import Reply, Server, serving
from tests.unit.test_resuming import ONE, TWO, Held, resume, script, settings, two_suspended

STOP_MINUTES = 0.02
PATIENCE = 1.0


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def held(server: Server, tmp_path: Path) -> Held:
    """TWO is intended since just now."""
    return Held(settings(server.url, tmp_path), two_suspended())


def settle(held: Held) -> None:
    with runai_api.opened(held.api, held.settings) as rest:  # type: ignore[arg-type]
        suspending.settle(held, rest)  # type: ignore[arg-type]


def older(record: Record, seconds: float) -> Record:
    changes = tuple(one.model_copy(update={"at": one.at - timedelta(seconds=seconds)}) for one in record.changes)
    return record.model_copy(update={"changes": changes})


@pytest.mark.parametrize("phase", ["Running", "Pending", "Stopping"])
def test_work_that_runs_on_may_still_be_stopped_by_what_was_asked_for_and_is_then_resumed(
    server: Server, held: Held, phase: str
) -> None:
    script(server, "w-2", phase, "Stopped", "Running")
    settle(held)
    assert held.states() == {ONE: "made", TWO: "intended"}
    script(server, "w-1", "Running")
    server.script["POST /api/v1/workloads/trainings/w-2/resume"] = [Reply(202, {})]
    resume(held)
    assert len(server.asked("POST /api/v1/workloads/trainings/w-2/resume")) == 1
    assert held.states() == {ONE: "undone", TWO: "undone"}


@pytest.mark.parametrize(("phase", "state"), [("Running", "undone"), ("Stopping", "intended"), ("Stopped", "made")])
def test_intent_that_is_older_than_any_stop_is_judged_by_what_is_there(
    server: Server, held: Held, phase: str, state: str
) -> None:
    held.record = older(held.record, STOP_MINUTES * 60 + PATIENCE + 1)
    script(server, "w-2", phase)
    settle(held)
    assert held.states() == {ONE: "made", TWO: state}


def test_work_that_was_deleted_is_nobodys_affair_any_more(server: Server, held: Held) -> None:
    settle(held)
    assert held.states() == {ONE: "made", TWO: "undone"}
