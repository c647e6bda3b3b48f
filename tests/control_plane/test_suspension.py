"""Interactive work suspended before a drain through Run:ai's REST API, and only ours resumed afterwards."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster import api as apis
from cluster import report, suspending, whereabouts
from cluster.config import Settings
from cluster.downtime import Downtime
from cluster.errors import DowntimeError, Failed, Waiting
from cluster.options import PlannedOptions
from cluster.plan import Workload
from cluster.record import Record
from cluster.runai_api import RunaiApi
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.custom_workloads import custom
from lab.runai.workloads import Work, interactive, training
from tests.control_plane import driving, removing, suspending_there
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.kill_ground import HURRIED, Ground, Killing, When, label
from tests.control_plane.killing_proxy import Relay, Request
from tests.control_plane.protocol_states import record_of, untouched
from tests.control_plane.suspending_there import RestApi

JSON = dict[str, Any]
NAMESPACE = "runai-team-a"
WHO = "grace@desk"
STAYING_UP = UNATTENDED.model_copy(update={"shut_down": False})
HOLDING = STAYING_UP.model_copy(update={"hold": True})
Make = Callable[[JSON], str]


@pytest.fixture(scope="module")
def rest(lab: Lab) -> Iterator[RestApi]:
    with suspending_there.running(lab) as made:
        yield made


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node(role="cpu").node


@pytest.fixture
def settings(rest: RestApi, node: str) -> Settings:
    """Read after the node was made."""
    return rest.settings()


@pytest.fixture
def make(lab_api: Api, node: str, make_object: MakeObject) -> Make:
    """Makes a workload, waits until it runs on the node, and tells its id."""

    def made(body: JSON) -> str:
        uid = str(make_object(body)["metadata"]["uid"])
        name = body["metadata"]["name"]
        until(lambda: any(one.startswith(name) for one in running(lab_api, node)), seconds=30, what=f"{name} runs not")
        return uid

    return made


class KilledAt(Killing):
    """Kills the process at the first write of a record that says so of a change."""

    def __init__(self, said: str, when: When) -> None:
        super().__init__(when=when)
        self.said = said

    def _is_it(self, request: Request, number: int) -> bool:
        return self.said in label(request)


def running(api: Api, node: str) -> list[str]:
    found = api.items(f"/api/v1/namespaces/{NAMESPACE}/pods?fieldSelector=spec.nodeName={node}")
    return [pod["metadata"]["name"] for pod in found if pod["status"].get("phase") == "Running"]


def work(node: str) -> Work:
    return Work(node=node, grace_seconds=1, gpus=0, user="grace")


@pytest.fixture
def ground(lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, rest: RestApi) -> Ground:
    return replace(Ground(lab, lab_api, relay, tmp_path), variables={**HURRIED, **rest.variables()})


def through(
    settings: Settings,
    node: str,
    suspends: Callable[[Downtime, dict[str, Workload]], None],
    options: PlannedOptions = STAYING_UP,
) -> Record:
    """Planned maintenance, in which workloads are suspended once the node is cordoned, as somebody decided then."""

    def by_name(downtime: Downtime, workloads: tuple[Workload, ...]) -> None:
        suspends(downtime, {one.name: one for one in workloads})

    return driving.suspend(settings, node, options, suspends=by_name)


def suspends_all(downtime: Downtime, workloads: dict[str, Workload]) -> None:
    suspending.suspend(downtime, workloads.values(), WHO)


def changes(record: Record) -> dict[str, str]:
    return {one.what: one.state for one in record.changes if one.what.startswith("suspended ")}


def test_what_was_suspended_is_gone_from_the_node_and_only_that_is_resumed(
    lab_api: Api, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    ours, left = make(custom("interactive", "notebook", work(node))), make(interactive("left", work(node)))
    theirs = make(interactive("stopped", replace(work(node), lingers=3, grace_seconds=10)))
    train = make(training("train", work(node)))
    seen: list[tuple[str, str]] = []

    def suspends(downtime: Downtime, workloads: dict[str, Workload]) -> None:
        # Their owners stop two of them in the last moment, and of one nothing is left.
        rest.call("POST", f"workspaces/{left}/suspend")
        until(lambda: rest.phase(left) == "Stopped", seconds=20, what="it does not stop")
        rest.call("POST", f"workspaces/{theirs}/suspend")
        assert rest.phase(theirs) == "Stopping"
        found = suspending.suspend(downtime, workloads.values(), WHO)
        seen.extend((one.key.rpartition("/")[2], one.how) for one in found)
        assert running(lab_api, node) == []

    record = through(settings, node, suspends)
    assert dict(seen) == {
        "notebook": "suspended",
        "train": "suspended",
        "stopped": "stopped-already",
        "left": "gone",
    }
    assert record.phase == "closed"
    assert set(changes(record).values()) == {"undone"}
    assert len(changes(record)) == 2
    assert any(f"{WHO} suspends {NAMESPACE}/InteractiveWorkload/notebook" in one.text for one in record.timeline)
    assert [rest.phase(one) in ("Running", "Pending") for one in (ours, train)] == [True, True]
    assert {rest.phase(theirs), rest.phase(left)} == {"Stopped"}
    assert untouched(lab_api, node)
    until(lambda: "notebook-0-0" in running(lab_api, node), seconds=30, what="the notebook is not back")
    went = {one.workload: (one.owner, one.now) for one in record.went}
    assert went["notebook"] == ("grace", "suspended"), "the report does not say where it went"
    now = {one.workload: one.now for one in whereabouts.of_record(apis.connect(settings.cluster), record)}
    assert now["notebook"] == "running"


def test_who_backs_out_resumes_and_finds_what_others_resumed_or_deleted(
    lab_api: Api, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    names = ("mine", "resumed", "deleted")
    ids = {name: make(interactive(name, work(node))) for name in names}

    with pytest.raises(Waiting):
        through(settings, node, suspends_all, HOLDING)
    rest.call("POST", f"workspaces/{ids['resumed']}/resume")
    lab_api.delete(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/deleted", propagationPolicy="Background")
    record = driving.abort(settings, node)
    assert record.phase == "closed"
    assert set(changes(record).values()) == {"undone"}
    assert rest.phase(ids["mine"]) in ("Running", "Pending")
    said = [one.text for one in record.timeline]
    assert any("StatefulSet/resumed is not stopped" in one and "somebody resumed it already" in one for one in said)
    assert any("StatefulSet/deleted was deleted meanwhile" in one for one in said)


def test_resumption_that_is_refused_does_not_keep_the_node_and_is_a_warning(
    lab_api: Api, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    id_ = make(interactive("refused", work(node)))

    with rest.fault("refuses-resume"):
        record = through(settings, node, suspends_all)
    assert record.phase == "closed"
    assert untouched(lab_api, node)
    assert record.standing() == (f"suspended {NAMESPACE}/StatefulSet/refused workspaces/{id_}",)
    [warning] = report.of_record(record).warnings
    assert warning.code == "still-suspended"
    assert "the quota of its project is used up" in warning.message
    assert f"runai workspace resume --uuid={id_}" in warning.remedy
    rest.call("POST", f"workspaces/{id_}/resume")


def test_refused_suspension_is_told_in_the_words_of_the_api_and_what_was_done_before_stands(
    lab_api: Api, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    first, second = make(interactive("first", work(node))), make(interactive("second", work(node)))
    raised: list[DowntimeError] = []

    def suspends(downtime: Downtime, workloads: dict[str, Workload]) -> None:
        suspending.suspend(downtime, [workloads["first"]], WHO)
        with rest.fault("refuses-suspend"), pytest.raises(DowntimeError) as error:
            suspending.suspend(downtime, [workloads["first"], workloads["second"]], WHO)
        raised.append(error.value)

    record = through(settings, node, suspends, STAYING_UP.model_copy(update={"interactive": "evict"}))
    assert (raised[0].code, raised[0].exit_code) == ("runai-refused", 3)
    assert "a policy of its project forbids it" in raised[0].message
    assert raised[0].changed == ("cordon", f"suspended {NAMESPACE}/StatefulSet/first workspaces/{first}")
    assert changes(record) == {
        f"suspended {NAMESPACE}/StatefulSet/first": "undone",
        f"suspended {NAMESPACE}/StatefulSet/second": "undone",
    }
    assert rest.phase(second) in ("Running", "Pending")
    assert rest.secret not in record.model_dump_json()


def test_suspension_that_is_accepted_and_never_done_is_an_error_and_nothing_is_evicted_for_it(
    lab_api: Api, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    make(interactive("stays", work(node)))
    hasty = rest.settings(settings, stop_minutes=0.05)
    with rest.fault("forgets"), pytest.raises(Failed) as failed:
        through(hasty, node, suspends_all)
    assert failed.value.code == "not-suspended"
    assert "pods stays-0 still on" in failed.value.message
    assert failed.value.changed[1].endswith("(intended)")
    assert running(lab_api, node) == ["stays-0"]
    record = driving.abort(hasty, node)
    assert set(changes(record).values()) == {"undone"}
    assert any("it was not suspended after all" in one.text for one in record.timeline)
    assert untouched(lab_api, node)


@pytest.mark.parametrize("accepted", [True, False], ids=["once it is accepted", "before it is asked for"])
def test_what_is_deleted_while_it_is_to_be_suspended_is_not_said_to_be_suspended(
    accepted: bool,
    lab_api: Api,
    rest: RestApi,
    settings: Settings,
    node: str,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id_ = make(interactive("ending", work(node)))
    told: list[suspending.Suspended] = []
    ask = RunaiApi.suspend

    def suspends(downtime: Downtime, workloads: dict[str, Workload]) -> None:
        told.extend(suspending.suspend(downtime, workloads.values(), WHO))

    def ask_and_delete(self: RunaiApi, *asked: Any) -> None:
        if accepted:
            ask(self, *asked)
        lab_api.delete(f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/ending", propagationPolicy="Background")
        if not accepted:
            until(lambda: not rest.knows(id_), seconds=30, what="it is known although it was deleted")
            ask(self, *asked)

    monkeypatch.setattr(RunaiApi, "suspend", ask_and_delete)
    with rest.fault("forgets"), pytest.raises(Waiting):
        through(settings, node, suspends, HOLDING)
    assert [one.how for one in told] == ["over"]
    record = driving.abort(settings, node)
    assert set(changes(record).values()) == {"undone"}
    assert any("ended by itself meanwhile" in one.text for one in record.timeline)
    assert untouched(lab_api, node)


def test_removal_resumes_what_the_maintenance_that_it_takes_over_suspended_once_the_node_is_drained(
    lab: Lab, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    id_ = make(interactive("elsewhere", work(node)))
    with pytest.raises(Waiting):
        through(settings, node, suspends_all, HOLDING)
    assert rest.phase(id_) == "Stopped"
    record = removing.remove(rest.settings(removing.settings_of(lab)), node)
    assert record.phase == "closed"
    assert set(changes(record).values()) == {"undone"}
    order = [record.steps[name].at for name in ("see-gone", "resume-workloads", "reset-host", "delete-node")]
    assert order == sorted(order)
    assert rest.phase(id_) == "Pending", "it wants no other node"


def test_work_is_resumed_although_the_node_was_deleted_in_the_middle(
    lab_api: Api, rest: RestApi, settings: Settings, node: str, make: Make
) -> None:
    id_ = make(interactive("orphan", work(node)))
    with pytest.raises(Waiting):
        through(settings, node, suspends_all, HOLDING)
    lab_api.delete(f"/api/v1/nodes/{node}")
    record = driving.abort(settings, node)
    assert record.phase == "closed"
    assert set(changes(record).values()) == {"undone"}
    assert rest.phase(id_) == "Pending"


@pytest.mark.parametrize(
    ("state", "when", "phases"),
    [
        pytest.param("intended", "after", {"Running"}, id="before it is asked for", marks=pytest.mark.long),
        pytest.param("made", "before", {"Stopped"}, id="between the suspension and its record"),
        pytest.param(
            "undone",
            "before",
            {"Running", "Pending"},
            id="between the resumption and its record",
            marks=pytest.mark.long,
        ),
    ],
)
def test_process_that_is_killed_in_the_middle_is_taken_up(
    ground: Ground, rest: RestApi, node: str, make: Make, state: str, when: When, phases: set[str]
) -> None:
    name = f"killed-{state}"
    id_ = make(interactive(name, work(node)))
    what = f"suspended {NAMESPACE}/StatefulSet/{name}"
    script = KilledAt(f"{what} {state}", when)
    ended = ground.under(script, "suspend", node, shut_down=False)
    assert ended.status == -signal.SIGKILL, ended.said
    assert rest.phase(id_) in phases
    ended = ground.finish("resume", node)
    assert ended.status == 0, ended.said
    record = record_of(ground.api, node)
    assert record is not None
    assert record["phase"] == "closed"
    assert [one["state"] for one in record["changes"] if one["what"] == what] == ["undone"]
    until(lambda: rest.phase(id_) == "Running", seconds=30, what="it does not run again")
