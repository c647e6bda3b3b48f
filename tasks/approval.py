"""Asking a person. Plain functions, called by the flow itself: a task cannot suspend a run.

A served run suspends, with a form in the Prefect UI, and its lock is released; at a terminal the person there is
asked; otherwise the run ends with exit code 4 and goes on by ``downtime decide`` and ``downtime resume``.
"""

from collections.abc import Callable
from datetime import datetime
from typing import get_args

from prefect.context import TaskRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import filter_flow_run_input, keyset_from_base_key
from prefect.runtime import deployment

from cluster import (
    approving,
    confirming,
    dead_kubelet,
    etcd_consent,
    out_of_service,
    power_reset,
    removal,
    showing_reports,
    waiting,
)
from cluster.downtime import Ask, Downtime
from cluster.options import Options
from cluster.plan import Plan
from cluster.question import Answer, Decision, Question
from cluster.record import Approval, Asked
from cluster.step import perform
from tasks import blocks, coming_back, forms
from tasks.terminal import TERMINAL


def of_workloads(downtime: Downtime) -> None:
    """See that interactive work may go: its owners are told, a person decides about each, and that comes about."""
    with blocks.sending(), coming_back.possible():
        perform(downtime, approving.APPROVE_WORKLOADS)


def of_return(downtime: Downtime) -> None:
    """Wait until a person says that the work on the machine is done."""
    perform(downtime, waiting.APPROVE_RETURN)


def of_power_off(downtime: Downtime) -> None:
    """See proof that the machine of a dead node is off, before what needs it: a person is asked if there is none."""
    removal.ask_beforehand(downtime)


def of_lost_tolerance(downtime: Downtime) -> None:
    """Of a control-plane node that is to go: ask, if etcd could lose no further member then, and nobody accepted that.

    At a terminal the step itself asks, at the last moment; it is a task, and a form must be asked for outside of it.
    """
    if deployment.id:
        etcd_consent.settle_beforehand(downtime)


def of_stopping(downtime: Downtime) -> None:
    """The same of a node that failed, before its machine is stopped or reset although it runs."""
    if deployment.id and (dead_kubelet.stops(downtime) or power_reset.stops(downtime)):
        etcd_consent.settle_beforehand(downtime)


def of_release(downtime: Downtime) -> None:
    """See proof once more that the machine is off, before what is stuck on it is released."""
    out_of_service.ask_beforehand(downtime)


def of_plan(
    plan: Plan, options: Options, again: Callable[[Options], Plan]
) -> tuple[Plan, Options, tuple[Approval, ...]]:
    """See that a person said what is needed before anything is done; plan and options with it, and the answers.

    Without anybody who could be asked both are as they were, and what needs an answer refuses.

    Args:
        again: makes the plan anew, with what was said.
    """
    options, how = confirming.continued(plan, options), ask()
    given: tuple[Approval, ...] = ()
    while how is not None and (question := confirming.question(plan, options)) is not None:
        answer, before = how(question), options
        options = confirming.confirmed(options, question, answer)
        if options == before:
            break
        given = (*given, confirming.approval(question, answer))
        plan = plan if plan.feasible else again(options)  # what was said takes away what forbade it
    return plan, options, given


def ask() -> Ask | None:
    """How this run can ask a person; None: not at all."""
    if deployment.id:
        return _by_form
    terminal = TERMINAL.get()
    return terminal.ask if terminal is not None else None


def _by_form(question: Question) -> Answer:
    if TaskRunContext.get() is not None:
        raise waiting.nobody_to_ask(question)  # a task cannot suspend a run
    if question.earlier is not None and (before := _answered_before(question, question.earlier)) is not None:
        return before
    # The key makes a run that is resumed, and goes through the flow from its top, find the answer to this question.
    key = f"{question.subject}-{question.digest}"
    text = showing_reports.question_markdown(question)
    form = forms.of(question).with_initial_data(description=text)
    given = suspend_flow_run(wait_for_input=form, key=key, timeout=question.patience_seconds)
    return forms.answer(question, given, _answered_at(key))


def _answered_before(question: Question, earlier: Asked) -> Answer | None:
    """What this run was answered about the workloads that there were when it asked; None: nothing.

    Others may have come and gone while it was suspended: the answer holds for what was shown.
    """
    key = f"{question.subject}-{earlier.digest}"
    at = _answered_at(key)
    if at is None:
        return None
    form = forms.of_workloads(earlier.items, get_args(Decision), notice=True)
    given = form.load(keyset_from_base_key(f"suspended-{key}"))
    # Only inside an event loop would it be a coroutine.
    assert isinstance(given, forms.WorkloadsAnswer)
    return forms.about_workloads(earlier.items, given, at, earlier)


def _answered_at(key: str) -> datetime | None:
    """When the form was answered: the run may have waited since for a process that goes on with it."""
    found = filter_flow_run_input(keyset_from_base_key(f"suspended-{key}")["response"])
    # Only inside an event loop would it be something else: a coroutine.
    assert isinstance(found, list)
    return found[0].created if found else None
