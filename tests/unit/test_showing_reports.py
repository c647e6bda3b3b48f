"""Reports: what people and workloads are called is shown as it is, and never becomes markup."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cluster import planned, showing_time
from cluster.options import PlannedOptions
from cluster.plan import Whereabouts, Workload
from cluster.question import Question
from cluster.record import Approval
from cluster.report import Report, of_plan, of_record
from cluster.showing_reports import escaped, plan_markdown, question_markdown, report_markdown, workload_rows
from deployments import text_plan, text_report
from tests.unit import planning_cases

NASTY = "|a|b|\n# [bold red]x[/] `c` <img src=x> **d** [l](https://e.example) www.f.example :smile: \x1b[31m"
WORK = Workload(
    name="w", namespace="runai-team-a", owner=NASTY, kind="interactive", pods=("w-0",), gpus=2, fate="needs-approval"
)


def on_terminal(show: object, shown: object) -> str:
    text = io.StringIO()
    console = Console(file=text, width=160, markup=False, emoji=False, highlight=False, force_terminal=True)
    show(console, shown)  # type: ignore[operator]
    return text.getvalue()


def finished(**more: object) -> Report:
    record = planning_cases.record(PlannedOptions(reason=NASTY), done=("cordon", "close"))
    approval = Approval(
        subject="interactive", digest="d", items=(WORK.key,), answer="evict", who=NASTY, at=planning_cases.NOW
    )
    changed = {
        "reason": NASTY,
        "phase": "closed",
        "approvals": (approval,),
        "updated": record.opened + timedelta(minutes=64),
    }
    went = Whereabouts(
        workload="w", namespace="runai-team-a", owner=NASTY, kind="interactive", now="running", detail=NASTY
    )
    return of_record(record.model_copy(update=changed | more), (went,))


@given(st.text(max_size=60))
def test_escaped_text_has_no_unescaped_markup_and_is_one_line(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    bare = shown.replace("\\\\", "")
    for at, letter in enumerate(bare):
        if letter in "`*_[]<>|&$@":
            assert bare[at - 1] == "\\", shown


def test_names_from_outside_stay_in_their_cell() -> None:
    table = [
        line
        for line in question_markdown(Question("interactive", "gpu-1", "d", (WORK,))).splitlines()
        if "team-a" in line
    ]
    assert len(table) == 1
    assert table[0].replace("\\|", "").count("|") == 7
    assert "<img" not in table[0].replace("\\<", "")


def test_a_project_that_the_namespace_does_not_tell_is_shown_wherever_its_workloads_are() -> None:
    known = {"name": "w", "kind": "interactive", "pods": ("w-0",), "fate": "needs-approval"}
    told_apart = Workload.model_validate({**known, "namespace": "research", "project": "vision-lab"})
    same = Workload.model_validate({**known, "namespace": "runai-vision-lab", "project": "vision-lab"})
    made = planned.plan(planning_cases.observation(), PlannedOptions(), planning_cases.settings(), None)
    for one, expected in ((told_apart, True), (same, False)):
        plan = made.model_copy(update={"workloads": (one,)})
        texts = (
            plan_markdown(plan),
            question_markdown(Question("interactive", "gpu-1", "d", (one,))),
            on_terminal(text_plan.show, plan),
        )
        assert [("project vision-lab" in text) for text in texts] == [expected] * 3


def test_report_says_the_outcome_first_and_then_everything_that_was_done() -> None:
    text = report_markdown(finished())
    assert text.splitlines()[0] == "# gpu-1 is back in service after 1 h 4 min"
    for part in ("What ran on the node", "Steps", "Who decided what", "Recovery gate: passed"):
        assert f"## {part}" in text
    assert "Still standing" not in text


def test_report_of_a_downtime_with_something_left_says_so() -> None:
    record = planning_cases.record(changes=("cordon",))
    assert "## Still standing" in report_markdown(of_record(record))
    assert "Still standing: cordon" in on_terminal(text_report.show, of_record(record))


def test_terminal_shows_what_was_said_as_it_is_and_no_control_characters() -> None:
    text = on_terminal(text_report.show, finished())
    assert "[bold red]x[/]" in text
    assert "\x1b[31m" not in text
    assert ":smile:" in text
    assert text.strip().splitlines()[0].endswith("gpu-1 is back in service after 1 h 4 min\x1b[0m")


@pytest.mark.parametrize("blocked", [False, True])
def test_plan_is_shown_with_steps_workloads_and_what_forbids_it(blocked: bool) -> None:
    verdict = planning_cases.BLOCKED if blocked else planning_cases.PASSED
    seen = planning_cases.observation(recovery=verdict)
    plan = planned.plan(seen, PlannedOptions(), planning_cases.settings(), None).model_copy(
        update={"workloads": (WORK,)}
    )
    markdown, terminal = plan_markdown(plan), on_terminal(text_plan.show, plan)
    assert ("## It can't go ahead" in markdown) is blocked
    assert ("It can't go ahead: 1 blocker." in terminal) is blocked
    for step in plan.steps:
        assert f"**{step.name}**" in markdown
        assert step.name in terminal
    assert workload_rows(plan)[0]["workload"] == "runai-team-a/w"
    assert "runai-team-a/w" in terminal
    assert report_markdown(of_plan(plan)) == markdown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3840, "1 h 4 min"), (180_000, "2 d 2 h"), (-3, "0 s")],
)
def test_durations_in_their_two_largest_units(seconds: float, text: str) -> None:
    assert showing_time.duration(seconds) == text
