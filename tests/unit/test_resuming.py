"""What was suspended is resumed as far as Run:ai's API lets it, and what is not is written down with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cluster import resuming, suspensions
from cluster.config import ClusterSettings, Settings
from cluster.record import Record
from cluster.runai_config import RunaiSettings
from cluster.secret_refs import SecretRef
from tests.unit import planning_cases as cases
from tests.unit.runai_server import JSON, Reply, Server, error, serving

ONE, TWO = "runai-team-a/StatefulSet/one", "runai-team-a/StatefulSet/two"
SECRET = "s3cret-of-the-service-account"


class Held:
    """As much of a downtime as is needed here: its record is in memory."""

    api = None

    def __init__(self, settings: Settings, record: Record) -> None:
        self.settings, self.record = settings, record
        self.told: list[str] = []
        self.lock = self

    def write(self, mutate: Callable[[Record], Record]) -> Record:
        self.record = mutate(self.record)
        return self.record

    def say(self, _step: str, text: str) -> None:
        self.told.append(text)

    def for_at_least(self, _seconds: float) -> Any:
        return nullcontext()

    def states(self) -> dict[str, str]:
        ours = [one for one in self.record.changes if one.what.startswith("suspended ")]
        return {suspensions.key_of(one): one.state for one in ours}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def held(server: Server, tmp_path: Path) -> Held:
    return Held(settings(server.url, tmp_path), two_suspended())


def settings(url: str, folder: Path) -> Settings:
    file = folder / "secret"
    file.write_text(SECRET)
    section = RunaiSettings(
        url=url, client_id="x", client_secret=SecretRef(file=file), timeout=0.5, patience=1, stop_minutes=0.02
    )
    return Settings(cluster=ClusterSettings(uid="u"), runai=section)


def two_suspended() -> Record:
    record = suspensions.with_state(cases.record(), ONE, "workspaces/w-1", "made", "one")
    return suspensions.with_state(record, TWO, "trainings/w-2", "intended", "two")


def workload(id_: str, phase: str) -> JSON:
    return {"id": id_, "phase": phase}


def script(server: Server, id_: str, *phases: str) -> None:
    server.script[f"GET /api/v1/workloads/{id_}"] = [Reply(200, workload(id_, phase)) for phase in phases]


def resume(held: Held) -> None:
    resuming.resume(held)  # type: ignore[arg-type]


def test_each_is_resumed_under_its_own_path(server: Server, held: Held) -> None:
    script(server, "w-1", "Stopped", "Resuming")
    script(server, "w-2", "Stopping", "Stopped", "Pending")
    for path in ("workspaces/w-1", "trainings/w-2"):
        server.script[f"POST /api/v1/workloads/{path}/resume"] = [Reply(202, {})]
    resume(held)
    assert held.states() == {ONE: "undone", TWO: "undone"}
    assert len(server.asked("POST /api/v1/workloads/trainings/w-2/resume")) == 1


def test_what_runs_or_is_over_or_gone_is_nobodys_affair_any_more(server: Server, held: Held) -> None:
    script(server, "w-1", "Running")
    resume(held)
    assert held.states() == {ONE: "undone", TWO: "undone"}
    assert not [one for one in server.given if one.path.endswith("/resume")]
    assert any("somebody resumed it already" in one for one in held.told)
    assert any("was deleted meanwhile" in one for one in held.told)


def test_one_that_is_refused_does_not_keep_the_other(server: Server, held: Held) -> None:
    script(server, "w-1", "Stopped")
    script(server, "w-2", "Stopped", "Running")
    server.script["POST /api/v1/workloads/workspaces/w-1/resume"] = [error(400, "Bad request", "quota")]
    server.script["POST /api/v1/workloads/trainings/w-2/resume"] = [Reply(202, {})]
    resume(held)
    assert held.states() == {ONE: "made", TWO: "undone"}
    assert "quota" in suspensions.why_left(held.record, ONE)


def test_one_that_is_told_oddly_does_not_keep_the_other(server: Server, held: Held) -> None:
    server.script["GET /api/v1/workloads/w-1"] = [Reply(200, {"id": "w-1"})]
    script(server, "w-2", "Running")
    resume(held)
    assert held.states() == {ONE: "made", TWO: "undone"}


def test_resumption_that_is_accepted_and_never_done_is_told(server: Server, held: Held) -> None:
    script(server, "w-1", "Stopped")
    script(server, "w-2", "Running")
    server.script["POST /api/v1/workloads/workspaces/w-1/resume"] = [Reply(202, {})]
    resume(held)
    assert held.states() == {ONE: "made", TWO: "undone"}
    assert "still stopped" in suspensions.why_left(held.record, ONE)


REFUSED = error(400, "Bad request", "it is running")


@pytest.mark.parametrize("answers", [[Reply(cut=True), REFUSED], [Reply(502, {}), REFUSED], [REFUSED]])
def test_resumption_whose_answer_is_lost_and_that_is_refused_as_it_runs_already_is_one(
    server: Server, held: Held, answers: list[Reply]
) -> None:
    script(server, "w-1", "Stopped", "Running")
    script(server, "w-2", "Running")
    server.script["POST /api/v1/workloads/workspaces/w-1/resume"] = list(answers)
    resume(held)
    assert held.states() == {ONE: "undone", TWO: "undone"}
    assert f"{ONE} is resumed (Running)" in held.told
    assert not [one for one in held.told if "NOT resumed" in one]


def test_resumption_after_which_the_api_fails_for_a_moment_is_one(server: Server, held: Held) -> None:
    odd = Reply(200, {"id": "w-1"})
    server.script["GET /api/v1/workloads/w-1"] = [
        Reply(200, workload("w-1", "Stopped")),
        odd,
        Reply(200, workload("w-1", "Resuming")),
    ]
    script(server, "w-2", "Running")
    server.script["POST /api/v1/workloads/workspaces/w-1/resume"] = [Reply(202, {})]
    resume(held)
    assert held.states() == {ONE: "undone", TWO: "undone"}


def test_api_that_is_away_is_waited_for_once_and_not_for_each(server: Server, held: Held) -> None:
    for id_ in ("w-1", "w-2"):
        server.script[f"GET /api/v1/workloads/{id_}"] = [error(503, "Service unavailable")]
    server.script["GET /api/v1/workloads/pods"] = [error(503, "Service unavailable")]
    resume(held)
    assert server.asked("GET /api/v1/workloads/w-2") == []
    assert held.states() == {ONE: "made", TWO: "intended"}
    assert all("Service unavailable" in suspensions.why_left(held.record, key) for key in (ONE, TWO))
    assert suspensions.why_left(held.record, TWO).startswith("it was not tried")


def test_work_that_is_deleted_while_it_is_waited_for_is_not_called_running(server: Server, held: Held) -> None:
    gone = error(404, "The specified resource was not found")
    script(server, "w-1", "Running")
    server.script["GET /api/v1/workloads/w-2"] = [Reply(200, workload("w-2", "Running")), gone]
    resume(held)
    assert held.states() == {ONE: "undone", TWO: "undone"}
    assert f"{TWO} was deleted meanwhile: there is nothing to resume" in held.told


def test_one_to_which_the_api_fails_does_not_keep_the_other(server: Server, held: Held) -> None:
    script(server, "w-1", "Stopped")
    script(server, "w-2", "Stopped", "Running")
    server.script["POST /api/v1/workloads/workspaces/w-1/resume"] = [error(500, "Internal error")]
    server.script["POST /api/v1/workloads/trainings/w-2/resume"] = [Reply(202, {})]
    server.script["GET /api/v1/workloads/pods"] = [Reply(200, {"pods": []})]
    resume(held)
    assert held.states() == {ONE: "made", TWO: "undone"}
    assert "Internal error" in suspensions.why_left(held.record, ONE)


NOWHERE = Reply(404, None, {}, "default backend - 404")


@pytest.mark.parametrize("login", [True, False])
def test_an_ingress_without_a_route_deletes_no_workload(server: Server, held: Held, login: bool) -> None:
    """Its 404 says nothing of a workload: what is suspended stays in the record, and is told."""
    if login:
        server.tokens = [NOWHERE]
    for path in ("w-1", "w-2", "pods"):
        server.script[f"GET /api/v1/workloads/{path}"] = [NOWHERE]
    resume(held)
    assert held.states() == {ONE: "made", TWO: "intended"}
    closed = held.record.model_copy(update={"phase": "closed"})
    assert [one.code for one in suspensions.warnings(closed)] == ["still-suspended"] * 2
    assert "default backend" in suspensions.why_left(held.record, ONE)


def test_an_ingress_that_has_its_route_a_moment_later_is_waited_for(server: Server, held: Held) -> None:
    server.script["GET /api/v1/workloads/w-1"] = [NOWHERE, Reply(200, workload("w-1", "Running"))]
    script(server, "w-2", "Running")
    resume(held)
    assert held.states() == {ONE: "undone", TWO: "undone"}
    assert not [one for one in held.told if "deleted" in one]


def test_work_that_never_leaves_its_stop_is_not_said_to_be_resumed(server: Server, held: Held) -> None:
    script(server, "w-1", "Stopping")
    script(server, "w-2", "Running")
    server.script["POST /api/v1/workloads/workspaces/w-1/resume"] = [Reply(202, {})]
    resume(held)
    assert held.states() == {ONE: "made", TWO: "undone"}
    assert not [one for one in held.told if f"{ONE} is resumed" in one]


def test_work_that_run_ai_stops_late_under_a_lost_answer_is_waited_for_and_resumed(server: Server, held: Held) -> None:
    script(server, "w-1", "Running")
    script(server, "w-2", "Pending", "Running", "Stopping", "Stopped", "Running")
    server.script["POST /api/v1/workloads/trainings/w-2/resume"] = [Reply(202, {})]
    resume(held)
    assert len(server.asked("POST /api/v1/workloads/trainings/w-2/resume")) == 1
    assert held.states() == {ONE: "undone", TWO: "undone"}


def test_section_that_was_taken_out_since_and_a_secret_that_is_gone_are_noted(server: Server, tmp_path: Path) -> None:
    for found in (Settings(cluster=ClusterSettings(uid="u")), settings(server.url, tmp_path)):
        (tmp_path / "secret").unlink(missing_ok=True)
        held = Held(found, two_suspended())
        resume(held)
        assert held.states() == {ONE: "made", TWO: "intended"}
        assert len([one for one in held.told if "NOT resumed" in one]) == 2
        assert SECRET not in held.record.model_dump_json()
