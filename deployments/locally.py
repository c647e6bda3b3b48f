"""Performing procedures in this process, without Prefect: the same plan, steps and record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.downtime import Ask, Downtime, Say
    from cluster.options import Options
    from cluster.plan import Plan
    from cluster.report import Report
    from deployments.sessions import Session


def run(session: Session, plan: Plan, options: Options, say: Say, ask: Ask | None) -> Report:
    """The procedure of the plan, from the start or from where its record is.

    Args:
        plan: made with the checksums of the backup set: its verdict is the recovery gate's.

    Raises:
        DowntimeError: as the steps do.
    """
    from cluster.downtime import Start, enter, who

    start = Start(plan.procedure, plan.node, options, plan.recovery, who())
    with enter(session.api, session.settings, start, say, ask) as downtime:
        return _through(downtime)


def go_on(session: Session, node: str, say: Say, ask: Ask | None, *, abort: bool) -> Report:
    """Go on with the open downtime of a node, or back out of it.

    Who resumes says that the work on the machine is done, if that is waited for; at a terminal they are asked.

    Raises:
        DowntimeError: as the steps do.
    """
    from cluster import downtime as downtimes
    from cluster import waiting

    with downtimes.go_on(session.api, session.settings, node, say, ask, abort=abort) as downtime:
        if abort or ask is None:
            waiting.answer_by_resuming(downtime, downtimes.who())
        return _through(downtime)


def _through(downtime: Downtime) -> Report:
    from cluster import report, whereabouts
    from cluster.performing import perform_all

    perform_all(downtime)
    there = whereabouts.of(downtime.api, downtime.node, downtime.record.workloads)
    return report.of_record(downtime.record, there)
