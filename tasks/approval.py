"""Asking a person. Plain functions, called by the flow itself: a task cannot suspend a run.

A served run suspends, with a form in the Prefect UI, and its lock is released; at a terminal the person there is
asked; otherwise the run ends with exit code 4 and goes on by ``downtime decide`` and ``downtime resume``.
"""

from typing import Literal

from prefect.context import TaskRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from cluster import removal, showing_reports, waiting
from cluster.downtime import Ask, Downtime
from cluster.question import Answer, Question
from cluster.step import perform
from tasks.terminal import TERMINAL


class WorkloadsAnswer(RunInput):
    """What is to happen with the interactive work that is listed above."""

    decision: Literal["evict", "refuse"] = Field(
        title="Decision",
        description="evict: their owners know and have saved; they are deleted with the drain. "
        "refuse: nothing is evicted, and the node is not drained.",
    )
    who: str = Field(title="Your name", description="Kept in the record.", min_length=1, max_length=100)


class ReturnAnswer(RunInput):
    """The work on the machine is done."""

    work: Literal["done"] = Field(
        title="Work", description="done: the machine may be switched on (or is on already) and return to service."
    )
    who: str = Field(title="Your name", description="Kept in the record.", min_length=1, max_length=100)


class PowerOffAnswer(RunInput):
    """The machine is off. You looked, and it stays off."""

    node: str = Field(
        title="Node that is off",
        description="Type the name of the node. If its machine runs after all, its pods will run twice.",
        min_length=1,
        max_length=253,
    )
    who: str = Field(title="Your name", description="Kept in the record.", min_length=1, max_length=100)


class OutageAnswer(RunInput):
    """The pods that are listed above may be down for as long as the node is."""

    node: str = Field(
        title="Node that may take them down",
        description="Type the name of the node. Anything else refuses, and nothing is evicted.",
        min_length=1,
        max_length=253,
    )
    who: str = Field(title="Your name", description="Kept in the record.", min_length=1, max_length=100)


def of_workloads(downtime: Downtime) -> None:
    """See that a person agreed to evict the interactive work on the node."""
    perform(downtime, waiting.APPROVE_WORKLOADS)


def of_return(downtime: Downtime) -> None:
    """Wait until a person says that the work on the machine is done."""
    perform(downtime, waiting.APPROVE_RETURN)


def of_power_off(downtime: Downtime) -> None:
    """See proof that the machine of a dead node is off, before what needs it: a person is asked if there is none."""
    removal.ask_beforehand(downtime)


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
    if question.subject == "power-off":
        sure = PowerOffAnswer.with_initial_data(description=text)
        confirmed = suspend_flow_run(wait_for_input=sure, key=key, timeout=question.patience_seconds)
        return Answer("off" if confirmed.node.strip() == question.node else "refuse", confirmed.who)
    if question.subject == "outage":
        typed = OutageAnswer.with_initial_data(description=text)
        accepted = suspend_flow_run(wait_for_input=typed, key=key, timeout=question.patience_seconds)
        return Answer("accept" if accepted.node.strip() == question.node else "refuse", accepted.who)
    if question.subject == "return":
        form = ReturnAnswer.with_initial_data(description=text)
        returned = suspend_flow_run(wait_for_input=form, key=key, timeout=question.patience_seconds)
        return Answer("done", returned.who)
    workloads_form = WorkloadsAnswer.with_initial_data(description=text)
    decided = suspend_flow_run(wait_for_input=workloads_form, key=key, timeout=question.patience_seconds)
    return Answer(decided.decision, decided.who)
