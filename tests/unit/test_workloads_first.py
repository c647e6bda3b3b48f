"""Plans in which workloads are evicted before the taint: by choice, or for the sake of a node plugin of volumes."""

from __future__ import annotations

import pytest

from cluster import crossing, planned, procedures, remove
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Plan
from cluster.record import Found, Record
from tests.unit.planning_cases import node, observation, record, settings
from tests.unit.pod_objects import owner, pdb, pod
from tests.unit.test_csi_plugins import plugin

TRAINING = pod("train-0", "team", top=owner("Job", "train"))
AGENT = pod("agent-x", "team", top=owner("DaemonSet", "agent"))
NOTHING_ALLOWED = (pdb({}, allowed=0),)
CHOSEN = PlannedOptions(eviction=True)
BEFORE = ("recovery-gate", "cordon", "approve-workloads")


def _plan(seen: Observation | None = None, options: PlannedOptions = CHOSEN, known: Record | None = None) -> Plan:
    return planned.plan(seen or observation(pods=(TRAINING,)), options, settings(), known)


def _steps(plan: Plan) -> list[str]:
    return [one.name for one in plan.steps]


def _codes(plan: Plan) -> tuple[list[str], list[str]]:
    return [one.code for one in plan.blockers], [one.code for one in plan.warnings]


def test_nothing_is_evicted_before_the_taint_unless_that_is_chosen() -> None:
    plan = _plan(options=PlannedOptions())
    assert "evict" not in _steps(plan)
    assert next(one.summary for one in plan.steps if one.name == "taint").endswith("with their grace periods")


def test_chosen_it_comes_after_the_consent_and_directly_before_the_taint() -> None:
    steps = _steps(_plan())
    at = steps.index("evict")
    assert steps[at - 1 : at + 2] == ["approve-workloads", "evict", "taint"]
    removal = remove.plan(
        observation(pods=(TRAINING,)), RemoveOptions(eviction=True, confirmed="gpu-1"), settings(), None
    )
    assert removal.feasible
    assert _steps(removal)[2:5] == ["approve-workloads", "evict", "taint"]


def test_step_says_how_many_pods_it_evicts_and_leaves_those_of_daemon_sets_out() -> None:
    plan = _plan(observation(pods=(TRAINING, AGENT)))
    (step,) = [one for one in plan.steps if one.name == "evict"]
    assert step.changes == ("evict 1 pod from gpu-1",)
    assert "DaemonSets" in next(one.summary for one in plan.steps if one.name == "taint")


def test_under_a_taint_that_stands_already_there_is_nothing_to_evict_first() -> None:
    plan = _plan(observation(node(tainted=True), pods=(TRAINING,)))
    (step,) = [one for one in plan.steps if one.name == "evict"]
    assert step.changes == ()


def test_budget_that_allows_nothing_is_waited_for_and_no_blocker() -> None:
    seen = observation(pods=(TRAINING,), pdbs=NOTHING_ALLOWED)
    assert _codes(_plan(seen, PlannedOptions())) == (["pdb"], [])
    assert _codes(_plan(seen)) == ([], ["pdb-waited-for"])
    assert "team/budget" in _plan(seen).warnings[0].message


def test_budget_of_daemon_sets_still_forbids_it_as_the_taint_takes_their_pods() -> None:
    blockers, _ = _codes(_plan(observation(pods=(AGENT,), pdbs=NOTHING_ALLOWED)))
    assert blockers == ["pdb"]


def test_pods_that_come_after_the_eviction_are_the_taints_and_their_budgets_forbid_it() -> None:
    known = record(CHOSEN, done=(*BEFORE, "evict"))
    own = node(cordoned=True, owned=("cordon",))
    plan = _plan(observation(own, pods=(TRAINING,), pdbs=NOTHING_ALLOWED), CHOSEN, known)
    assert [one.code for one in plan.blockers] == ["pdb"]
    assert _steps(plan)[0] == "taint"


def test_override_needs_no_waiting() -> None:
    seen = observation(pods=(TRAINING,), pdbs=NOTHING_ALLOWED)
    options = PlannedOptions(eviction=True, override_pdb="agreed")
    assert _codes(_plan(seen, options)) == ([], ["override-pdb"])


def test_node_plugin_that_the_taint_takes_away_makes_workloads_go_first_and_the_plan_says_so() -> None:
    plan = _plan(observation(pods=(TRAINING, plugin())), PlannedOptions())
    assert "evict" in _steps(plan)
    assert _codes(plan) == ([], ["csi-plugin-drained"])
    assert "storage/csi-x" in plan.warnings[0].message
    stays = plugin(tolerations=[{"operator": "Exists"}])
    assert "evict" not in _steps(_plan(observation(pods=(TRAINING, stays)), PlannedOptions()))


def _for_a_plugin(done: tuple[str, ...] = BEFORE) -> Record:
    return record(PlannedOptions(), done=done, found=Found(csi=("storage/csi-x",)))


def test_order_is_kept_until_the_end_though_the_plugin_is_gone_meanwhile() -> None:
    own = node(cordoned=True, owned=("cordon",))
    plan = _plan(observation(own, pods=(TRAINING,)), PlannedOptions(), _for_a_plugin())
    assert _steps(plan)[:2] == ["evict", "taint"]
    assert procedures.left(_for_a_plugin())[:2] == ("evict", "taint")


def test_order_is_not_changed_by_a_plugin_that_comes_in_the_middle() -> None:
    known = record(PlannedOptions(), done=BEFORE)
    own = node(cordoned=True, owned=("cordon",))
    assert _steps(_plan(observation(own, pods=(plugin(),)), PlannedOptions(), known))[0] == "taint"


def test_removal_that_takes_the_downtime_over_keeps_the_order() -> None:
    taken = crossing.taken_over(_for_a_plugin(), RemoveOptions(confirmed="gpu-1"), None, 2, "ada", "")
    assert "evict" in procedures.left(taken)
    plan = remove.plan(observation(), RemoveOptions(confirmed="gpu-1"), settings(), _for_a_plugin())
    assert "evict" in _steps(plan)


@pytest.mark.parametrize("done", [BEFORE, (*BEFORE, "evict")])
def test_backing_out_takes_off_what_was_set_and_brings_no_pod_back(done: tuple[str, ...]) -> None:
    aborted = record(CHOSEN, done=done, aborted=True)
    assert procedures.steps_of(aborted) == ("untaint", "uncordon", "see-service", "close")


def test_other_choice_than_the_recorded_one_is_refused() -> None:
    plan = _plan(observation(), PlannedOptions(), record(CHOSEN, done=BEFORE))
    assert [one.code for one in plan.blockers] == ["other-options"]
    assert "eviction" in plan.blockers[0].message


def test_record_of_a_version_without_it_goes_on_as_it_began() -> None:
    options = {key: value for key, value in PlannedOptions().model_dump(mode="json").items() if key != "eviction"}
    old = record(done=BEFORE).model_copy(update={"options": options})
    assert procedures.left(old)[0] == "taint"
