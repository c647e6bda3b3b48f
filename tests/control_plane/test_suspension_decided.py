"""A person decides that interactive work is suspended, and Run:ai does not do it: nothing else is done instead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import approving
from cluster.errors import Blocked, Waiting
from cluster.question import Answer, Question
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import driving, suspending_there
from tests.control_plane.commands import command
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.notebooks import ASKING, NAMESPACE, Ground, only_about_work
from tests.control_plane.protocol_states import drained

JSON = dict[str, Any]


@pytest.fixture
def ground(lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Ground:
    return Ground(lab, lab_api, make_node(role="cpu").node, make_object)


def test_suspension_that_run_ai_refuses_leaves_the_work_undecided_and_evicts_nothing_instead(
    ground: Ground, lab: Lab, tmp_path: Path
) -> None:
    ground.notebook("parked")
    ground.notebook("goes", "dora")
    with suspending_there.running(lab) as rest:
        settings = rest.settings(ground.settings())
        with pytest.raises(Waiting, match="Somebody has to decide"):
            driving.run(settings, ground.node, ASKING)
        given = ("--suspend", f"{NAMESPACE}/parked", "--interactive", "evict", "--who", "anna")
        decided = command(lab, tmp_path, "decide", ground.node, *given, timeout=120, **rest.variables())
        assert decided.code == 0, decided.err
        with rest.fault("refuses-suspend"), pytest.raises(Blocked) as refused:
            driving.resume(settings, ground.node)
        assert (refused.value.code, refused.value.exit_code) == ("not-suspended", 3)
        said = ground.record["obstacles"][0]["said"]
        assert said in refused.value.message
        assert set(ground.pods()) == {"parked-0", "goes-0"}
        assert not drained(ground.api, ground.node)
        asked: list[Question] = []

        def person(question: Question) -> Answer:
            only_about_work(question)
            asked.append(question)
            return Answer("suspend", "ben")

        with pytest.raises(Waiting, match="out of service"):
            driving.resume(settings, ground.node, ask=person)
        assert [one.name for one in asked[0].workloads] == ["parked"]
        assert said in " ".join(asked[0].said)
        assert asked[0].choices == ("evict", "wait", "suspend")
        assert ground.pods() == {}
        assert ground.answers() == [
            ("anna", "suspend", ("parked",)),
            ("anna", "evict", ("goes",)),
            ("ben", "suspend", ("parked",)),
        ]
        driving.abort(settings, ground.node)
        until(lambda: ground.pods().get("parked-0") == "Running", seconds=30, what="it is not resumed")


@pytest.fixture(params=["in a process", "served"])
def left(request: pytest.FixtureRequest, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """What stands of suspensions whenever a served run would end its process; here it goes on, to be seen again."""
    seen: list[list[str]] = []
    if request.param != "served":
        yield seen
        return
    monkeypatch.setattr(approving, "_WATCHED_SECONDS", 0.5)
    token = approving.COME_BACK.set(lambda _: seen.append(changes_of(ground)))
    yield seen
    approving.COME_BACK.reset(token)
    assert all(one == ["undone"] for one in seen), "it left before it was known what became of the suspension"


def test_what_its_owner_stops_after_a_suspension_that_came_to_nothing_is_not_resumed(
    ground: Ground,
    lab: Lab,
    left: list[list[str]],
) -> None:
    notebook = ground.notebook("mine")
    asked: list[Question] = []
    served = approving.COME_BACK.get() is not None
    with suspending_there.running(lab) as rest:
        settings = rest.settings(ground.settings(), stop_minutes=0.1)

        def person(question: Question) -> Answer:
            only_about_work(question)
            asked.append(question)
            return Answer("suspend" if len(asked) == 1 else "wait", "boss")

        def owner() -> None:
            until(lambda: changes_of(ground) == ["undone"], seconds=90, what="it is not settled")
            until(lambda: left or not served, seconds=30, what="the run does not leave once it is settled")
            rest.call("POST", f"workspaces/{notebook['metadata']['uid']}/suspend")

        with rest.fault("forgets"):
            thread = threading.Thread(target=owner)
            started: list[threading.Thread] = []

            def say(step: str, text: str) -> None:
                if text.startswith("waits until") and not started:
                    started.append(thread)
                    rest.clear()
                    thread.start()

            with pytest.raises(Waiting, match="out of service"):
                driving.run(settings, ground.node, ASKING, say, person)
        thread.join(60)
        assert len(asked) == 2
        assert "accepted" in " ".join(asked[1].said)
        driving.abort(settings, ground.node)
        assert rest.phase(notebook["metadata"]["uid"]) == "Stopped", "its owner stopped it, and it was started again"


def changes_of(ground: Ground) -> list[str]:
    return [one["state"] for one in ground.record["changes"] if one["what"].startswith("suspended ")]
