"""The plan of an unplanned recovery: what blocks it, what only warns, and which steps each course has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cluster import planners, unplanned
from cluster.errors import Blocked, Waiting
from cluster.inventory import NodeSummary, summary
from cluster.observation import Observation
from cluster.options import PlannedOptions, UnplannedOptions
from cluster.outage_facts import OutageFacts
from cluster.plan import Plan
from cluster.record import Change, Record
from tests.unit.outage_cases import OTHERS, SILENT, failed, recovery
from tests.unit.planning_cases import BLOCKED, NOW, node, record, settings
from tests.unit.pod_objects import pdb, pod

CONTROLLER = UnplannedOptions(power_on="controller", hold=False)


def plan(seen: Observation | None = None, options: UnplannedOptions = CONTROLLER, known: Record | None = None) -> Plan:
    return unplanned.plan(seen or failed(), options, settings(), known)


def codes(made: Plan) -> list[str]:
    return [one.code for one in made.blockers]


def warned(made: Plan) -> list[str]:
    return [one.code for one in made.warnings]


def facts(**more: Any) -> OutageFacts:
    return SILENT.model_copy(update=more)


def test_a_dead_node_is_recovered_in_the_order_of_the_runbook() -> None:
    made = plan()
    assert made.feasible
    assert [one.name for one in made.steps] == [
        "judge-down",
        "see-machine",
        "cordon",
        "taint",
        "prove-off",
        "out-of-service",
        "clear-out-of-service",
        "power-on",
        "see-back",
        "stable",
        "untaint",
        "see-gpus",
        "uncordon",
        "see-service",
        "close",
    ]


def test_a_node_that_came_back_by_itself_is_only_looked_at() -> None:
    known = recovery(CONTROLLER, done=("judge-down",), course="returned")
    made = plan(known=known)
    assert [one.name for one in made.steps] == ["see-services", "close"]
    assert [one.changes for one in made.steps] == [(), ("close the record of gpu-1",)]


def test_a_healthy_node_is_refused_unless_it_is_said_to_be_down() -> None:
    alive = failed(node(), outage=facts(last_renewal=NOW - timedelta(seconds=5)))
    assert codes(plan(alive)) == ["not-down"]
    assert plan(alive, CONTROLLER.model_copy(update={"said_down": True})).feasible


def test_a_node_that_is_still_called_ready_but_silent_is_not_healthy() -> None:
    assert plan(failed(node(), outage=facts(last_renewal=NOW - timedelta(seconds=45)))).feasible


def test_a_node_in_planned_maintenance_is_left_to_it_and_that_is_no_failure() -> None:
    made = plan(known=record(PlannedOptions()))
    assert codes(made) == ["in-downtime-planned"]
    refusal = planners.refusal(made)
    assert isinstance(refusal, Waiting)
    assert refusal.exit_code == 4


def test_a_node_that_is_being_removed_is_refused() -> None:
    made = plan(known=record(PlannedOptions(), procedure="remove"))
    assert codes(made) == ["in-downtime"]
    assert isinstance(planners.refusal(made), Blocked)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (
            {"nodes": (summary(node(ready=False)), *(one.model_copy(update={"ready": False}) for one in OTHERS))},
            "storm",
        ),
        ({"outage": facts(api_ready=False)}, "storm-api"),
        ({"outage": facts(api_ready=None)}, "storm-api"),
        ({"outage": facts(answering=2, asked=3)}, "storm-hosts-answer"),
    ],
)
def test_a_storm_blocks_until_somebody_says_why_it_is_none(changed: dict[str, Any], code: str) -> None:
    assert codes(plan(failed(**changed))) == [code]
    made = plan(failed(**changed), CONTROLLER.model_copy(update={"override_storm": "a rack lost its power"}))
    assert made.feasible
    assert "override-storm" in warned(made)


def test_a_storm_blocks_a_recovery_that_goes_on_as_long_as_nothing_was_drained() -> None:
    storm = failed(nodes=(summary(node(ready=False)), *(one.model_copy(update={"ready": False}) for one in OTHERS)))
    assert codes(plan(storm, known=recovery(CONTROLLER, done=("judge-down", "see-machine")))) == ["storm"]
    drained = node(ready=False, tainted=True, owned=("taint",))
    past = recovery(CONTROLLER, done=("judge-down", "see-machine", "cordon", "taint"), changes=("taint",))
    assert plan(failed(drained, nodes=storm.nodes), known=past).feasible


def test_one_host_alone_that_answers_is_a_dead_kubelet_and_no_storm() -> None:
    made = plan(failed(outage=facts(ssh="answers", answering=1, asked=1)))
    assert made.feasible
    assert "machine-runs" in warned(made)


def test_budgets_and_the_recovery_gate_warn_of_a_node_that_is_down_already() -> None:
    seen = failed(pods=(pod("web", namespace="runai-team-a"),), pdbs=(pdb({}, 0, "runai-team-a"),), recovery=BLOCKED)
    made = plan(seen)
    assert made.feasible
    assert {"pdb", "recovery-gate"} <= set(warned(made))


@pytest.mark.parametrize(
    "options",
    [
        CONTROLLER.model_copy(update={"resets": 1}),
        CONTROLLER.model_copy(update={"dead_kubelet": "shut-down"}),
    ],
)
def test_what_would_stop_a_machine_that_runs_is_gated(options: UnplannedOptions) -> None:
    with_reset = settings().model_copy(update={"power": settings().power.model_copy(update={"command": _with_reset()})})
    seen = failed(recovery=BLOCKED, outage=facts(ssh="answers", answering=1, asked=1))
    assert codes(unplanned.plan(seen, options, with_reset, None)) == ["recovery-gate"]
    overridden = options.model_copy(update={"override_recovery_gate": "no backup was ever taken"})
    made = unplanned.plan(seen, overridden, with_reset, None)
    assert made.feasible
    assert made.recovery is not None
    assert made.recovery.verdict == "overridden"


def test_a_shutdown_that_was_chosen_is_not_gated_when_the_machine_is_silent() -> None:
    assert plan(failed(recovery=BLOCKED), CONTROLLER.model_copy(update={"dead_kubelet": "shut-down"})).feasible


def _with_reset() -> Any:
    return settings().power.command.model_copy(update={"reset": ["/bin/true"]})


def test_resets_without_a_command_for_them_are_refused() -> None:
    assert codes(plan(options=CONTROLLER.model_copy(update={"resets": 2}))) == ["reset-unconfigured"]


def test_switching_on_without_a_controller_is_refused() -> None:
    made = unplanned.plan(failed(), CONTROLLER, settings(on="person"), None)
    assert codes(made) == ["power-on-unconfigured"]
    by_person = UnplannedOptions(power_on="person", hold=False)
    made = unplanned.plan(failed(), by_person, settings(on="person"), None)
    assert made.feasible
    names = [one.name for one in made.steps]
    assert "power-on" not in names
    assert "approve-return" in names


def test_foreign_things_stay_and_are_named() -> None:
    found = node(ready=False, cordoned=True, tainted=True)
    found["spec"]["taints"].append({"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"})
    made = plan(failed(found))
    changes = {one.name: one.changes for one in made.steps}
    for name in ("cordon", "taint", "out-of-service", "clear-out-of-service", "untaint", "uncordon"):
        assert changes[name] == ()
    assert {"foreign-cordon", "foreign-taint", "foreign-out-of-service"} <= set(warned(made))


def test_without_a_power_status_a_person_is_said_to_be_needed() -> None:
    made = unplanned.plan(failed(power_status="none"), CONTROLLER, settings(status="none"), None)
    assert "no-power-status" in warned(made)


def test_other_options_than_the_recorded_ones_are_refused() -> None:
    made = plan(options=CONTROLLER.model_copy(update={"grace_seconds": 30}), known=recovery(CONTROLLER))
    assert codes(made) == ["other-options"]
    assert "grace_seconds" in made.blockers[0].message


def test_backing_out_takes_off_what_was_set_and_leaves_the_machine_alone() -> None:
    known = recovery(CONTROLLER, done=("judge-down", "see-machine", "cordon", "taint"), aborted=True)
    assert unplanned.steps_of(known, CONTROLLER) == ("clear-out-of-service", "untaint", "uncordon", "close")


def test_backing_out_after_a_shutdown_of_ours_brings_the_machine_back() -> None:
    change = Change(what="shutdown", value="boot", state="made", at=NOW)
    known = recovery(CONTROLLER, done=("judge-down", "see-machine"), aborted=True).model_copy(
        update={"changes": (change,)}
    )
    steps = unplanned.steps_of(known, CONTROLLER)
    assert steps[:3] == ("clear-out-of-service", "power-on", "see-back")


def test_the_last_system_node_is_not_given_up_silently() -> None:
    own = node("system-1", role="runai-system", ready=False)
    seen = failed(own, nodes=(summary(own), *OTHERS, NodeSummary(name="gpu-1", kind="gpu-worker")))
    assert codes(plan(seen)) == ["last-system-node"]
