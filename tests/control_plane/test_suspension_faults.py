"""Run:ai's REST API has a bad moment, or none that is good: the suspension goes on, or is told in the API's words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.config import Settings
from cluster.errors import Waiting
from cluster.question import Answer, Question
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import driving, suspending_there
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.notebooks import ASKING, Ground, only_about_work
from tests.control_plane.protocol_states import drained
from tests.control_plane.suspending_there import RestApi

KEY = "runai-team-a/StatefulSet/parked"


@pytest.fixture(scope="module")
def rest(lab: Lab) -> Iterator[RestApi]:
    with suspending_there.running(lab) as made:
        yield made


@pytest.fixture
def ground(lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Ground:
    made = Ground(lab, lab_api, make_node(role="cpu").node, make_object)
    made.notebook("parked")
    return made


def settings_of(rest: RestApi, ground: Ground, **more: Any) -> Settings:
    return rest.settings(ground.settings(), **more)


def suspensions_of(ground: Ground) -> dict[str, str]:
    found = ground.record["changes"]
    return {one["what"].removeprefix("suspended "): one["state"] for one in found if one["what"].startswith("suspend")}


@pytest.mark.parametrize(
    ("fault", "times", "grant"),
    [
        ("too-many", 2, "client_credentials"),
        ("internal-error", 2, "app_token"),
        ("slow", 1, "client_credentials"),
        ("unauthorized", 1, "app_token"),
    ],
)
def test_a_bad_moment_of_the_api_is_waited_out(
    rest: RestApi, ground: Ground, fault: str, times: int, grant: str
) -> None:
    settings = settings_of(rest, ground, timeout=2, patience=8, grant=grant)

    def person(question: Question) -> Answer:
        only_about_work(question)
        return Answer("suspend", "boss")

    with rest.fault(fault, times), pytest.raises(Waiting, match="out of service"):
        driving.run(settings, ground.node, ASKING, ask=person)
    assert suspensions_of(ground) == {KEY: "made"}
    assert ground.record["obstacles"] == []
    with rest.fault(fault, times):
        driving.abort(settings, ground.node)
    assert suspensions_of(ground) == {KEY: "undone"}
    until(lambda: ground.pods().get("parked-0") == "Running", seconds=30, what="it is not resumed")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unauthorized", "the service account is disabled"),
        ("token-refused", "invalid clientID or clientSecret"),
        ("internal-error", "the workload service does not answer"),
    ],
)
def test_an_api_that_refuses_for_good_is_told_in_its_words_and_nothing_is_evicted_for_it(
    rest: RestApi, ground: Ground, fault: str, words: str
) -> None:
    settings = settings_of(rest, ground)
    asked: list[Question] = []

    def person(question: Question) -> Answer:
        only_about_work(question)
        asked.append(question)
        if len(asked) > 1:
            raise KeyboardInterrupt
        return Answer("suspend", "boss")

    with rest.fault(fault), pytest.raises(KeyboardInterrupt):
        driving.run(settings, ground.node, ASKING, ask=person)
    assert words in " ".join(asked[1].said)
    assert words in ground.record["obstacles"][0]["said"]
    assert rest.secret not in str(ground.record)
    assert ground.pods() == {"parked-0": "Running"}
    assert not drained(ground.api, ground.node)
    driving.abort(settings, ground.node)
    assert set(suspensions_of(ground).values()) <= {"undone"}
    assert ground.pods() == {"parked-0": "Running"}
