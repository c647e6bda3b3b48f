"""Asking a person. Plain functions, called by the flow itself: a task cannot suspend a run.

A served run suspends, with a form in the Prefect UI, and its lock is released; at a terminal the person there is
asked; otherwise the run ends with exit code 4 and goes on by ``downtime decide`` and ``downtime resume``.
"""

from datetime import datetime

from prefect.context import TaskRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import filter_flow_run_input, keyset_from_base_key
from prefect.runtime import deployment

from cluster import confirming, out_of_service, removal, showing_reports, waiting
from cluster.downtime import Ask, Downtime
from cluster.options import Options
from cluster.plan import Plan
from cluster.question import Answer, Question
from cluster.record import Approval
from cluster.step import perform
from tasks import forms
from tasks.terminal import TERMINAL


def of_workloads(downtime: Downtime) -> None:
    """See that a person agreed to evict the interactive work on the node."""
    perform(downtime, waiting.APPROVE_WORKLOADS)


def of_return(downtime: Downtime) -> None:
    """Wait until a person says that the work on the machine is done."""
    perform(downtime, waiting.APPROVE_RETURN)


def of_power_off(downtime: Downtime) -> None:
    """See proof that the machine of a dead node is off, before what needs it: a person is asked if there is none."""
    removal.ask_beforehand(downtime)


def of_release(downtime: Downtime) -> None:
    """See proof once more that the machine is off, before what is stuck on it is released."""
    out_of_service.ask_beforehand(downtime)


def of_plan(plan: Plan, options: Options) -> tuple[Options, tuple[Approval, ...]]:
    """See that a person typed the node's name, where that is needed before anything is done; the options with it.

    Without anybody who could be asked they are as they were, and what needs the name refuses.
    """
    options = confirming.continued(plan, options)
    question, how = confirming.question(plan, options), ask()
    if question is None or how is None:
        return options, ()
    answer = how(question)
    return confirming.confirmed(options, question, answer), (confirming.approval(question, answer),)


def ask() -> Ask | None:
    """How this run can ask a person; None: not at all."""
    if deployment.id:
        return _by_form
    terminal = TERMINAL.get()
    return terminal.ask if terminal is not None else None


def _by_form(question: Question) -> Answer:
    if TaskRunContext.get() is not None:
        raise waiting.nobody_to_ask(question)  # a task cannot suspend a run
    # The key makes a run that is resumed, and goes through the flow from its top, find the answer to this question.
    key = f"{question.subject}-{question.digest}"
    text = showing_reports.question_markdown(question)
    form = forms.of(question).with_initial_data(description=text)
    given = suspend_flow_run(wait_for_input=form, key=key, timeout=question.patience_seconds)
    return forms.answer(question, given, _answered_at(key))


def _answered_at(key: str) -> datetime | None:
    """When the form was answered: the run may have waited since for a process that goes on with it."""
    found = filter_flow_run_input(keyset_from_base_key(f"suspended-{key}")["response"])
    # Only inside an event loop would it be something else: a coroutine.
    assert isinstance(found, list)
    return found[0].created if found else None
