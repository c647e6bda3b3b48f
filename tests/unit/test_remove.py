"""The planner of permanent removal: what forbids it, what is lost, what it may take over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster import crossing, local_volumes, procedures, remove
from cluster.errors import Blocked
from cluster.inventory import summary
from cluster.local_volumes import LocalVolume
from cluster.node import Object
from cluster.notice import Notice, Obstacle
from cluster.observation import HostFacts, Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Finding, Plan
from cluster.record import Approval, Asked, Change, Record
from cluster.records import needed_by_rejoin
from tests.unit import planning_cases as cases
from tests.unit.pod_objects import pod

OPTIONS = RemoveOptions(interactive="evict", confirmed="gpu-1")
SILENT = HostFacts(problem=Finding(code="host-unreachable", message="no answer", remedy=""))
OF_A_WORKER = remove.steps_for(RemoveOptions(), {})
DEAD = cases.node(ready=False)


def _plan(seen: Observation, record: Record | None = None, options: RemoveOptions = OPTIONS) -> Plan:
    return remove.plan(seen, options, cases.settings(), record)


def _codes(found: tuple[Finding, ...]) -> set[str]:
    return {one.code for one in found}


def _record(**more: Any) -> Record:
    made = cases.record(procedure="remove", **more)
    return made.model_copy(update={"options": OPTIONS.model_dump(mode="json")})


def _changed(*what: str) -> tuple[Change, ...]:
    return tuple(Change(what=one, value="x", state="intended", at=cases.NOW) for one in what)


def test_healthy_node_can_be_removed_in_the_order_of_the_runbook() -> None:
    plan = _plan(cases.observation())
    assert plan.feasible
    assert [one.name for one in plan.steps] == list(OF_A_WORKER)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({"host": HostFacts(reachable=True, boot_id="another")}, "host-identity"),
        ({"host": SILENT}, "host-unreachable"),
        ({"found": DEAD, "host": SILENT, "power_status": "on"}, "host-unreachable"),
        ({"found": DEAD, "power_status": "on"}, "not-ready"),
        ({"power_status": "off"}, "power-mismatch"),
        ({"recovery": cases.BLOCKED}, "recovery-gate"),
        ({"pods": (pod("stays", tolerations=[{"operator": "Exists"}]),)}, "tolerates-drain"),
        ({"found": cases.node(role="runai-system"), "nodes": ()}, "last-system-node"),
        ({"found": cases.node(role="control-plane")}, "only-control-plane-node"),
    ],
)
def test_blocked(seen: dict[str, Any], code: str) -> None:
    found = seen.pop("found", None)
    if "nodes" in seen:
        seen["nodes"] = (summary(found),)
    plan = _plan(cases.observation(found, **seen))
    assert not plan.feasible
    assert any(code in one for one in _codes(plan.blockers)), plan.blockers


def test_machine_that_is_off_needs_no_ssh_and_may_come_back_if_started() -> None:
    plan = _plan(cases.observation(DEAD, host=HostFacts(), power_status="off"))
    assert plan.feasible
    assert "comes-back-if-started" in _codes(plan.warnings)


def test_silent_machine_without_a_controller_asks_a_person() -> None:
    plan = _plan(cases.observation(DEAD, host=SILENT, power_status="none"))
    assert plan.feasible
    assert "proof-asked" in _codes(plan.warnings)


def test_a_machine_with_a_changed_host_key_is_no_machine_that_is_off() -> None:
    changed = HostFacts(problem=Finding(code="host-key-changed", message="", remedy=""))
    assert "host-key-changed" in _codes(_plan(cases.observation(DEAD, host=changed, power_status="none")).blockers)


@pytest.mark.parametrize("what", ["machine-reset", "node-deleted"])
def test_once_the_reset_was_begun_only_the_rest_is_planned_and_no_way_leads_back(what: str) -> None:
    record = _record(done=OF_A_WORKER[:6], changes=()).model_copy(update={"changes": _changed(what)})
    gone = cases.observation().model_copy(update={"node": None, "host": SILENT})
    plan = _plan(gone, record)
    assert plan.feasible
    assert [one.name for one in plan.steps] == list(OF_A_WORKER[6:])
    with pytest.raises(Blocked) as raised:
        procedures.require_abortable(record)
    assert raised.value.code == "cannot-abort"


def test_backing_out_before_the_reset_undoes_and_never_resets() -> None:
    record = _record(done=OF_A_WORKER[:6]).model_copy(update={"aborted": True})
    procedures.require_abortable(record)
    assert procedures.steps_of(record) == tuple(name for name in procedures.UNDO if name != "undesignate")


def test_backing_out_leaves_a_dead_machine_as_it_is_and_clears_what_the_recovery_had_set() -> None:
    dead = _record(changes=("cordon", "taint", "out-of-service"), done=("taint",))
    dead = dead.model_copy(update={"aborted": True, "gone_boot": "boot-1"})
    assert procedures.steps_of(dead) == ("clear-out-of-service", "untaint", "uncordon", "close")


def test_planned_maintenance_is_taken_over_with_what_was_found_and_changed() -> None:
    old = cases.record(PlannedOptions(), done=("recovery-gate", "cordon", "taint"), changes=("cordon", "taint"))
    plan = _plan(cases.observation(cases.node(cordoned=True, tainted=True, owned=("cordon", "taint"))), old)
    assert plan.feasible
    assert "taken-over" in _codes(plan.warnings)
    new = crossing.taken_over(old, OPTIONS, cases.PASSED, 2, "ada", "")
    assert (new.procedure, new.id, new.found, new.changes) == ("remove", old.id, old.found, old.changes)
    assert set(new.steps) == {"recovery-gate"}
    assert crossing.taken_over(new, OPTIONS, cases.PASSED, 2, "ada", "") == new


def test_removal_asks_and_tells_anew_about_work_that_came_after_the_node_had_returned() -> None:
    at = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    given = Approval(subject="interactive", digest="d", items=("a/StatefulSet/b",), answer="evict", who="x", at=at)
    told = Notice(at=at, until=at, items=given.items, state="sent", told=("mail",))
    hindered = Obstacle(at=at, item=given.items[0], said="503")
    known = {
        "obstacles": (hindered,),
        "approvals": (given,),
        "notices": (told,),
        "asked": Asked(digest="d", items=given.items),
    }
    asking = cases.record(PlannedOptions(), done=("cordon",), changes=("cordon",)).model_copy(update=known)
    new = crossing.taken_over(asking, OPTIONS, cases.PASSED, 2, "ada", "")
    assert (new.approvals, new.notices, new.asked) == ((given,), (), None), "they were told that it comes back"
    returned = cases.record(PlannedOptions(), done=("taint", "untaint"), changes=()).model_copy(update=known)
    assert new.obstacles == (hindered,), "what could not be suspended is still undecided"
    anew = crossing.taken_over(returned, OPTIONS, cases.PASSED, 2, "ada", "")
    assert (anew.approvals, anew.obstacles) == ((), ())


def test_rejoin_is_not_taken_over() -> None:
    plan = _plan(cases.observation(), cases.record(procedure="rejoin"))
    assert _codes(plan.blockers) == {"in-downtime"}


def test_taking_over_judges_the_recovery_gate_anew() -> None:
    assert "recovery-gate" in _codes(_plan(cases.observation(recovery=cases.BLOCKED), cases.record()).blockers)


@pytest.mark.parametrize("typed", ["", "gpu-2", "GPU-1"])
def test_name_that_was_not_typed_forbids_it(typed: str) -> None:
    with pytest.raises(Blocked) as raised:
        crossing.require_confirmed("gpu-1", RemoveOptions(confirmed=typed))
    assert raised.value.code == "not-confirmed"


def test_plan_names_what_is_lost_with_its_owner() -> None:
    volume = LocalVolume(name="pv-7", claim="runai-a/data", owner="ada")
    plan = _plan(cases.observation(local_volumes=(volume,), bound_pods=("runai-a/pinned-0",)))
    said = {one.code: one.message for one in plan.warnings}
    assert "pv-7 (runai-a/data, of ada)" in said["local-volumes-lost"]
    assert "runai-a/pinned-0" in said["cannot-run-elsewhere"]


def _node(name: str, host_name: str) -> Object:
    return {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": host_name, "zone": "a"}}}


def _volume(name: str, key: str, *values: str, claim: str = "") -> Object:
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}
    reference = {"claimRef": {"namespace": "runai-a", "name": claim}} if claim else {}
    return {
        "metadata": {"name": name},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}, **reference},
    }


def test_volume_is_lost_by_the_labels_of_the_nodes_not_by_their_names() -> None:
    own, other = _node("gpu-1", "rack-7-host-3"), _node("gpu-2", "gpu-1")
    volumes = [
        _volume("here", "kubernetes.io/hostname", "rack-7-host-3", claim="data"),
        _volume("there", "kubernetes.io/hostname", "gpu-1"),
        _volume("both", "zone", "a"),
        {"metadata": {"name": "anywhere"}, "spec": {}},
    ]
    found = local_volumes.of(volumes, own, [other], {"runai-a/data": "ada"})
    assert found == [LocalVolume(name="here", claim="runai-a/data", owner="ada")]


def test_pods_that_only_this_node_could_run() -> None:
    own = [LocalVolume(name="here", claim="runai-a/data")]
    uses = pod("uses", "runai-a", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    pinned = pod("pinned", "runai-a", nodeSelector={"kubernetes.io/hostname": "rack-7-host-3"})
    free = pod("free", "runai-a")
    assert local_volumes.bound_pods([uses, pinned, free], own, [_node("gpu-2", "gpu-1")]) == [
        "runai-a/pinned",
        "runai-a/uses",
    ]


def test_record_of_a_removal_is_needed_until_a_rejoin() -> None:
    def closed(number: int, procedure: str, **more: Any) -> Record:
        opened = cases.NOW + timedelta(hours=number)
        return cases.record(id=f"id-{number}", procedure=procedure, opened=opened, phase="closed", **more)

    assert needed_by_rejoin([closed(1, "planned"), closed(2, "remove"), closed(3, "planned")]) == "id-2"
    assert needed_by_rejoin([closed(2, "remove"), closed(3, "rejoin", aborted=True)]) == "id-2"
    assert needed_by_rejoin([closed(2, "remove"), closed(3, "rejoin")]) == ""
