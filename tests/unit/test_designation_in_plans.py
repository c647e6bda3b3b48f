"""A system node without another one: blocked with candidates, or with a node that is designated first."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import planned, procedures, remove, taking_over, unplanned
from cluster.admission import Others
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions, UnplannedOptions
from cluster.outage_facts import OutageFacts
from cluster.placement import Place
from cluster.plan import Finding, Plan
from cluster.record import Change, Record
from cluster.takeover_facts import TakeoverFacts
from tests.unit import planning_cases as cases
from tests.unit.outage_cases import recovery
from tests.unit.places import GPU_WORKER, SYSTEM, asking, place

POD = asking("backend-0", cpu="3", namespace="runai-backend", nodeSelector={SYSTEM: "true"})
GPU = place("gpu-1", role=GPU_WORKER, gpus="8", cpu="64")


def _seen(*others: Place, **more: Any) -> Observation:
    own = cases.node("system-1", role="runai-system")
    own["status"]["allocatable"] = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    places = (Place(own, (POD,)), *others)
    pods = {one.name: one.pods for one in places}
    facts = TakeoverFacts(nodes=tuple(one.node for one in places), pods=pods, bound=more.pop("bound", ()))
    given = {"nodes": tuple(one.state for one in places), "takeover": facts, "outage_pods": facts.bound, **more}
    return cases.observation(own, (POD,), **given)


def _plan(seen: Observation, known: Record | None = None, **options: Any) -> Plan:
    return planned.plan(seen, PlannedOptions(**options), cases.settings(), known)


def _codes(found: tuple[Finding, ...]) -> list[str]:
    return [one.code for one in found]


def test_last_one_is_blocked_and_the_candidates_are_named() -> None:
    plan = _plan(_seen(GPU))
    assert _codes(plan.blockers) == ["last-system-node"]
    assert "gpu-1 (room for all system pods; 8 GPUs; no interactive work)" in plan.blockers[0].remedy


def test_designated_first_and_given_back_last() -> None:
    plan = _plan(_seen(GPU), designate="gpu-1")
    assert plan.feasible, plan.blockers
    steps = {one.name: one for one in plan.steps}
    names = list(steps)
    assert names.index("designate") < names.index("cordon")
    assert names.index("uncordon") < names.index("undesignate") < names.index("see-service")
    assert steps["designate"].changes == (f"set the label {SYSTEM} on gpu-1",)
    assert "undesignate" not in {one.name for one in _plan(_seen(GPU), designate="gpu-1", keep_designation=True).steps}


def test_without_room_it_is_blocked_although_one_is_designated() -> None:
    small = place("gpu-1", role=GPU_WORKER, cpu="1")
    assert _codes(_plan(_seen(small), designate="gpu-1").blockers) == ["no-room-on-system-nodes"]


def test_another_system_node_without_room_is_none() -> None:
    full = place("system-2", asking("own", cpu="2"))
    assert _codes(_plan(_seen(full, GPU)).blockers) == ["no-room-on-system-nodes"]
    assert _plan(_seen(full, GPU), designate="gpu-1").feasible


def test_node_that_stands_in_for_another_takes_over_from_nobody_else() -> None:
    other = place("system-2")
    assert _plan(_seen(other)).feasible
    (found,) = _plan(_seen(other, designated={"system-2": "system-9"})).blockers
    assert found.code == "last-system-node"
    assert "system-2 stands in for system-9" in found.message


def test_node_that_stands_in_does_not_go_down() -> None:
    seen = cases.observation(designated={"gpu-1": "system-1"})
    assert _codes(_plan(seen).blockers) == ["designated-node"]
    removing = remove.plan(seen, RemoveOptions(confirmed="gpu-1"), cases.settings(), None)
    assert _codes(removing.blockers) == ["designated-node"]


def test_nothing_is_designated_for_a_node_that_is_no_system_node() -> None:
    assert _codes(_plan(cases.observation(), designate="gpu-2").blockers) == ["cannot-designate"]


@pytest.mark.parametrize("labelled", [True, False])
def test_on_re_entry_the_label_may_be_there_already(labelled: bool) -> None:
    spare = place("gpu-1", role=GPU_WORKER, gpus="8", cpu="64", labels={SYSTEM: "true"} if labelled else {})
    options = PlannedOptions(designate="gpu-1")
    known = cases.record(options, done=("recovery-gate",), name="system-1")
    assert planned.plan(_seen(spare), options, cases.settings(), known).feasible
    if labelled:
        assert _codes(_plan(_seen(spare), designate="gpu-1").blockers) == ["cannot-designate"]


def test_designated_node_that_fails_is_named_and_blocks_what_comes_before_the_shutdown() -> None:
    options = PlannedOptions(designate="gpu-1")
    known = _with_designation(cases.record(options, done=("recovery-gate", "designate"), name="system-1"))
    dead = place("gpu-1", role=GPU_WORKER, cpu="64", labels={SYSTEM: "true"}, ready=False)
    plan = planned.plan(_seen(dead), options, cases.settings(), known)
    assert _codes(plan.blockers) == ["last-system-node"]
    assert "designated-failed" in _codes(plan.warnings)


def test_outage_is_named_and_asked_about_and_holds_for_what_was_shown() -> None:
    bound = ("runai-backend/postgresql-0",)
    plan = _plan(_seen(place("system-2"), bound=bound))
    assert plan.feasible
    assert "local-volume-outage" in _codes(plan.warnings)
    asked = next(one for one in plan.steps if one.name == "approve-workloads")
    assert "runai-backend/postgresql-0" in asked.summary
    typed = _plan(_seen(place("system-2"), bound=bound), accept_outage="system-1")
    assert "runai-backend" not in next(one for one in typed.steps if one.name == "approve-workloads").summary
    wrong = _plan(_seen(place("system-2"), bound=bound), accept_outage="system-2")
    assert _codes(wrong.blockers) == ["outage-not-accepted"]


def test_failed_last_system_node_needs_one_to_be_designated() -> None:
    seen = _failed(GPU)
    options = UnplannedOptions(reason="x")
    assert _codes(unplanned.plan(seen, options, cases.settings(), None).blockers) == ["last-system-node"]
    chosen = options.model_copy(update={"designate": "gpu-1"})
    plan = unplanned.plan(seen, chosen, cases.settings(), None)
    assert plan.feasible, plan.blockers
    names = [one.name for one in plan.steps]
    assert names.index("see-machine") < names.index("designate") < names.index("cordon")


def test_removed_for_good_the_designated_one_stays() -> None:
    options = RemoveOptions(confirmed="system-1", designate="gpu-1")
    plan = remove.plan(_seen(GPU), options, cases.settings(), None)
    assert plan.feasible, plan.blockers
    assert "undesignate" not in {one.name for one in plan.steps}
    assert "designation-lasts" in _codes(plan.warnings)


def test_backing_out_gives_the_label_back_only_if_it_was_begun() -> None:
    options = PlannedOptions(designate="gpu-1")
    begun = cases.record(options, done=("recovery-gate", "designate", "cordon"), aborted=True, name="system-1")
    assert "undesignate" in procedures.steps_of(begun)
    early = cases.record(options, done=("recovery-gate",), aborted=True, name="system-1")
    assert "undesignate" not in procedures.steps_of(early)
    failed = recovery(UnplannedOptions(designate="gpu-1"), done=("judge-down", "designate"), course="returned")
    assert "undesignate" in procedures.steps_of(failed)


def test_who_relies_on_whom_is_in_the_record_until_the_label_is_off() -> None:
    options = PlannedOptions(designate="gpu-1")
    begun = cases.record(options, name="system-1")
    assert begun.relies_on == "gpu-1"
    labelled = _with_designation(begun)
    assert labelled.relies_on == labelled.designated == "gpu-1"
    off = labelled.model_copy(update={"changes": (labelled.changes[0].model_copy(update={"state": "undone"}),)})
    assert off.relies_on == ""
    assert Others(frozenset({"system-1"}), {"gpu-1": "system-1"}).designated["gpu-1"] == "system-1"


def test_stands_in_for_nobody() -> None:
    assert taking_over.standing_in("gpu-2", {"gpu-1": "system-1"}) == []


def _with_designation(record: Record) -> Record:
    change = Change(what="temporary-designation", value="gpu-1", state="made", at=cases.NOW)
    return record.model_copy(update={"changes": (change,)})


def _failed(*others: Place) -> Observation:
    seen = _seen(*others, place("gpu-2", role=GPU_WORKER), place("gpu-3", role=GPU_WORKER))
    assert seen.node is not None
    assert seen.takeover is not None
    dead = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    own: Object = {**seen.node, "status": {**seen.node["status"], **dead}}
    facts = seen.takeover.model_copy(update={"nodes": (own, *seen.takeover.nodes[1:])})
    states = tuple(Place(one).state for one in facts.nodes)
    return seen.model_copy(
        update={"node": own, "takeover": facts, "nodes": states, "outage": OutageFacts(api_ready=True)}
    )
