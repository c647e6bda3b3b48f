"""The loss of etcd's spare member: accepted by the name of the node, at the start or later, for one downtime."""

from __future__ import annotations

import pytest

from cluster import confirming, lost_tolerance, planned, remove, status
from cluster import record as records_of
from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from cluster.plan import Finding
from cluster.question import Answer, Question
from cluster.record import Record
from cluster.showing_reports import question_markdown
from cluster.waiting import nobody_to_ask
from tests.unit import planning_cases as cases
from tests.unit.test_confirming import _plan
from tests.unit.test_control_plane_down import cluster, view

LOST = Finding(code="etcd-no-fault-tolerance", message="2 healthy of 3 members are just a majority", remedy="Type it.")
QUORUM = Finding(code="etcd-quorum", message="No majority", remedy="Bring them back.")
BEFORE_SHUTDOWN = ("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone")


def _open(options: PlannedOptions | None = None, *, accepted: Options | None = None) -> Record:
    found = cases.record(options or PlannedOptions(), done=BEFORE_SHUTDOWN, changes=("cordon", "taint"), name="m1")
    if accepted is None:
        return found
    return records_of.approved(found, lost_tolerance.approval("m1", accepted, "ada", cases.NOW))


@pytest.mark.parametrize("options", [PlannedOptions(), UnplannedOptions(), RemoveOptions(confirmed="gpu-1")])
@pytest.mark.parametrize("continued", [False, True])
def test_it_is_asked_where_it_is_all_that_forbids_the_plan_also_of_a_downtime_that_goes_on(
    options: Options, continued: bool
) -> None:
    asked = confirming.question(_plan(LOST, continued=continued), options)
    assert asked is not None
    assert (asked.subject, asked.node) == ("lost-tolerance", "gpu-1")
    assert "2 healthy of 3 members" in question_markdown(asked)
    accepted = confirming.confirmed(options, asked, Answer("accept", "ada"))
    assert lost_tolerance.chosen(accepted) == "gpu-1"
    assert confirming.question(_plan(LOST, continued=continued), accepted) is None
    assert confirming.confirmed(options, asked, Answer("refuse", "ada")) == options, "the plan stays forbidden"


def test_a_lost_quorum_is_nothing_that_a_person_could_accept() -> None:
    assert confirming.question(_plan(QUORUM), PlannedOptions()) is None
    assert confirming.question(_plan(LOST, QUORUM), PlannedOptions()) is None
    assert confirming.question(_plan(LOST), RejoinOptions()) is None


def test_what_was_accepted_in_the_middle_holds_for_the_rest_of_the_downtime_and_no_longer() -> None:
    seen = cluster(view(True, True, False, True, True))
    assert [one.code for one in planned.plan(seen, PlannedOptions(), cases.settings(), _open()).blockers] == [LOST.code]
    plan = planned.plan(seen, PlannedOptions(), cases.settings(), _open(accepted=PlannedOptions()))
    assert plan.feasible, plan.blockers
    assert "accept-lost-tolerance" in [one.code for one in plan.warnings]
    assert [one.code for one in planned.plan(seen, PlannedOptions(), cases.settings(), None).blockers] == [LOST.code]


def test_a_name_that_is_typed_when_it_goes_on_counts_though_it_began_without() -> None:
    seen, typed = cluster(view(True, True, False, True, True)), PlannedOptions(accept_lost_tolerance="m1")
    assert planned.plan(seen, typed, cases.settings(), _open()).feasible
    wrong = PlannedOptions(accept_lost_tolerance="m2")
    assert [one.code for one in planned.plan(seen, wrong, cases.settings(), _open()).blockers] == [LOST.code]
    after = lost_tolerance.with_acceptance(_open(), typed, "ada", cases.NOW)
    assert [(one.subject, one.answer, one.who) for one in after.approvals] == [("lost-tolerance", "accept", "ada")]
    assert lost_tolerance.with_acceptance(after, typed, "ben", cases.NOW) == after, "one answer is enough"


def test_what_was_accepted_while_it_is_down_says_nothing_of_a_removal() -> None:
    known = _open(accepted=PlannedOptions())
    options = RemoveOptions(confirmed="m1")
    seen = cluster(view(True, True, True))
    plan = remove.plan(seen, options, cases.settings(), known)
    assert LOST.code in [one.code for one in plan.blockers]
    both = lost_tolerance.with_acceptance(
        known, options.model_copy(update={"accept_lost_tolerance": "m1"}), "ben", cases.NOW
    )
    assert len(both.approvals) == 2
    given = lost_tolerance.acceptance(both, options)
    assert given is not None
    assert lost_tolerance.said(given, options).endswith("may fail once it is gone")


def test_it_is_told_what_waits_for_it_until_somebody_accepted() -> None:
    asked = records_of.step_is(_open(), "shut-down", "asked", lost_tolerance.ASKED)
    assert status.waits_for(asked, "shut-down") == "somebody who accepts that no further member of etcd may fail"
    assert status._go_on(asked, "shut-down") == "downtime decide m1 --accept-lost-tolerance m1"
    given = lost_tolerance.approval("m1", PlannedOptions(), "ada", cases.NOW)
    answered = records_of.approved(asked, given)
    assert status.waits_for(answered, "shut-down") == ""
    assert status._go_on(answered, "shut-down") == "downtime resume m1"


def test_who_can_ask_nobody_ends_waiting_with_the_ways_on() -> None:
    waiting = nobody_to_ask(Question("lost-tolerance", "m1", "d", found=LOST.message))
    assert waiting.exit_code == 4
    for way in ("downtime decide m1 --accept-lost-tolerance m1", "downtime resume m1", "downtime abort m1"):
        assert way in waiting.remedy
