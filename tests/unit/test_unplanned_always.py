"""What holds for every plan of an unplanned recovery, whatever was seen, chosen and done before."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cluster import node as node_
from cluster import ownership, unplanned
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import UnplannedOptions
from cluster.outage_facts import OutageFacts
from cluster.ownership import Thing
from cluster.record import Record
from tests.unit.outage_cases import failed, recovery
from tests.unit.planning_cases import BLOCKED, NOW, PASSED, RECORD_ID, node, settings
from tests.unit.test_planned_always import SERVICES
from tests.unit.test_workloads import PODS

REASONS = st.sampled_from(["", " ", "because"])
OPTIONS = st.builds(
    UnplannedOptions,
    said_down=st.booleans(),
    grace_seconds=st.integers(0, 3600),
    dead_kubelet=st.sampled_from(["leave", "restart", "shut-down"]),
    resets=st.integers(0, 5),
    power_on=st.sampled_from(["controller", "person"]),
    hold=st.booleans(),
    adopt_taint=st.booleans(),
    override_storm=REASONS,
    override_recovery_gate=REASONS,
)
OUT = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}


@st.composite
def nodes(draw: st.DrawFn) -> Object:
    found = node(
        ready=draw(st.booleans()),
        cordoned=draw(st.booleans()),
        tainted=draw(st.booleans()),
        owned=draw(st.sampled_from([(), ("cordon",), ("taint",), ("cordon", "taint", "out-of-service")])),
        owner=draw(st.sampled_from([RECORD_ID, "another"])),
    )
    if draw(st.booleans()):
        found["spec"]["taints"] = [*found["spec"]["taints"], OUT]
    return found


FACTS = st.builds(
    OutageFacts,
    last_renewal=st.none() | st.integers(-30, 900).map(lambda ago: NOW - timedelta(seconds=ago)),
    ssh=st.sampled_from(["answers", "open", "refused", "silent", "unknown"]),
    api_ready=st.none() | st.booleans(),
    answering=st.integers(0, 3),
    asked=st.integers(0, 3),
    returns=st.lists(st.integers(0, 7200).map(lambda ago: NOW - timedelta(seconds=ago)), max_size=5).map(tuple),
    attachments=st.sampled_from([(), ("csi-1",)]),
)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    return failed(
        draw(nodes()),
        tuple(draw(st.lists(PODS, max_size=3))),
        outage=draw(st.none() | FACTS),
        power_status=draw(st.sampled_from(["on", "off", "unknown", "none"])),
        recovery=draw(st.sampled_from([None, PASSED, BLOCKED])),
        service=draw(SERVICES),
        own_pods=draw(st.sampled_from([(), ("prefect/server-0",)])),
        down=frozenset(draw(st.sampled_from([(), ("gpu-5",)]))),
    )


@st.composite
def records(draw: st.DrawFn) -> Record | None:
    """None, or a record of a recovery that got to any point, by either course, given up or not."""
    if draw(st.booleans()):
        return None
    options = draw(OPTIONS)
    steps = unplanned.step_names(options)
    done = steps[: draw(st.integers(0, len(steps)))]
    course = draw(st.sampled_from(["", "down", "returned"])) if "judge-down" in done else ""
    changes = tuple(draw(st.sets(st.sampled_from(["cordon", "taint", "out-of-service", "shutdown"]))))
    return recovery(options, done=done, changes=changes, course=course, aborted=draw(st.booleans()))


def _foreign(found: Object, known: Record | None, thing: Thing) -> bool:
    stands = {
        "cordon": node_.unschedulable(found),
        "taint": node_.drained_by_taint(found),
        "out-of-service": node_.out_of_service(found),
    }[thing]
    return stands and not (known is not None and ownership.owns(found, known.id, thing))


@given(observations(), OPTIONS, records())
def test_no_plan_removes_what_it_did_not_set(
    seen: Observation, options: UnplannedOptions, known: Record | None
) -> None:
    made = unplanned.plan(seen, options, settings(), known)
    assert seen.node is not None
    changes = {one.name: one.changes for one in made.steps}
    recorded = UnplannedOptions.model_validate(known.options) if known is not None else options
    for thing, taken_off in (("cordon", "uncordon"), ("out-of-service", "clear-out-of-service")):
        if _foreign(seen.node, known, thing):  # type: ignore[arg-type]
            assert not changes.get(taken_off)
    if _foreign(seen.node, known, "taint") and not (recorded.adopt_taint and changes.get("taint")):
        assert not changes.get("untaint")


@given(OPTIONS, records())
def test_nothing_is_switched_on_before_the_out_of_service_taint_is_off(
    options: UnplannedOptions, known: Record | None
) -> None:
    names = unplanned.step_names(options) if known is None else unplanned.steps_of(known, _options(known))
    if "power-on" in names and "clear-out-of-service" in names:
        assert names.index("clear-out-of-service") < names.index("power-on")
    if "out-of-service" in names:
        assert names.index("prove-off") < names.index("out-of-service") < names.index("clear-out-of-service")
    if "reset" in names:
        assert names.index("reset") < names.index("prove-off")


@given(observations(), records())
def test_once_drained_nothing_blocks_the_way_back(seen: Observation, known: Record | None) -> None:
    if known is None or not known.open:
        return
    past = known.model_copy(update={"steps": {**known.steps, **recovery(done=unplanned.STEPS[:6]).steps}})
    assert unplanned.plan(seen, _options(past), settings(), past).feasible


@given(observations(), OPTIONS)
def test_nothing_that_runs_is_stopped_without_a_verdict_of_the_gate(
    seen: Observation, options: UnplannedOptions
) -> None:
    made = unplanned.plan(seen, options, settings(), None)
    if made.feasible and options.resets:
        assert made.recovery is not None or options.override_recovery_gate.strip()
        assert made.recovery is None or made.recovery.verdict in ("passed", "overridden")


@given(observations(), OPTIONS, records())
def test_no_plan_depends_on_anything_but_what_it_is_given(
    seen: Observation, options: UnplannedOptions, known: Record | None
) -> None:
    before = seen.model_dump_json()
    first = unplanned.plan(seen, options, settings(), known)
    assert unplanned.plan(seen, options, settings(), known) == first
    assert seen.model_dump_json() == before


@given(observations(), OPTIONS, records())
def test_a_returned_node_is_not_touched(seen: Observation, options: UnplannedOptions, known: Record | None) -> None:
    if known is None or known.course != "returned" or known.aborted:
        return
    made = unplanned.plan(seen, options, settings(), known)
    touched = [change for one in made.steps if one.name != "close" for change in one.changes]
    assert touched == []


def _options(known: Record) -> UnplannedOptions:
    return UnplannedOptions.model_validate(known.options)
