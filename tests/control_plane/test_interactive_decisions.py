"""Interactive work before a drain: its owners are told, have time, and a person decides about each workload."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster import api as apis
from cluster import deciding
from cluster.downtime import go_on
from cluster.errors import Misused, Waiting
from cluster.question import Answer, Question
from lab.api import Api
from lab.layout import PROJECT, Lab
from lab.patience import until
from tests.control_plane import driving
from tests.control_plane.commands import command
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.notebooks import ASKING, EVICTING, NAMESPACE, URL, Ground, only_about_work
from tests.control_plane.protocol_settings import SECOND
from tests.control_plane.protocol_states import cordoned, drained
from tests.control_plane.served import see_released
from tests.notified import TOKEN, Hook, hook
from tests.prefect_runs import Runs, variables

JSON = dict[str, Any]


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node(role="cpu").node


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as made, variables({URL: made.url}):
        yield made


@pytest.fixture
def ground(lab: Lab, lab_api: Api, node: str, make_object: MakeObject) -> Ground:
    return Ground(lab, lab_api, node, make_object)


def test_each_workload_its_own_way_and_the_wait_ends_when_its_owner_stops_it(ground: Ground) -> None:
    ground.notebook("goes")
    stopped = ground.notebook("stopped", "dora")
    threads: list[threading.Timer] = []

    def person(question: Question) -> Answer:
        only_about_work(question)
        assert question.choices == ("evict", "wait")
        each = {one.key: "wait" if one.name == "stopped" else "evict" for one in question.workloads}
        threads.append(threading.Timer(2, ground.stop, (stopped,)))
        threads[-1].start()
        return Answer("evict", "boss", each=each)

    seen: list[str] = []
    with pytest.raises(Waiting) as error:
        driving.run(ground.settings(), ground.node, ASKING, lambda step, text: seen.append(f"{step}: {text}"), person)
    assert error.value.code == "waiting-for-return"
    assert len(threads) == 1, "asked once"
    assert ground.answers() == [("boss", "evict", ("goes",)), ("boss", "wait", ("stopped",))]
    assert any("that its owner stops runai-team-a/StatefulSet/stopped" in line for line in seen)
    assert (
        "boss had the owner waited for, until there was no more of"
        in ground.record["steps"]["approve-workloads"]["proof"]
    )
    assert ground.pods() == {}
    driving.abort(ground.settings(), ground.node)


def test_owner_who_does_not_stop_is_asked_about_again_and_the_decision_may_be_another_one(ground: Ground) -> None:
    ground.notebook("stubborn")
    said: list[tuple[str, ...]] = []

    def person(question: Question) -> Answer:
        only_about_work(question)
        said.append(question.said)
        return Answer("evict" if len(said) == 2 else "wait", "boss")

    began = time.monotonic()
    with pytest.raises(Waiting, match="out of service"):
        driving.run(ground.settings(wait_minutes=3 * SECOND), ground.node, ASKING, ask=person)
    assert time.monotonic() - began > 3
    assert said[0] == ()
    assert "boss chose" in said[1][0]
    assert [one[1] for one in ground.answers()] == ["wait", "evict"]
    driving.abort(ground.settings(), ground.node)


def test_what_starts_while_the_person_thinks_is_told_and_asked_about_by_itself(ground: Ground, told: Hook) -> None:
    ground.notebook("thesis")
    questions: list[Question] = []

    def person(question: Question) -> Answer:
        only_about_work(question)
        questions.append(question)
        if len(questions) == 1:
            ground.sneak_in("newcomer")
        return Answer("evict", "boss", now=True)

    with pytest.raises(Waiting, match="out of service"):
        driving.run(ground.settings(urls=(URL,)), ground.node, ASKING, ask=person)
    assert [[one.name for one in question.workloads] for question in questions] == [["thesis"], ["newcomer"]]
    assert len(told.told) == 2
    first, second = told.texts
    assert f"{NAMESPACE}/thesis of anna" in first
    assert "thesis" not in second
    assert f"{NAMESPACE}/newcomer of emil" in second
    assert [one[1] for one in ground.answers()] == ["evict-now", "evict-now"]
    driving.abort(ground.settings(), ground.node)


def test_notice_period_is_held_unless_somebody_says_now_and_events_tell_it_as_well(
    ground: Ground, lab_api: Api, told: Hook
) -> None:
    ground.notebook("held")
    began = time.monotonic()
    with pytest.raises(Waiting, match="out of service"):
        driving.run(ground.settings(urls=(URL,), notice_minutes=6 * SECOND), ground.node, EVICTING)
    assert time.monotonic() - began > 6
    (told_of,) = ground.record["notices"]
    assert told_of["state"] == "sent"
    assert "It is left to you until" in told.texts[0]
    events = lab_api.items(f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=involvedObject.name=held-0")
    assert any(one["reason"] == "NodeGoesDown" for one in events)
    taint = next(one["at"] for one in ground.record["changes"] if one["what"] == "taint")
    assert taint >= told_of["until"]
    driving.abort(ground.settings(), ground.node)


def test_now_cuts_the_notice_short(ground: Ground, lab: Lab, told: Hook, tmp_path: Path) -> None:
    ground.notebook("hurried")
    with pytest.raises(Waiting) as error:
        driving.run(ground.settings(urls=(URL,)), ground.node, ASKING)
    assert "Told at" in error.value.message
    assert "the notice period ends at" in error.value.message
    shown = command(lab, tmp_path, "status", ground.node)
    assert "the notice period ends at" in " ".join(shown.out.split())
    wrong = command(lab, tmp_path, "decide", ground.node, "--wait", "runai-team-a/nobody")
    assert wrong.code == 2
    assert "There is: runai-team-a/hurried" in " ".join(wrong.err.split())
    assert ground.answers() == []
    key = f"{NAMESPACE}/StatefulSet/hurried"
    settings = ground.settings(urls=(URL,))
    for each in ({"wait": [f"{NAMESPACE}/hurried"], "evict": [key]}, {"suspend": [key]}):
        with go_on(apis.connect(settings.cluster), settings, ground.node) as downtime, pytest.raises(Misused):
            deciding.interactive(downtime, deciding.Decided(each), "ben")  # type: ignore[arg-type]
    given = ("--evict", f"{NAMESPACE}/hurried", "--now", "--who", "ben")
    assert command(lab, tmp_path, "decide", ground.node, *given).code == 0
    began = time.monotonic()
    with pytest.raises(Waiting, match="out of service"):
        driving.resume(ground.settings(urls=(URL,)), ground.node)
    assert time.monotonic() - began < 60, "15 minutes are the default where somebody is told"
    assert ground.answers() == [("ben", "evict-now", ("hurried",))]
    assert len(told.told) == 1
    driving.abort(ground.settings(), ground.node)


def test_notifiers_that_refuse_or_hang_stop_nothing_and_are_shown_without_their_tokens(
    ground: Ground, told: Hook
) -> None:
    ground.notebook("unheard")
    said: list[str] = []

    def person(question: Question) -> Answer:
        only_about_work(question)
        said.extend(question.said)
        return Answer("evict", "boss", now=True)

    with hook() as hangs, hook() as takes:
        told.behaves, hangs.behaves = "refuses", "hangs"
        more = {"HANGS": f"{hangs.url}?rto=30", "TAKES": takes.url, "NONSENSE": "nosuchservice://abc"}
        with variables(more), pytest.raises(Waiting, match="out of service"):
            driving.run(ground.settings(urls=(URL, *more, "MISSING")), ground.node, ASKING, ask=person)
        assert len(takes.told) == 1
    text = "\n".join(said)
    assert "owners were NOT told" in text
    for part in ("500", "no answer within 3 s", "variable HANGS", "does not know this kind", "variable MISSING"):
        assert part in text
    assert "Told at" in text
    record = json.dumps(ground.record)
    assert "no answer within 3 s" in record
    assert TOKEN not in record + text
    driving.abort(ground.settings(), ground.node)


def test_process_killed_while_it_tells_leaves_nobody_told_twice(ground: Ground, lab: Lab, told: Hook) -> None:
    ground.notebook("once")
    told.behaves = "hangs"
    argv = [sys.executable, "-m", "tests.control_plane.driving", "run", ground.node]
    choices = json.dumps({"shut_down": False, "hold": True, "interactive": "ask"})
    config = {"DOWNTIME_CONFIG": str(lab.config), "DOWNTIME_NOTIFY__URLS": json.dumps([{"env": URL}])}
    with variables(config):
        process = subprocess.Popen([*argv, choices], cwd=PROJECT, stdout=subprocess.DEVNULL)
    try:
        until(lambda: told.told, seconds=60, what="nobody is told")
    finally:
        process.kill()
        process.wait(10)
    assert ground.record["notices"][0]["state"] == "intended"
    told.behaves = "takes"
    with pytest.raises(Waiting) as error:
        driving.resume(ground.settings(urls=(URL,)), ground.node)
    assert "It is not known whether the owners of runai-team-a/StatefulSet/once were told" in error.value.message
    assert len(told.told) == 1
    driving.abort(ground.settings(), ground.node)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_form_of_a_served_run_decides_per_workload_over_rest_and_about_what_came_meanwhile(
    ground: Ground, lab_api: Api, served: Runs, told: Hook, tmp_path: Path
) -> None:
    with notifying(ground.lab, told.url, tmp_path):
        _decide_by_form(ground, lab_api, served, told)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_served_run_waits_for_a_notice_outside_of_memory_with_its_lock_released(
    ground: Ground, lab_api: Api, served: Runs, told: Hook, tmp_path: Path
) -> None:
    with notifying(ground.lab, told.url, tmp_path):
        ground.notebook("alpha")
        run = served.start(
            "planned-maintenance", node=ground.node, shut_down=False, hold=False, interactive="evict", notice_minutes=2
        )
        until(lambda: served.state(run)["name"] == "WaitingForOwners", seconds=180, what="it stays in memory")
        see_released(lab_api, ground.node)
        assert set(ground.pods()) == {"alpha-0"}
        assert "the end of the notice period" in str(ground.record["steps"]["approve-workloads"])
        served.wait(run, "COMPLETED")
        taint = next(one["at"] for one in ground.record["changes"] if one["what"] == "taint")
        assert taint >= ground.record["notices"][0]["until"]
        assert len(told.told) == 1


@contextmanager
def notifying(lab: Lab, url: str, folder: Path) -> Iterator[None]:
    """Meanwhile the configuration, which each run of a flow reads, names a web hook and a block that is not there."""
    (folder / "urls").write_text(f"# of a test\n{url}\n")
    before = lab.config.read_text()
    section = f'[notify]\nurls = [{{ file = "{folder}/urls" }}]\nblocks = ["slack-webhook/missing"]\n'
    lab.config.write_text(f"{before}\n{section}")
    try:
        yield
    finally:
        lab.config.write_text(before)


def _decide_by_form(ground: Ground, lab_api: Api, served: Runs, told: Hook) -> None:
    ground.notebook("alpha")
    stopped = ground.notebook("beta", "dora")
    run = served.start(
        "planned-maintenance", node=ground.node, shut_down=False, hold=False, requested_by="frida", notice_minutes=2
    )
    schema, text = served.wait_for_form(run, "interactive")
    see_released(lab_api, ground.node)
    assert schema["properties"]["decision"]["enum"] == ["evict", "wait", "refuse"]
    assert schema["properties"]["on_runai_team_a_beta"]["enum"] == ["as-above", "evict", "wait"]
    assert "Told at" in text
    assert "NOT told" in text
    assert "slack-webhook/missing" in text
    assert TOKEN not in text
    ground.sneak_in("gamma")
    wrong = {"decision": "evict", "who": "anna", "on_runai_team_a_gamma": "wait"}
    assert served.answer(run, wrong)["status"] == "REJECT"
    given = {"decision": "evict", "now": True, "who": "anna", "on_runai_team_a_beta": "wait"}
    assert served.answer(run, given)["status"] == "ACCEPT"
    until(lambda: len(told.told) == 2, seconds=60, what="the owner of what came is not told")

    def asked_anew() -> bool:
        schema, text = served.wait_for_form(run, "interactive")
        return "gamma" in text and "alpha" not in text and "on_runai_team_a_beta" not in schema["properties"]

    until(asked_anew, seconds=60, what="it is not asked about what came")
    assert ground.answers() == [("anna", "evict-now", ("alpha",)), ("anna", "wait", ("beta",))]
    assert set(ground.pods()) == {"alpha-0", "beta-0", "gamma"}
    assert cordoned(lab_api, ground.node)
    assert not drained(lab_api, ground.node)
    assert served.answer(run, {"decision": "evict", "now": True, "who": "ben"})["status"] == "ACCEPT"
    until(lambda: "that its owner stops" in str(ground.record["steps"]), seconds=60, what="it is not waited for")
    ground.stop(stopped)
    served.wait(run, "COMPLETED")
    assert ground.answers()[2:] == [("ben", "evict-now", ("gamma",))]
    assert len(told.told) == 2
    assert "What its owners were told" in served.artifacts(run)[f"report-{ground.node}"]
