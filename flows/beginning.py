"""How every procedure begins: with its plan. Then it goes through its steps."""

from collections.abc import Callable
from functools import partial

from cluster import report
from cluster.downtime import Downtime, Start, who
from cluster.options import Options
from cluster.report import Report
from tasks import approval, downtimes, planning


def begin(
    node: str, options: Options, through: Callable[[Downtime], Report], *, dry_run: bool, requested_by: str
) -> Report:
    """Make the plan, enter the downtime of the node, and go through its steps; a dry run ends with the plan."""
    plan = planning.plan(node, options, dry_run=dry_run)  # reads, judges the recovery gate, publishes; changes nothing
    if dry_run:
        return report.of_plan(plan, options.reason)
    # Of what can't be undone the name is typed, and a stand-in is named where one is needed; may suspend this run.
    plan, options, given = approval.of_plan(plan, options, partial(planning.plan, node, dry_run=False))
    planning.require_feasible(plan)
    start = Start(plan.procedure, node, options, plan.recovery, requested_by or who(), approvals=given)
    with downtimes.enter(start) as downtime:  # lock, admission, record: opened or continued
        return through(downtime)
