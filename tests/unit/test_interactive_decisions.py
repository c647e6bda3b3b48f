"""What a person decides about interactive work: kept per workload, for exactly what was shown, until it comes about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from cluster import consent, interactive_questions, notice, notice_text, notifiers
from cluster.errors import Misused
from cluster.masking import Masker
from cluster.notice import Notice, Obstacle
from cluster.plan import Workload
from cluster.question import Answer, Question
from cluster.record import Approval, Asked, Found, Record, approved, continued
from cluster.showing_reports import question_markdown
from tasks import forms

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def work(name: str, *, kind: str = "StatefulSet", namespace: str = "runai-team-a", owner: str = "anna") -> Workload:
    return Workload(
        name=name,
        namespace=namespace,
        owner=owner,
        kind="interactive",
        pods=(f"{name}-0",),
        controller=f"{kind}/{name}",
        fate="needs-approval",
    )


def record(*approvals: Approval, notices: tuple[Notice, ...] = (), obstacles: tuple[Obstacle, ...] = ()) -> Record:
    made = Record(
        id="r",
        epoch=1,
        procedure="planned",
        node="gpu-1",
        node_uid="u",
        who="frida",
        reason="firmware",
        opened=NOW,
        updated=NOW,
        found=Found(),
        notices=notices,
        obstacles=obstacles,
    )
    for one in approvals:
        made = approved(made, one)
    return made


def said(answer: str, *items: Workload, at: datetime = NOW, who: str = "boss") -> Approval:
    keys = tuple(one.key for one in items)
    return Approval(subject="interactive", digest="d", items=keys, answer=answer, who=who, at=at)


A, B, C = work("a"), work("b"), work("c")


def standing(known: Record, *workloads: Workload, interactive: str = "ask", later: timedelta = HOUR / 2) -> object:
    return consent.standing(workloads, known, interactive, NOW + later, HOUR)  # type: ignore[arg-type]


def test_each_workload_goes_its_own_way_and_what_nobody_decided_is_asked_about() -> None:
    known = record(said("evict", A), said("wait", B))
    assert standing(known, A, B, C) == consent.Standing(asks=(C,), waits=((B, NOW + HOUR),))
    assert consent.unapproved((A, B, C), known, "ask") == (B, C), "what is waited for is not drained"


def test_owner_is_waited_for_until_the_deadline_and_then_it_is_asked_again() -> None:
    known = record(said("wait", A))
    assert standing(known, A, later=2 * HOUR) == consent.Standing(asks=(A,))


def test_newest_decision_about_a_workload_counts() -> None:
    assert standing(record(said("wait", A, B), said("evict", A)), A) == consent.Standing()
    assert standing(record(said("evict", A), said("wait", A)), A) == consent.Standing(waits=((A, NOW + HOUR),))


def test_evict_at_the_start_can_be_changed_for_one() -> None:
    assert standing(record(), A, B, interactive="evict") == consent.Standing()
    changed = record(said("wait", A))
    assert standing(changed, A, B, interactive="evict") == consent.Standing(waits=((A, NOW + HOUR),))
    assert consent.unapproved((A, B), changed, "evict") == (A,)


def test_notice_period_holds_what_was_agreed_but_not_what_was_said_to_be_done_now() -> None:
    ends = NOW + HOUR
    told = (Notice(at=NOW, until=ends, items=(A.key, B.key), state="sent", told=("json",)),)
    known = record(said("evict", A), said("evict-now", B), notices=told)
    assert standing(known, A, B) == consent.Standing(held=((A, ends),))
    assert standing(known, A, B, later=HOUR) == consent.Standing()
    assert standing(record(notices=told), A, interactive="evict") == consent.Standing(held=((A, ends),))
    suspended = record(said("suspend", A), said("suspend-now", B), notices=told)
    assert standing(suspended, A, B) == consent.Standing(suspends=(B,), held=((A, ends),))


def test_consent_to_the_rest_never_reaches_what_is_waited_for_or_to_be_suspended() -> None:
    told = (Notice(at=NOW, until=NOW + HOUR, items=(A.key, B.key, C.key), state="sent", told=("json",)),)
    known = record(said("wait", A), said("suspend", B), notices=told)
    left = consent.standing((A, B, C), known, "ask", NOW + HOUR / 2, HOUR)
    for now in (False, True):
        assert consent.meant_by_rest((A, B, C), known, left, "evict", now=now) == (C,)
    agreed = record(said("wait", A), said("evict", C), notices=told)
    left = consent.standing((A, C), agreed, "ask", NOW + HOUR / 2, HOUR)
    assert consent.meant_by_rest((A, C), agreed, left, "evict", now=False) == ()
    assert consent.meant_by_rest((A, C), agreed, left, "evict", now=True) == (C,)
    left = consent.standing((A, C), record(notices=told), "evict", NOW + HOUR / 2, HOUR)
    assert consent.meant_by_rest((A, C), record(notices=told), left, "evict", now=True) == (A, C)


def test_refusing_the_rest_takes_consent_back() -> None:
    known = record(said("evict", A), said("wait", B))
    left = consent.standing((A, B, C), known, "ask", NOW + HOUR / 2, HOUR)
    assert consent.meant_by_rest((A, B, C), known, left, "refuse", now=False) == (A, B, C)
    refused = approved(known, said("refuse", A, B, C))
    assert consent.unapproved((A, B, C), refused, "evict") == (A, B, C)


def test_runs_that_come_back_only_to_wait_on_push_nothing_out_of_the_timeline() -> None:
    known = record(said("evict", A))
    for number in range(500):
        known = continued(known, f"run-{number}")
    assert [one.text for one in known.timeline][-1] == "continued by run-499"
    assert len(known.timeline) == 2


def test_suspension_that_was_refused_leaves_the_workload_undecided_until_somebody_decides_again() -> None:
    refused = (Obstacle(at=NOW + HOUR / 4, item=A.key, said="503: try later"),)
    known = record(said("suspend", A), obstacles=refused)
    assert standing(known, A) == consent.Standing(asks=(A,))
    question = interactive_questions.of(known, (A,), 60, suspend=True)
    assert question.hindered
    assert f"{A.key} could not be suspended: 503: try later" in question.said
    assert "503: try later" in interactive_questions.hindered(question).message
    again = record(said("suspend", A), said("suspend", A, at=NOW + HOUR / 3), obstacles=refused)
    assert standing(again, A) == consent.Standing(suspends=(A,))


def test_same_question_asked_again_is_another_one() -> None:
    first = consent.digest_of_question((A,), record())
    assert first == consent.digest_of((A,))
    waited = consent.digest_of_question((A,), record(said("wait", A)))
    assert len({first, waited, consent.digest_of_question((A,), record(said("wait", A, at=NOW + HOUR)))}) == 3


def test_nobody_is_told_twice_even_where_it_is_not_known_whether_the_first_was_sent() -> None:
    begun = Notice(at=NOW, until=NOW, items=(A.key,))
    assert notice.untold((A, B), (begun,)) == (B,)
    assert "not known" in notice.said((begun,))[0]


@pytest.mark.parametrize(
    ("chosen", "configured", "notifies", "minutes"),
    [(None, None, False, 0), (None, None, True, 15), (None, 3.0, True, 3), (0, 3.0, True, 0), (5, None, False, 5)],
)
def test_length_of_the_notice_period(
    chosen: int | None, configured: float | None, notifies: bool, minutes: float
) -> None:
    assert notice.minutes(chosen, configured, notifies=notifies) == minutes


def test_ways_that_failed_are_said_loudly() -> None:
    failed = Notice(at=NOW, until=NOW + HOUR, items=(A.key,), state="sent", failed=("json (variable X): error=500",))
    (line,) = notice.said((failed,))
    assert line.startswith("owners were NOT told: runai-team-a/StatefulSet/a: json (variable X): error=500")
    assert "2026-11-24 10:00 UTC" in line


def test_a_new_decision_counts_although_the_clock_of_who_decides_is_behind() -> None:
    tried = (Obstacle(at=NOW + timedelta(minutes=5), item=A.key, said="busy", given=NOW - timedelta(minutes=9)),)
    again = said("suspend", A, at=NOW)
    assert standing(record(again, obstacles=tried), A) == consent.Standing(suspends=(A,))
    refused = (Obstacle(at=NOW - timedelta(minutes=5), item=A.key, said="busy", given=NOW),)
    assert standing(record(again, obstacles=refused), A) == consent.Standing(asks=(A,))


def test_a_form_without_a_name_is_refused_by_its_schema() -> None:
    form = forms.of(Question("interactive", "gpu-1", "d", (A,)))
    assert form.model_json_schema()["properties"]["who"]["pattern"] == r"\S"
    for nobody in ("", " ", "\t\n"):
        with pytest.raises(ValidationError):
            form.model_validate({"decision": "evict", "who": nobody})


def test_notice_says_which_node_why_whose_work_until_when_and_what_to_do() -> None:
    text = notice_text.body(record(), (A, work("b", owner="")), NOW, NOW + HOUR)
    for part in ("gpu-1", "firmware", "frida", "runai-team-a/a of anna", "an unknown owner", "10:00 UTC", "stop"):
        assert part in text
    assert "at any moment" in notice_text.body(record(), (A,), NOW, NOW)


def test_answer_is_kept_once_for_each_thing_that_was_decided() -> None:
    question = Question("interactive", "gpu-1", "d", (A, B, C))
    given = interactive_questions.approvals(question, Answer("evict", "anna", NOW, each={B.key: "wait"}, now=True))
    assert [(one.answer, one.items) for one in given] == [("evict-now", (A.key, C.key)), ("wait", (B.key,))]
    shown = Asked(digest="before", items=(A.key,))
    (only,) = interactive_questions.approvals(question, Answer("evict", "anna", NOW, shown=shown))
    assert (only.digest, only.items) == ("before", (A.key,)), "more than was shown"


def test_names_that_are_not_there_or_not_clear_are_refused_with_what_can_be_named() -> None:
    twin = work("a", kind="Deployment")
    assert interactive_questions.resolved(["runai-team-a/b", A.key], (A, twin, B)) == (B.key, A.key)
    with pytest.raises(Misused) as unclear:
        interactive_questions.resolved(["runai-team-a/a"], (A, twin, B))
    assert A.key in unclear.value.remedy
    assert twin.key in unclear.value.remedy
    with pytest.raises(Misused) as unknown:
        interactive_questions.resolved(["runai-team-a/x"], (A, B))
    assert "runai-team-a/a, runai-team-a/b" in unknown.value.remedy


def test_form_gives_each_of_several_workloads_its_choice() -> None:
    question = Question("interactive", "gpu-1", "d", (A, B), choices=("evict", "wait", "suspend"), notice_ends=NOW)
    form = forms.of(question)
    fields = form.model_json_schema()["properties"]
    assert fields["decision"]["enum"] == ["evict", "wait", "suspend", "refuse"]
    assert fields["on_runai_team_a_b"]["enum"] == ["as-above", "evict", "wait", "suspend"]
    assert fields["on_runai_team_a_b"]["title"] == "runai-team-a/b"
    assert "now" in fields
    given = form.model_validate({"decision": "evict", "who": "anna", "on_runai_team_a_b": "wait"})
    answer = forms.answer(question, given, NOW)
    assert (answer.given, answer.each, answer.now) == ("evict", {B.key: "wait"}, False)
    refused = form.model_validate({"decision": "refuse", "who": "anna", "on_runai_team_a_b": "wait"})
    assert forms.answer(question, refused, NOW).each == {}
    with pytest.raises(ValidationError):
        form.model_validate({"decision": "evict", "who": "anna", "on_runai_team_a_x": "wait"})


def test_form_about_one_workload_stays_as_short_as_it_was() -> None:
    assert set(forms.of(Question("interactive", "gpu-1", "d", (A,))).model_fields) == {"decision", "who"}


def test_fields_of_workloads_with_like_names_differ() -> None:
    keys = [A.key, work("a", kind="Job").key, work("x.y").key, work("x-y").key, "ns/Pod/9"]
    names = forms.field_names(keys)
    assert sorted(names.values()) == sorted(keys)
    assert all(name.isidentifier() for name in names)


def test_question_shows_who_was_not_told() -> None:
    text = question_markdown(Question("interactive", "gpu-1", "d", (A,), said=("owners were NOT told: x",)))
    assert "owners were NOT told: x" in text


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("json://user:pa55@hooks.example.org/a/T0kenOfTheHook", "pa55"),
        ("json://hooks.example.org/a/T0kenOfTheHook", "T0kenOfTheHook"),
        ("tgram://123456789abcdef/Chat", "123456789abcdef"),
        ("slack://TokenAAAA/TokenBBBB/TokenCCCC", "TokenBBBB"),
        ("json://hooks.example.org/?key=VerySecretKey", "VerySecretKey"),
    ],
)
def test_tokens_in_urls_are_masked_also_where_they_stand_alone(url: str, token: str) -> None:
    masker = Masker()
    for part in notifiers.secret_parts(url):
        masker.register(part)
    assert token not in masker.mask(f"failed: {url}; {token}; http://hooks.example.org/{token}")
    assert "hooks.example.org" in masker.mask("failed: hooks.example.org")
