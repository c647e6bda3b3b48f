"""What holds for every plan of planned maintenance, whatever was seen, chosen and done before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cluster import node as node_
from cluster import ownership, planned, workloads_first
from cluster.node import Object
from cluster.observation import HostFacts, Observation
from cluster.options import PlannedOptions
from cluster.plan import Plan
from cluster.record import Record
from cluster.service import Controller, ServiceHealth
from tests.unit.planning_cases import BLOCKED, BOOT, PASSED, RECORD_ID, node, observation, record, settings
from tests.unit.pod_objects import pdb
from tests.unit.test_workloads import PODS

REASONS = st.sampled_from(["", " ", "because"])
OPTIONS = st.builds(
    PlannedOptions,
    reason=REASONS,
    interactive=st.sampled_from(["ask", "evict", "refuse"]),
    shut_down=st.booleans(),
    power_on=st.sampled_from(["controller", "person"]),
    hold=st.booleans(),
    eviction_minutes=st.none() | st.integers(1, 20),
    eviction=st.booleans(),
    adopt_taint=st.booleans(),
    allow_tolerating=REASONS,
    override_pdb=REASONS,
    override_recovery_gate=REASONS,
    accept_lost_tolerance=st.sampled_from(["", "gpu-1", "system-9"]),
)
NODES = st.builds(
    node,
    st.sampled_from(["gpu-1", "system-9"]),
    role=st.sampled_from(["runai-gpu-worker", "runai-system", "control-plane", "other"]),
    ready=st.booleans(),
    cordoned=st.booleans(),
    tainted=st.booleans(),
    owned=st.sampled_from([(), ("cordon",), ("taint",), ("cordon", "taint")]),
    owner=st.sampled_from([RECORD_ID, "another"]),
)
SERVICES = st.builds(
    ServiceHealth,
    found=st.booleans(),
    available=st.none() | st.booleans(),
    controllers=st.dictionaries(
        st.text(max_size=3), st.builds(Controller, wanted=st.integers(0, 3), ready=st.integers(0, 4)), max_size=2
    ),
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    return observation(
        draw(NODES),
        tuple(draw(st.lists(PODS, max_size=4))),
        pdbs=draw(st.sampled_from([(), (pdb({}, 0, "runai-team-a"),)])),
        recovery=draw(st.sampled_from([None, PASSED, BLOCKED])),
        host=draw(st.sampled_from([None, HostFacts(), HostFacts(reachable=True, boot_id=BOOT)])),
        power_status=draw(st.sampled_from(["on", "off", "unknown", "none"])),
        service=draw(SERVICES),
        own_pods=draw(st.sampled_from([(), ("prefect/server-0",)])),
        down=frozenset(draw(st.sampled_from([(), ("system-9",)]))),
    )


@st.composite
def records(draw: st.DrawFn) -> Record | None:
    """None, or a record of a downtime that got to any point, given up or not."""
    if draw(st.booleans()):
        return None
    options = draw(OPTIONS)
    steps = planned.step_names(options)
    done = steps[: draw(st.integers(0, len(steps)))]
    told = "shut-down" in done or (done == steps[: steps.index("see-gone") + 1] and options.shut_down)
    changes = ("shutdown",) if told and draw(st.booleans()) else ()
    more: dict[str, Any] = {"procedure": draw(st.sampled_from(["planned", "planned", "planned", "remove"]))}
    return record(options, done=done, changes=changes, aborted=draw(st.booleans()), **more)


CASES = given(observations(), OPTIONS, records(), st.booleans())


def _plan(seen: Observation, options: PlannedOptions, known: Record | None, same: bool) -> Plan:
    chosen = PlannedOptions.model_validate(known.options) if known is not None and same else options
    return planned.plan(seen, chosen, settings(), known)


def _foreign(found: Object, known: Record | None, thing: Any) -> bool:
    stands = node_.unschedulable(found) if thing == "cordon" else node_.drained_by_taint(found)
    return stands and (known is None or not ownership.owns(found, known.id, thing))


@CASES
def test_a_plan_is_feasible_exactly_when_nothing_blocks(
    seen: Observation, options: PlannedOptions, known: Record | None, same: bool
) -> None:
    plan = _plan(seen, options, known, same)
    assert plan.feasible == (not plan.blockers)
    assert all(one.code and one.message and one.remedy for one in (*plan.blockers, *plan.warnings))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


@CASES
def test_steps_are_in_the_order_of_the_procedure_and_none_is_repeated(
    seen: Observation, options: PlannedOptions, known: Record | None, same: bool
) -> None:
    names = [one.name for one in _plan(seen, options, known, same).steps]
    every = workloads_first.ordered(planned.STEPS, PlannedOptions(eviction=True), ())
    assert names == [step for step in every if step in names]
    assert not any(known.done(name) for name in names if known is not None)
    assert names == [] or names[-1] == "close"


@CASES
def test_no_plan_removes_what_this_downtime_did_not_set(
    seen: Observation, options: PlannedOptions, known: Record | None, same: bool
) -> None:
    plan = _plan(seen, options, known, same)
    assert seen.node is not None
    changes = {one.name: one.changes for one in plan.steps}
    adopts = changes.get("taint") and options.adopt_taint if known is None else changes.get("taint")
    if _foreign(seen.node, known, "cordon"):
        assert not changes.get("cordon")
        assert not changes.get("uncordon")
    if _foreign(seen.node, known, "taint") and not adopts:
        assert not changes.get("untaint")


@CASES
def test_no_shutdown_before_the_gate_the_drain_and_the_pods_seen_gone(
    seen: Observation, options: PlannedOptions, known: Record | None, same: bool
) -> None:
    plan = _plan(seen, options, known, same)
    names = [one.name for one in plan.steps]
    if "shut-down" not in names:
        return
    for earlier in ("recovery-gate", "cordon", "taint", "see-gone"):
        done = known is not None and known.done(earlier)
        assert done or names.index(earlier) < names.index("shut-down")


@CASES
def test_no_feasible_plan_begins_without_a_verdict_of_the_gate(
    seen: Observation, options: PlannedOptions, known: Record | None, same: bool
) -> None:
    plan = _plan(seen, options, known, same)
    if plan.feasible and known is None:
        assert plan.recovery is not None
        assert plan.recovery.verdict in ("passed", "overridden")
        assert plan.recovery.verdict == "passed" or options.override_recovery_gate


@given(observations(), OPTIONS)
def test_once_the_machine_was_told_to_stop_nothing_blocks_the_way_back(
    seen: Observation, options: PlannedOptions
) -> None:
    steps = planned.step_names(options)
    done = steps[: steps.index("see-gone") + 1]
    known = record(options, done=done, changes=("shutdown",) if options.shut_down else ())
    for state in (known, known.model_copy(update={"aborted": True})):
        assert planned.plan(seen, options, settings(), state).feasible


@given(observations(), OPTIONS, records())
def test_no_plan_depends_on_anything_but_what_it_is_given(
    seen: Observation, options: PlannedOptions, known: Record | None
) -> None:
    before = seen.model_dump_json()
    first = planned.plan(seen, options, settings(), known)
    assert planned.plan(seen, options, settings(), known) == first
    assert seen.model_dump_json() == before
