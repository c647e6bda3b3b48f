"""Waiting for a person: what is to happen with interactive work, and whether the work on the machine is done.

A question is asked by whoever runs the procedure (a form, a terminal); its answer is written into the record, and
the step is done once the record holds it. Without anybody to ask, the run ends with exit code 4, and goes on with
``downtime decide`` or ``downtime resume``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster import consent, interactive_questions, local_outage, planning, suspension
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Blocked, Waiting
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Plan, Workload
from cluster.question import Answer, Question
from cluster.record import Approval, Asked, Record, StepState, Subject
from cluster.step import Seen, Step


def about_workloads(downtime: Downtime) -> Question | None:
    """The next question about what the drain takes away; None: there is nothing to ask (any more).

    First about interactive work, then about system pods that are down as long as the node is.
    """
    if not asks_about_workloads(downtime):
        return None
    seen, plan = planning.look_again(downtime)
    return question_about(downtime, seen, plan)


def asks_about_workloads(downtime: Downtime) -> bool:
    """Whether this downtime still asks about what its drain takes away."""
    return not _past_taint(downtime) and "approve-workloads" in downtime.steps


def question_about(downtime: Downtime, seen: Observation, plan: Plan) -> Question | None:
    """The same, from how things were just seen."""
    patience = int(downtime.settings.drain.approval_hours * 3600)
    asking = standing(downtime, plan).asks
    if asking:
        if downtime.options.interactive == "refuse":
            raise _refused(downtime, "as this run was told to refuse that", asking)
        return interactive_questions.of(downtime.record, asking, patience, suspend=suspension.offered(downtime))
    pods = unaccepted(downtime, seen)
    if pods:
        return Question("outage", downtime.node, consent.digest_of(pods), pods=pods, patience_seconds=patience)
    return None


def standing(downtime: Downtime, plan: Plan) -> consent.Standing:
    """What there is to do about the interactive work on the node."""
    wait = timedelta(minutes=downtime.settings.drain.wait_minutes)
    chosen = downtime.options.interactive
    return consent.standing(plan.workloads, downtime.record, chosen, datetime.now(UTC), wait)


def unaccepted(downtime: Downtime, seen: Observation) -> tuple[str, ...]:
    """The system pods on a volume of the node itself whose outage nobody accepted yet."""
    options = downtime.options
    if not isinstance(options, PlannedOptions | RemoveOptions):
        return ()
    return local_outage.unapproved(seen.outage_pods, downtime.record, downtime.node, options.accept_outage)


def about_return(downtime: Downtime) -> Question | None:
    """The question whether the work on the machine is done; None: there is nothing to ask (any more)."""
    name = "approve-return"
    if name not in downtime.steps or downtime.record.done(name) or _answer(downtime.record, "return"):
        return None
    patience = int(downtime.settings.drain.return_hours * 3600)
    # Whoever works on the machine must not take it for off because of the question: it may have been switched on since.
    seen = downtime.record.steps.get("see-off")
    found = seen.proof if seen is not None else ""
    digest = consent.digest_of([downtime.record.id])
    return Question("return", downtime.node, digest, found=found, patience_seconds=patience)


def put(downtime: Downtime, question: Question) -> None:
    """Put a question to a person, and write both into the record: that it is asked, and what was answered.

    Raises:
        Waiting: there is nobody to ask: the answer comes by another command.
        Blocked: the answer is ``refuse``.
    """
    step = "approve-return" if question.subject == "return" else "approve-workloads"
    about = f"{local_outage.ASKED}{', '.join(question.pods[:10])}" if question.pods else ""
    asked = Asked(digest=question.digest, items=question.items) if question.subject == "interactive" else None
    downtime.write(lambda old: _asked(old, step, about, asked))
    if downtime.ask is None:
        raise interactive_questions.hindered(question) if question.hindered else nobody_to_ask(question)
    write_answer(downtime, question, downtime.ask(question))


def write_answer(downtime: Downtime, question: Question, answer: Answer) -> None:
    """Write a person's answer into the record.

    Raises:
        Blocked: the answer is ``refuse``.
    """
    given = interactive_questions.approvals(question, answer)
    downtime.write(lambda old: _answered(old, given))
    if answer.given == "refuse" and question.subject == "outage":
        raise Blocked(
            "outage-refused",
            f"{answer.who} refused that {', '.join(question.pods)} are down as long as {downtime.node} is",
            f"'downtime abort {downtime.node}' takes the cordon off; or, when that is agreed to, 'downtime decide "
            f"{downtime.node} --accept-outage {downtime.node}' and 'downtime resume {downtime.node}'.",
        )
    if answer.given == "refuse":
        raise _refused(downtime, f"{answer.who} refused that", question.workloads)


def answer_by_resuming(downtime: Downtime, who: str) -> None:
    """Note that the work on the machine is done, if that was asked: who backs out says so, and who resumes by a
    command that can ask nobody, as the plan and the end of the run before told.
    """
    state = downtime.record.steps.get("approve-return")
    question = about_return(downtime)
    if question is not None and state is not None and state.state == "asked":
        write_answer(downtime, question, Answer("done", who))


def ask_again(old: Record) -> Record:
    """The record back at the question about interactive work: something came that nobody was asked about."""
    return records_of.in_phase(records_of.step_is(old, "approve-workloads", "asked"), "asking")


def _answered(old: Record, given: tuple[Approval, ...]) -> Record:
    new = old
    for one in given:
        new = new if _last_is(new, one, len(given)) else records_of.approved(new, one)
    return new.model_copy(update={"asked": None}) if given and given[0].subject == "interactive" else new


def _asked(old: Record, step: str, about: str, asked: Asked | None = None) -> Record:
    state = old.steps.get(step, StepState(state="intended", at=datetime.now(UTC)))
    same = (state.state, state.proof) == ("asked", about)
    new = old if same else records_of.step_is(old, step, "asked", about)
    new = new.model_copy(update={"asked": asked}) if asked is not None else new
    return records_of.in_phase(new, "asking") if step == "approve-workloads" else new


def _of_machine(question: Question) -> str:
    return f" (its machine, when last looked at: {question.found})" if question.found else ""


def nobody_to_ask(question: Question) -> Waiting:
    """The end of a run that can ask nobody."""
    node = question.node
    if question.subject == "power-off":
        return Waiting(
            "waiting-for-power-off",
            f"Nothing proves that the machine of {node} is off, and what comes next needs proof: pods would run twice",
            f"Switch it off, look at it, then 'downtime decide {node} --confirm-off {node}' and, within 15 minutes, "
            f"'downtime resume {node}'.",
        )
    if question.subject == "dead-kubelet":
        return Waiting(
            "waiting-for-decision",
            f"The machine of {node} answers over SSH, so it is not off; what is to be done with it was not decided",
            f"'downtime decide {node} --dead-kubelet restart' (or shut-down, or leave), then 'downtime resume {node}'.",
        )
    if question.subject == "return":
        return Waiting(
            "waiting-for-return",
            f"{node} is out of service{_of_machine(question)}, and waits until the work on it is done",
            f"When it is done (and the machine switched on, if that is a person's part): 'downtime resume {node}', "
            "which says exactly that.",
        )
    if question.subject == "lost-tolerance":
        return Waiting(
            "waiting-for-decision",
            f"{question.found}. Somebody has to accept that; the machine of {node} was left alone",
            f"Bring the other members of etcd into order; or, if it is accepted, 'downtime decide {node} "
            f"--accept-lost-tolerance {node}'; then 'downtime resume {node}'. 'downtime abort {node}' backs out.",
        )
    if question.subject == "outage":
        return Waiting(
            "waiting-for-decision",
            f"Somebody has to accept that {', '.join(question.pods[:10])} on a volume of {node} itself "
            f"{'is' if len(question.pods) == 1 else 'are'} down as long as it is. The node is cordoned, nothing was "
            "evicted",
            f"Tell the users; then 'downtime decide {node} --accept-outage {node}' and 'downtime resume {node}'.",
        )
    return interactive_questions.nobody_to_ask(question)


def _last_is(old: Record, new: Approval, together: int) -> bool:
    # A write whose answer was lost is tried again, and must not stand there twice.
    last = [one for one in old.approvals if one.subject == new.subject][-together:]
    same = (new.digest, new.items, new.answer, new.who)
    return any((one.digest, one.items, one.answer, one.who) == same for one in last)


def _answer(record: Record, subject: Subject) -> Approval | None:
    return next((one for one in reversed(record.approvals) if one.subject == subject), None)


def _past_taint(downtime: Downtime) -> bool:
    return downtime.record.done("taint") or downtime.record.aborted


def _refused(downtime: Downtime, why: str, workloads: tuple[Workload, ...]) -> Blocked:
    named = ", ".join(f"{one.namespace}/{one.name} ({one.owner or 'owner unknown'})" for one in workloads[:10])
    return Blocked(
        "interactive-refused",
        f"Interactive work on {downtime.node} is not evicted, {why}: {named}",
        f"'downtime abort {downtime.node}' takes the cordon off; or, when the owners agree, "
        f"'downtime decide {downtime.node} --interactive evict' and 'downtime resume {downtime.node}'.",
    )


def _no_question_about_return(downtime: Downtime) -> Seen | None:
    if about_return(downtime) is not None:
        return None
    given = _answer(downtime.record, "return")
    return Seen(f"{given.who} said that the work is done" if given else "nothing to wait for")


def _ask_about_return(downtime: Downtime) -> None:
    question = about_return(downtime)
    if question is not None:
        put(downtime, question)


def _return_agreed(downtime: Downtime) -> Seen:
    return _no_question_about_return(downtime) or Seen("nothing to wait for")


APPROVE_RETURN = Step("approve-return", _no_question_about_return, _return_agreed, _ask_about_return)
