"""A system node that no other can take over from: a person names the one that stands in, of those that were shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cluster import confirming, planned
from cluster.options import Options, PlannedOptions, RemoveOptions, UnplannedOptions, differing
from cluster.plan import Candidate, Finding, Plan
from cluster.question import Answer, Question
from cluster.showing_reports import question_markdown
from tasks import approval, forms
from tests.unit import planning_cases as cases
from tests.unit.places import GPU_WORKER, place
from tests.unit.test_designation_in_plans import GPU, _seen

LAST = Finding(code="last-system-node", message="system-1 is the last one", remedy="Designate another one.")
OTHER = Finding(code="pdb", message="A budget", remedy="Wait.")


def _candidate(name: str, *, room: bool = True) -> Candidate:
    return Candidate(name=name, room=room, gpus=0, interactive=0, reasons=("room" if room else "no room", "no GPUs"))


BOTH = (_candidate("cpu-1.example"), _candidate("cpu-2"), _candidate("gpu-9", room=False))


def _plan(*blockers: Finding, candidates: tuple[Candidate, ...] = BOTH, **more: Any) -> Plan:
    given = {"procedure": "planned", "node": "system-1", "cluster": "c", "feasible": not blockers, **more}
    return Plan.model_validate({**given, "blockers": blockers, "candidates": candidates})


def _asked(*blockers: Finding, options: Options | None = None, **more: Any) -> Question | None:
    return confirming.question(_plan(*blockers, **more), options or PlannedOptions())


def test_planner_ranks_those_that_could_and_only_where_one_is_needed() -> None:
    small = place("gpu-2", role=GPU_WORKER, cpu="1")
    plan = planned.plan(_seen(small, GPU), PlannedOptions(), cases.settings(), None)
    assert [(one.name, one.room) for one in plan.candidates] == [("gpu-1", True), ("gpu-2", False)]
    asked = confirming.question(plan, PlannedOptions())
    assert asked is not None
    assert asked.offered == ("gpu-1",)
    named = planned.plan(_seen(small, GPU), PlannedOptions(designate="gpu-1"), cases.settings(), None)
    assert named.feasible
    assert named.candidates == ()


def test_it_is_asked_only_if_that_is_all_that_forbids_the_plan_and_somebody_could_stand_in() -> None:
    assert _asked(LAST) is not None
    assert _asked(LAST, options=RemoveOptions()) is not None
    assert _asked(LAST, options=UnplannedOptions()) is not None
    assert _asked() is None
    assert _asked(LAST, OTHER) is None
    assert _asked(LAST, options=PlannedOptions(designate="cpu-2")) is None
    assert _asked(LAST, candidates=(_candidate("gpu-9", room=False),)) is None
    assert _asked(LAST, continued=True) is None, "its record says who stands in"


def test_answer_holds_for_the_candidates_that_were_shown() -> None:
    first, same = _asked(LAST), _asked(LAST, candidates=(BOTH[2], *BOTH[:2]))
    other = _asked(LAST, candidates=BOTH[:1])
    assert first is not None
    assert same is not None
    assert other is not None
    assert first.digest == same.digest
    assert first.digest != other.digest


def test_form_takes_the_typed_name_of_a_candidate_with_room_and_no_other() -> None:
    asked = _asked(LAST)
    assert asked is not None
    text = question_markdown(asked)
    assert text.index("cpu-1.example") < text.index("cpu-2") < text.index("gpu-9")
    assert "system-1 is the last one" in text
    form = forms.of(asked)
    answer = forms.answer(asked, form.model_validate({"designate": "cpu-1.example", "who": "anna"}), None)
    assert (answer.given, answer.named, answer.who) == ("designate", "cpu-1.example", "anna")
    for wrong in ("gpu-9", "cpu-1xexample", "cpu-22", "xcpu-2", "system-1", ""):
        with pytest.raises(ValidationError):
            form.model_validate({"designate": wrong, "who": "anna"})
    kept = confirming.approval(asked, answer)
    assert (kept.subject, kept.answer, kept.items) == ("designation", "designate", ("cpu-1.example",))


def test_removal_asks_who_stands_in_and_then_for_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects: list[str] = []

    def person(question: Question) -> Answer:
        subjects.append(question.subject)
        if question.subject == "designation":
            return Answer("designate", "anna", named="cpu-2")
        return Answer("confirmed", "anna")

    monkeypatch.setattr(approval, "ask", lambda: person)
    plan, options, given = approval.of_plan(_plan(LAST), RemoveOptions(), lambda _: _plan())
    assert plan.feasible
    assert options == RemoveOptions(designate="cpu-2", confirmed="system-1")
    assert subjects == [one.subject for one in given] == ["designation", "removal"]


def test_who_names_nobody_leaves_the_plan_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "ask", lambda: lambda _: Answer("refuse", "anna"))
    plan, options, given = approval.of_plan(_plan(LAST), PlannedOptions(), lambda _: _plan())
    assert (plan.feasible, options, given) == (False, PlannedOptions(), ())


def test_run_that_asked_goes_on_with_what_is_recorded_though_it_was_started_without() -> None:
    recorded = PlannedOptions(designate="gpu-1", accept_lost_tolerance="system-1")
    assert differing(recorded, PlannedOptions()) == []
    assert differing(recorded, PlannedOptions(designate="gpu-2")) == ["designate"]
    assert differing(recorded, PlannedOptions(reason="another")) == ["reason"]
    known = cases.record(recorded, done=("recovery-gate",), name="system-1")
    plan = planned.plan(_seen(GPU), PlannedOptions(), cases.settings(), known)
    assert plan.feasible, plan.blockers
    assert "designate" in [one.name for one in plan.steps]
