"""The plan of planned maintenance: which steps, what forbids it, what a person should know."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import consent, planned
from cluster.inventory import NodeSummary
from cluster.node import Object
from cluster.observation import HostFacts, Observation
from cluster.options import PlannedOptions
from cluster.plan import Finding, Plan
from cluster.record import Approval, Record
from cluster.service import Controller, ServiceHealth
from cluster.verdict import Line, Verdict
from tests.unit.planning_cases import BLOCKED, BOOT, NOW, node, observation, record, settings
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pdb, pod

NOTEBOOK = pod("nb-0", top=owner("StatefulSet", "nb"), annotations={"user": "grace"})
TRAINING = pod("train-0", top=owner("Job", "train"))


# Only where a node was named that is to take over.
DESIGNATION = {"designate", "undesignate"}


def _plan(seen: Observation | None = None, known: Record | None = None, /, **options: Any) -> Plan:
    return planned.plan(seen or observation(), PlannedOptions(**options), settings(), known)


def _codes(findings: tuple[Finding, ...]) -> list[str]:
    return [one.code for one in findings]


def _steps(plan: Plan) -> tuple[str, ...]:
    return tuple(one.name for one in plan.steps)


def _changes(plan: Plan, name: str) -> tuple[str, ...]:
    return next(one.changes for one in plan.steps if one.name == name)


def test_a_healthy_node_can_go_down_and_nothing_is_left_out() -> None:
    plan = _plan(power_on="controller")
    assert plan.feasible
    assert plan.blockers == plan.warnings == ()
    assert _steps(plan) == tuple(name for name in planned.STEPS if name not in DESIGNATION)
    assert (plan.kind, plan.roles, plan.cluster, plan.continued) == (
        "gpu-worker",
        ("runai-gpu-worker",),
        "https://api",
        False,
    )


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, {"power-on"}),
        ({"hold": False}, {"power-on"}),
        ({"power_on": "controller", "hold": False}, {"approve-return"}),
        ({"shut_down": False}, {"shut-down", "see-off", "power-on"}),
        ({"shut_down": False, "hold": False}, {"shut-down", "see-off", "power-on", "approve-return"}),
    ],
)
def test_choices_leave_steps_out(options: dict[str, Any], left_out: set[str]) -> None:
    assert set(planned.STEPS) - set(_steps(_plan(**options))) == left_out | DESIGNATION


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (observation(node(ready=False)), "not-ready"),
        (observation(recovery=BLOCKED), "recovery-gate"),
        (observation(recovery=None), "recovery-gate"),
        (observation(node("master-1", role="control-plane")), "only-control-plane-node"),
        (observation(own_pods=("prefect/server-0",)), "own-pod"),
        (observation(own_machine=True), "own-machine"),
        (observation(pods=(pod(tolerations=[DRAIN_FOR_EVER]),)), "tolerates-drain"),
        (observation(host=None), "host-unreachable"),
        (observation(host=HostFacts()), "host-unreachable"),
        (observation(host=HostFacts(reachable=True, boot_id="other")), "host-identity"),
        (observation(host=HostFacts(problem=Finding(code="sudo-refused", message="", remedy=""))), "sudo-refused"),
        (observation(power_status="unknown"), "power-status-unknown"),
        (observation(power_status="off"), "power-mismatch"),
        (observation(pods=(pod("a", "team"),), pdbs=(pdb({}, allowed=0),)), "pdb"),
    ],
)
def test_what_forbids_it_is_a_blocker_with_a_remedy(seen: Observation, code: str) -> None:
    plan = _plan(seen, power_on="controller")
    assert _codes(plan.blockers) == [code]
    assert not plan.feasible


def test_no_node_no_plan() -> None:
    plan = planned.plan(observation().model_copy(update={"node": None}), PlannedOptions(), settings(), None)
    assert (_codes(plan.blockers), plan.steps) == (["unknown-node"], ())


def test_the_last_system_node_is_blocked_and_another_one_is_not() -> None:
    own = node("system-1", role="runai-system")
    assert _codes(_plan(observation(own)).blockers) == []
    assert _codes(_plan(observation(own, down=frozenset({"system-9"}))).blockers) == ["last-system-node"]
    alone = (NodeSummary(name="system-1", kind="system"),)
    assert _codes(_plan(observation(own, nodes=alone)).blockers) == ["last-system-node"]


def test_a_degraded_service_warns_for_a_worker_and_blocks_for_a_system_node() -> None:
    ill = ServiceHealth(found=True, available=False)
    assert _codes(_plan(observation(service=ill)).warnings) == ["service-degraded"]
    plan = _plan(observation(node("system-1", role="runai-system"), service=ill))
    assert _codes(plan.blockers) == ["service-degraded"]


def test_parts_of_the_service_that_run_here_alone_are_named() -> None:
    own = node("system-1", role="runai-system")
    database = pod("postgresql-0", "runai-backend", top=owner("StatefulSet", "postgresql"))
    several = pod("nats-0", "runai-backend", top=owner("StatefulSet", "nats"))
    health = ServiceHealth(
        found=True,
        available=True,
        controllers={
            "runai-backend/StatefulSet/postgresql": Controller(wanted=1, ready=1),
            "runai-backend/StatefulSet/nats": Controller(wanted=3, ready=3),
            "runai-backend/StatefulSet/keycloak": Controller(wanted=1, ready=1),
        },
    )
    (warning,) = _plan(observation(own, pods=(database, several), service=health)).warnings
    assert warning.code == "service-interrupted"
    assert warning.message.endswith("elsewhere: runai-backend/StatefulSet/postgresql")


def test_the_gate_is_not_applicable_on_saas_and_says_so() -> None:
    line = Line(level="PASS", check="flavour", reason="SaaS")
    saas = observation(recovery=Verdict(verdict="not-applicable", lines=(line,), judged_at=NOW))
    plan = _plan(saas)
    assert plan.feasible
    assert "not applicable" in plan.steps[0].summary


def test_overrides_turn_blockers_into_warnings_that_give_the_reason() -> None:
    seen = observation(
        pods=(pod("a", "team", tolerations=[]), pod("b", "kube-x", tolerations=[DRAIN_FOR_EVER])),
        pdbs=(pdb({}, allowed=0),),
        recovery=BLOCKED,
    )
    assert len(_plan(seen).blockers) == 3
    plan = _plan(seen, override_pdb="one", allow_tolerating="two", override_recovery_gate="three", interactive="evict")
    assert plan.feasible
    told = {one.code: one.message for one in plan.warnings}
    assert "one" in told["override-pdb"]
    assert "two" in told["allow-tolerating"]
    assert "three" in told["override-recovery-gate"]
    assert plan.recovery is not None
    assert plan.recovery.verdict == "overridden"


def test_a_blank_reason_overrides_nothing() -> None:
    assert _codes(_plan(observation(recovery=BLOCKED), override_recovery_gate="  ").blockers) == ["recovery-gate"]


def test_interactive_work_is_asked_about_refused_or_evicted_as_chosen() -> None:
    seen = observation(pods=(NOTEBOOK, TRAINING))
    ask, refuse, evict = (_plan(seen, interactive=choice) for choice in ("ask", "refuse", "evict"))
    assert ask.feasible
    assert "interactive-asks" in _codes(ask.warnings)
    assert "nb (grace)" in next(one.summary for one in ask.steps if one.name == "approve-workloads")
    assert _codes(refuse.blockers) == ["interactive-refused"]
    assert evict.feasible
    assert "interactive-evicted" in _codes(evict.warnings)
    assert [one.fate for one in ask.workloads] == ["needs-approval", "moves"]
    assert [one.fate for one in evict.workloads] == ["moves", "moves"]


def test_an_eviction_deadline_shorter_than_a_grace_period_is_blocked() -> None:
    slow = observation(pods=(pod(top=owner("Job", "w"), terminationGracePeriodSeconds=300),))
    assert _codes(_plan(slow, eviction_minutes=4).blockers) == ["eviction-deadline"]
    assert _plan(slow, eviction_minutes=5).feasible
    configured = planned.plan(slow, PlannedOptions(), settings(eviction_minutes=4), None)
    assert _codes(configured.blockers) == ["eviction-deadline"]


def test_power_on_by_a_controller_needs_one() -> None:
    by_hand = settings(on="person")
    plan = planned.plan(observation(), PlannedOptions(power_on="controller"), by_hand, None)
    assert _codes(plan.blockers) == ["power-on-unconfigured"]
    assert planned.plan(observation(), PlannedOptions(), by_hand, None).feasible


def test_without_a_power_status_off_is_only_presumed() -> None:
    plan = planned.plan(observation(power_status="none"), PlannedOptions(), settings(status="none"), None)
    assert _codes(plan.warnings) == ["presumed-off"]


def test_a_machine_that_stays_up_is_not_asked_about() -> None:
    seen = observation(host=None, power_status="unknown", pods=(pod(tolerations=[DRAIN_FOR_EVER]),))
    assert _plan(seen, shut_down=False).feasible


@pytest.mark.parametrize(
    "quiet",
    [
        pod(annotations={"kubernetes.io/config.mirror": "x"}, tolerations=[DRAIN_FOR_EVER]),
        pod(top=owner("DaemonSet", "exporter"), tolerations=[DRAIN_FOR_EVER]),
        pod(phase="Succeeded", tolerations=[DRAIN_FOR_EVER]),
    ],
)
def test_daemon_sets_static_and_finished_pods_may_go_down_with_the_machine(quiet: Object) -> None:
    assert _plan(observation(pods=(quiet,))).feasible


def test_what_happens_to_work_is_said() -> None:
    seen = observation(
        pods=(
            pod("dist-0", top=owner("PyTorchJob", "dist")),
            pod("bare", priorityClassName="train", volumes=[{"name": "scratch", "emptyDir": {}}]),
            pod("shm", top=owner("Job", "shm"), volumes=[{"name": "shm", "emptyDir": {"medium": "Memory"}}]),
            pod("odd", top=owner("SomethingNew", "odd")),
        )
    )
    told = {one.code: one.message for one in _plan(seen).warnings}
    assert "dist" in told["distributed-work"]
    assert "bare" in told["work-lost"]
    assert "odd" in told["unknown-workload"]
    assert "scratch" in told["local-data"]
    assert "shm" not in told["local-data"]


def test_a_taint_and_a_cordon_of_somebody_else_are_in_no_changes() -> None:
    plan = _plan(observation(node(cordoned=True, tainted=True)))
    assert plan.feasible
    assert _codes(plan.warnings) == ["foreign-taint", "foreign-cordon"]
    assert not any(_changes(plan, step) for step in ("cordon", "taint", "untaint", "uncordon"))


def test_an_adopted_taint_is_ours_and_removed() -> None:
    plan = _plan(observation(node(tainted=True)), adopt_taint=True)
    assert _codes(plan.warnings) == ["adopted-taint"]
    assert _changes(plan, "taint")
    assert _changes(plan, "untaint")


def test_what_a_closed_downtime_left_behind_is_not_taken_for_ours() -> None:
    plan = _plan(observation(node(tainted=True, owned=("taint",), owner="an-older-one")))
    assert _codes(plan.warnings) == ["foreign-taint", "left-behind"]
    assert not _changes(plan, "untaint")


def test_an_open_downtime_goes_on_with_the_steps_that_are_left() -> None:
    known = record(done=("recovery-gate", "cordon"))
    own = node(cordoned=True, owned=("cordon",))
    plan = _plan(observation(own, recovery=None), known)
    assert plan.feasible
    assert plan.continued
    assert _steps(plan) == planned.step_names(PlannedOptions())[2:]
    assert plan.recovery == known.gate
    assert _changes(plan, "uncordon")


def test_before_the_taint_workloads_still_block_and_the_gate_never_again() -> None:
    known = record(PlannedOptions(interactive="refuse"), done=("recovery-gate", "cordon"))
    seen = observation(pods=(NOTEBOOK,), recovery=BLOCKED)
    assert _codes(_plan(seen, known, interactive="refuse").blockers) == ["interactive-refused"]


def test_before_the_shutdown_only_the_shutdown_is_judged() -> None:
    known = record(done=("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone"))
    own = node(cordoned=True, tainted=True, owned=("cordon", "taint"), ready=False)
    seen = observation(
        own,
        pods=(NOTEBOOK, pod("stays", tolerations=[DRAIN_FOR_EVER])),
        pdbs=(pdb({}, allowed=0, namespace="runai-team-a"),),
        host=HostFacts(reachable=True, boot_id="other"),
        recovery=None,
    )
    assert _codes(_plan(seen, known).blockers) == ["tolerates-drain", "host-identity"]


def test_a_taint_that_was_set_just_before_a_crash_counts_as_set() -> None:
    known = record(PlannedOptions(interactive="refuse"), done=("recovery-gate", "cordon", "approve-workloads"))
    own = node(cordoned=True, tainted=True, owned=("cordon", "taint"))
    seen = observation(own, pods=(NOTEBOOK,))
    assert _plan(seen, known, interactive="refuse").feasible


def test_the_way_back_is_never_blocked() -> None:
    done = ("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone")
    ill = observation(
        node("master-1", role="control-plane", ready=False, tainted=True, cordoned=True),
        pods=(NOTEBOOK, pod("stays", tolerations=[DRAIN_FOR_EVER])),
        host=HostFacts(),
        power_status="unknown",
        recovery=BLOCKED,
        service=ServiceHealth(),
        own_pods=("a/b",),
    )
    told = record(done=done, changes=("shutdown",), name="master-1")
    assert _plan(ill, told).feasible
    assert _plan(ill, record(done=(*done, "shut-down", "see-off"), name="master-1")).feasible


def test_an_abort_has_steps_of_its_own_and_no_blockers() -> None:
    known = record(done=("recovery-gate", "cordon", "approve-workloads", "taint"), aborted=True)
    own = node(cordoned=True, tainted=True, owned=("cordon", "taint"))
    plan = _plan(observation(own, pods=(NOTEBOOK,), host=None, recovery=BLOCKED), known)
    assert plan.feasible
    assert "shut-down" not in _steps(plan)
    assert "taint" not in _steps(plan)
    assert _changes(plan, "untaint")
    assert _changes(plan, "uncordon")


def test_a_closed_record_is_history() -> None:
    plan = _plan(observation(), record(done=planned.STEPS, phase="closed"))
    assert not plan.continued
    assert _steps(plan) == planned.step_names(PlannedOptions())


def test_another_procedure_or_other_options_block() -> None:
    other = record(procedure="unplanned")
    assert _codes(_plan(observation(), other).blockers) == ["in-downtime"]
    plan = _plan(observation(), record(), shut_down=False)
    assert _codes(plan.blockers) == ["other-options"]
    assert "shut_down" in plan.blockers[0].message
    assert "shut-down" in _steps(plan)


def test_options_of_another_version_block_instead_of_raising() -> None:
    strange = record().model_copy(update={"options": {"colour": "blue"}})
    assert _codes(_plan(observation(), strange).blockers) == ["record-damaged"]


def test_an_approval_covers_what_it_was_given_for_and_new_work_is_asked_about() -> None:
    asked = _plan(observation(pods=(NOTEBOOK,))).workloads
    approval = Approval(
        subject="interactive",
        digest=consent.digest_of(asked),
        items=tuple(one.key for one in asked),
        answer="evict",
        who="ada",
        at=NOW,
    )
    known = record(done=("recovery-gate", "cordon"), approvals=(approval,))
    late = pod("late-0", top=owner("StatefulSet", "late"))
    plan = _plan(observation(pods=(NOTEBOOK, late)), known)
    assert [(one.name, one.fate) for one in plan.workloads] == [("late", "needs-approval"), ("nb", "moves")]
    assert [one.name for one in consent.unapproved(plan.workloads, known, "ask")] == ["late"]


def test_a_later_refusal_withdraws_an_approval() -> None:
    work = _plan(observation(pods=(NOTEBOOK,))).workloads
    keys = tuple(one.key for one in work)
    given = [
        Approval(subject="interactive", digest="d", items=keys, answer=answer, who="ada", at=NOW)
        for answer in ("evict", "refuse")
    ]
    assert not consent.unapproved(work, record(approvals=tuple(given[:1])), "ask")
    assert consent.unapproved(work, record(approvals=tuple(given)), "ask")


def test_the_digest_depends_on_the_work_and_not_on_its_order() -> None:
    both = _plan(observation(pods=(NOTEBOOK, TRAINING))).workloads
    assert consent.digest_of(both) == consent.digest_of(reversed(both))
    assert consent.digest_of(both) != consent.digest_of(both[:1])


def test_a_node_that_was_made_anew_is_pointed_out() -> None:
    fresh = node()
    fresh["metadata"]["uid"] = "another"
    assert "node-recreated" in _codes(_plan(observation(fresh), record(done=("recovery-gate",))).warnings)


def test_the_boot_id_of_the_tests_is_the_nodes() -> None:
    assert observation().host == HostFacts(reachable=True, boot_id=BOOT)
