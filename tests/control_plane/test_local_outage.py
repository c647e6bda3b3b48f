"""System pods on a volume of the node itself: the plan names the outage, and a person accepts it before the drain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import api as apis
from cluster import deciding, planning
from cluster.config import Settings
from cluster.downtime import go_on
from cluster.errors import Blocked, Misused, Waiting
from cluster.options import PlannedOptions
from cluster.question import Answer, Question
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import driving
from tests.control_plane.commands import command
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import cordoned, drained, untouched
from tests.control_plane.standing_in import NAMESPACE, Last, last_one, others_cordoned
from tests.control_plane.terminal import at_a_terminal


@pytest.fixture
def last(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Iterator[Last]:
    with others_cordoned(lab_api):
        yield last_one(lab_api, make_node, make_object, volume=True)


@pytest.fixture
def settings(lab: Lab, last: Last) -> Settings:
    return settings_of(lab, drain={"takeover_minutes": 30 * SECOND})


def _options(last: Last, **more: object) -> PlannedOptions:
    return last.options(interactive="ask", **more)


@pytest.mark.long
def test_nobody_to_ask_then_decided_by_name_and_the_database_comes_back(settings: Settings, last: Last) -> None:
    options, api = _options(last), apis.connect(settings.cluster)
    pod = f"{NAMESPACE}/{last.parts[1]}-0"
    _, plan = planning.plan(api, settings, last.system, options)
    (outage,) = [one for one in plan.warnings if one.code == "local-volume-outage"]
    assert pod in outage.message
    assert plan.feasible
    with pytest.raises(Waiting) as raised:
        driving.run(settings, last.system, options)
    assert pod in raised.value.message
    assert cordoned(last.api, last.system)
    assert not drained(last.api, last.system)
    assert last.all_on(last.system)
    with go_on(api, settings, last.system) as downtime:
        with pytest.raises(Misused):
            deciding.outage(downtime, last.spare, "ada")
        assert deciding.outage(downtime, last.system, "ada") == (pod,)
    where = []

    def say(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            where.append(last.where())

    record = driving.resume(settings, last.system, say)
    assert where == [{last.parts[0]: last.spare, last.parts[1]: ""}], "the database waits, the rest was taken over"
    assert record.phase == "closed"
    assert f"ada accepted that {pod}" in record.steps["approve-workloads"].proof
    assert last.all_on(last.system)
    assert not last.labelled()


def test_refused_it_is_not_drained_and_backed_out_of(settings: Settings, last: Last) -> None:
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        return Answer("refuse", "ada")

    with pytest.raises(Blocked) as raised:
        driving.run(settings, last.system, _options(last), ask=ask)
    assert raised.value.code == "outage-refused"
    assert [(one.subject, one.pods) for one in asked] == [("outage", (f"{NAMESPACE}/{last.parts[1]}-0",))]
    assert not drained(last.api, last.system)
    driving.abort(settings, last.system)
    assert untouched(last.api, last.system)
    assert not last.labelled()


def test_typed_at_the_start_nobody_is_asked_and_another_name_is_refused(settings: Settings, last: Last) -> None:
    with pytest.raises(Blocked) as raised:
        driving.run(settings, last.system, _options(last, accept_outage=last.spare))
    assert raised.value.code == "outage-not-accepted"
    record = driving.run(settings, last.system, _options(last, accept_outage=last.system, shut_down=False))
    assert record.phase == "closed"
    assert last.all_on(last.system)


@pytest.mark.long
def test_command_asks_names_what_waits_and_takes_the_typed_name(
    lab: Lab, last: Last, settings: Settings, tmp_path: Path
) -> None:
    words = ("run", "planned", last.system, "--yes", "--local", "--no-hold", "--no-shut-down")
    assert command(lab, tmp_path, *words).code == 3
    assert command(lab, tmp_path, *words, "--designate", last.spare).code == 4
    (status,) = command(lab, tmp_path, "status", last.system, "--output", "json").document
    assert f"{NAMESPACE}/{last.parts[1]}-0" in status["now"]["waits_for"]
    assert status["now"]["go_on"] == f"downtime decide {last.system} --accept-outage {last.system}"
    assert command(lab, tmp_path, "decide", last.system, "--accept-outage", last.spare).code == 2
    assert command(lab, tmp_path, "decide", last.system, "--accept-outage", last.system, "--who", "Ada").code == 0
    done = command(lab, tmp_path, "resume", last.system, "--local", "--output", "json")
    assert done.code == 0, done.out
    assert (done.document["approvals"][0]["who"], done.document["standing"]) == ("Ada", [])
    assert not last.labelled()


@pytest.mark.long
def test_person_at_a_terminal_names_the_node_to_designate_and_accepts_the_outage(
    lab: Lab, last: Last, settings: Settings, tmp_path: Path
) -> None:
    words = ("run", "planned", last.system, "--local", "--no-hold", "--no-shut-down")
    answers = (
        ("Node to designate (nothing: none): ", last.spare),
        ("Go on? [y/N] ", "y"),
        ("Node that may take them down: ", last.system),
    )
    code, seen = at_a_terminal(lab, tmp_path, words, answers)
    assert code == 0, seen
    assert last.all_on(last.system)
    assert not last.labelled()
