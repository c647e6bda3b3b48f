"""The last Run:ai system node goes down only after another node was made one, which is given back afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster import api as apis
from cluster import planning
from cluster.config import Settings
from cluster.errors import Blocked, Failed, Waiting
from cluster.options import PlannedOptions
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import cordoned, fleet_of, machine_of, untouched
from tests.control_plane.recovering import wait_for_ready
from tests.control_plane.removing import lose_power
from tests.control_plane.standing_in import LABEL, Last, last_one, local_volume, others_cordoned, part

HELD = {"shut_down": False, "hold": True}


@pytest.fixture
def last(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Iterator[Last]:
    with others_cordoned(lab_api):
        yield last_one(lab_api, make_node, make_object)


@pytest.fixture
def settings(lab: Lab, last: Last) -> Settings:
    return settings_of(lab, drain={"takeover_minutes": 30 * SECOND})


def test_blocked_with_candidates_the_best_first_and_never_the_control_plane(settings: Settings, last: Last) -> None:
    _, plan = planning.plan(apis.connect(settings.cluster), settings, last.system, UNATTENDED)
    (found,) = plan.blockers
    assert found.code == "last-system-node"
    assert f"the best are: {last.spare} (room for all system pods; no GPUs; no interactive work)" in found.remedy
    assert "master-1" not in found.remedy
    assert not plan.feasible


def test_pods_move_to_the_designated_node_and_back_and_the_label_comes_off(
    lab: Lab, lab_api: Api, settings: Settings, last: Last
) -> None:
    before, seen = machine_of(lab, last.system).boot_id, []

    def say(step: str, text: str) -> None:
        if step == "see-off" and text != "begins":
            seen.append((last.where(), last.labelled(), fleet_of(lab_api)[last.system]["designates"]))

    record = driving.run(settings, last.system, last.options(), say)
    assert seen == [(dict.fromkeys(last.parts, last.spare), True, last.spare)]
    assert machine_of(lab, last.system).boot_id != before
    assert last.all_on(last.system)
    assert not last.labelled()
    assert last.mark() == ""
    assert record.phase == "closed"
    assert {one.what: one.state for one in record.changes}["temporary-designation"] == "undone"
    assert record.standing() == ()
    assert "find a place" in record.steps["designate"].proof
    assert untouched(lab_api, last.system)
    assert last.system not in fleet_of(lab_api)


@pytest.mark.long
def test_kept_designation_is_nobodys_afterwards(settings: Settings, last: Last) -> None:
    record = driving.run(settings, last.system, last.options(shut_down=False, keep_designation=True))
    assert last.labelled()
    assert last.mark() == ""
    assert "undesignate" not in record.steps
    assert record.standing() == ()
    assert any(one.text == f"{last.spare} stays a Run:ai system node" for one in record.timeline)


def test_abort_takes_the_label_off(lab_api: Api, settings: Settings, last: Last) -> None:
    with pytest.raises(Waiting):
        driving.run(settings, last.system, last.options(**HELD))
    assert last.all_on(last.spare)
    record = driving.abort(settings, last.system)
    assert record.steps["undesignate"].state == "done"
    assert not last.labelled()
    assert last.mark() == ""
    assert last.all_on(last.system)
    assert untouched(lab_api, last.system)


@pytest.mark.long
def test_label_that_was_there_before_is_not_ours_to_set_or_remove(settings: Settings, last: Last) -> None:
    last.api.patch(f"/api/v1/nodes/{last.spare}", {"metadata": {"labels": {LABEL: ""}}})
    with pytest.raises(Blocked) as raised:
        driving.run(settings, last.system, last.options())
    assert raised.value.code == "cannot-designate"
    assert "is a system node already" in raised.value.message
    assert last.labelled()


@pytest.mark.long
def test_label_that_somebody_sets_in_between_stays(settings: Settings, last: Last) -> None:
    def say(step: str, text: str) -> None:
        if (step, text) == ("designate", "begins"):
            last.api.patch(f"/api/v1/nodes/{last.spare}", {"metadata": {"labels": {LABEL: "true"}}})

    record = driving.run(settings, last.system, last.options(shut_down=False), say)
    assert "somebody else set it" in record.steps["designate"].proof
    assert last.labelled()
    assert last.mark() == ""


@pytest.mark.long
def test_designated_node_that_cannot_take_over_after_all(lab_api: Api, settings: Settings, last: Last) -> None:
    impatient = settings.model_copy(update={"drain": settings.drain.model_copy(update={"takeover_minutes": SECOND})})

    def say(step: str, text: str) -> None:
        if (step, text) == ("designate", "begins"):
            last.api.patch(f"/api/v1/nodes/{last.spare}", {"spec": {"unschedulable": True}})

    with pytest.raises(Blocked) as raised:
        driving.run(impatient, last.system, last.options(), say)
    assert raised.value.code == "cannot-designate"
    assert not last.labelled()
    assert not cordoned(lab_api, last.system)
    assert driving.abort(settings, last.system).phase == "closed"
    assert last.mark() == ""


@pytest.mark.long
def test_what_cannot_be_placed_is_seen_with_its_reason_and_nothing_is_drained(
    lab_api: Api, settings: Settings, last: Last
) -> None:
    impatient = settings.model_copy(update={"drain": settings.drain.model_copy(update={"takeover_minutes": SECOND})})

    def say(step: str, text: str) -> None:
        # A taint that comes with the label, as an operator may set it.
        if step == "designate" and "carries the label; seeing" in text:
            taint = {"key": "team", "value": "a", "effect": "NoSchedule"}
            last.api.patch(f"/api/v1/nodes/{last.spare}", {"spec": {"taints": [taint]}})

    with pytest.raises(Failed) as raised:
        driving.run(impatient, last.system, last.options(), say)
    assert raised.value.code == "not-placeable"
    assert "has a taint that it does not tolerate (team=a:NoSchedule)" in raised.value.message
    assert "temporary-designation" in " ".join(raised.value.changed)
    assert last.all_on(last.system)
    driving.abort(settings, last.system)
    assert not last.labelled()
    assert untouched(lab_api, last.system)


def test_designated_node_does_not_go_down_while_it_stands_in(settings: Settings, last: Last) -> None:
    with pytest.raises(Waiting):
        driving.run(settings, last.system, last.options(**HELD))
    with pytest.raises(Blocked) as raised:
        driving.run(settings, last.spare, PlannedOptions(interactive="evict"))
    assert raised.value.code == "designated-node"
    assert last.system in raised.value.message
    driving.abort(settings, last.system)


@pytest.mark.long
def test_designated_node_that_fails_is_named_and_the_machine_is_not_shut_down(
    lab: Lab, lab_api: Api, settings: Settings, last: Last
) -> None:
    def say(step: str, text: str) -> None:
        if step == "see-gone" and text.startswith("no pod left that must go;"):
            lose_power(lab, lab_api, last.spare)

    with pytest.raises(Blocked) as raised:
        driving.run(settings, last.system, last.options(), say)
    assert raised.value.code == "last-system-node"
    assert f"{last.spare} is not Ready" in raised.value.message
    assert machine_of(lab, last.system).power == "on"
    _, plan = planning.plan(apis.connect(settings.cluster), settings, last.system, last.options())
    assert "designated-failed" in {one.code for one in plan.warnings}
    power(lab, last.spare, "on")
    wait_for_ready(lab_api, last.spare, ready=True)
    driving.abort(settings, last.system)
    assert last.all_on(last.system)
    assert not last.labelled()


@pytest.mark.long
def test_service_that_does_not_come_up_elsewhere_keeps_the_machine_on(lab: Lab, settings: Settings, last: Last) -> None:
    drain = settings.drain.model_copy(update={"takeover_minutes": 3 * SECOND})
    impatient = settings.model_copy(update={"drain": drain})
    template = {"spec": {"nodeSelector": {"lab/nowhere": "true"}}}
    nowhere = {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}, "template": template}}
    path = f"/apis/apps/v1/namespaces/runai/deployments/{last.parts[0]}"

    def say(step: str, text: str) -> None:
        if step == "see-gone" and text.startswith("no pod left that must go;"):
            last.api.patch(path, nowhere)

    with pytest.raises(Failed) as raised:
        driving.run(impatient, last.system, last.options(), say)
    assert raised.value.code == "not-taken-over"
    assert f"runai/Deployment/{last.parts[0]} has 0 of 1 pods ready" in raised.value.message
    assert "waits: " in raised.value.message, "the scheduler's words"
    assert machine_of(lab, last.system).power == "on"
    last.api.patch(path, {"spec": {"template": {"spec": {"nodeSelector": {"lab/nowhere": None}}}}})
    driving.abort(settings, last.system)
    assert not last.labelled()


@pytest.mark.long
def test_what_is_bound_to_a_volume_of_the_designated_node_stays_and_is_named(
    settings: Settings, last: Last, make_object: MakeObject
) -> None:
    with pytest.raises(Waiting):
        driving.run(settings, last.system, last.options(**HELD))
    name = f"bound-{last.spare}"
    for body in local_volume(name, last.spare):
        make_object(body)
    make_object(part("StatefulSet", name, claim=name))
    there = Last(last.api, last.system, last.spare, (name, name))
    until(lambda: there.all_on(last.spare), seconds=40, what=f"{name} does not run")
    record = driving.resume(settings, last.system)
    assert f"runai/{name}-0 is bound to a volume there" in record.steps["undesignate"].proof
    assert last.labelled()
    assert there.all_on(last.spare)
    assert record.phase == "closed"
    assert [one.value for one in record.changes if one.what == "designation"] == [last.spare]
