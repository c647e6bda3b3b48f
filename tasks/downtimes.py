"""Entering a downtime, going on with one, and closing it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from prefect import get_run_logger, task
from prefect.exceptions import MissingContextError
from prefect.runtime import flow_run

from cluster import closing, downtime, report, waiting, whereabouts
from cluster.downtime import Downtime, Start
from cluster.report import Report
from cluster.step import perform
from tasks import approval, publishing, sessions
from tasks.retrying import RETRIES
from tasks.terminal import TERMINAL


@contextmanager
def enter(start: Start) -> Iterator[Downtime]:
    """Open the downtime of a node, or go on with the one that is open; the lock is released at the end, in any case."""
    start = replace(start, flow_run=str(flow_run.id or ""))
    with _reported(downtime.enter(sessions.api(), sessions.settings(), start, say, approval.ask())) as entered:
        yield entered


@contextmanager
def go_on(node: str, who: str = "", *, abort: bool = False, work_done: bool = False) -> Iterator[Downtime]:
    """Go on with the open downtime of a node, or back out of it.

    Args:
        work_done: the work on the machine is done. Else a person is asked, if that is waited for.
    """
    api, settings = sessions.api(), sessions.settings()
    with _reported(downtime.go_on(api, settings, node, say, approval.ask(), abort=abort)) as entered:
        if abort or work_done:
            waiting.answer_by_resuming(entered, who or downtime.who())
        yield entered


@contextmanager
def _reported(way_in: AbstractContextManager[Downtime]) -> Iterator[Downtime]:
    """The same, and a report of a run that ends before the downtime does, once the lock is released.

    A suspension is no end, and no exception of this kind.
    """
    entered: Downtime | None = None
    try:
        with way_in as entered:
            yield entered
    except Exception as error:
        if entered is not None:
            publishing.ended(entered, error)
        raise


@task(name="close", **RETRIES)
def close(entered: Downtime) -> Report:
    """Close the record, and say what was done and where the workloads are."""
    perform(entered, closing.CLOSE)
    there = whereabouts.of_record(entered.api, entered.record)
    final = report.of_record(entered.record, there)
    publishing.final(final)
    return final


def say(step: str, text: str) -> None:
    """Tell the person at the terminal, else the run's log."""
    terminal = TERMINAL.get()
    if terminal is not None:
        terminal.say(step, text)
        return
    try:
        get_run_logger().info("%s: %s", step, text)
    except MissingContextError:
        return
