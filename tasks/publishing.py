"""What a person reads in the Prefect UI: plan, workloads and report, as artifacts."""

import re

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext, TaskRunContext

from cluster import report, showing_backups, showing_checks, showing_reports, whereabouts
from cluster.backup_report import BackupReport
from cluster.downtime import Downtime
from cluster.errors import DowntimeError
from cluster.plan import Plan, Whereabouts
from cluster.rehearsing import RehearsalReport
from cluster.report import Report
from cluster.verdict import Verdict


def plan(made: Plan) -> None:
    """The plan, and the table of workloads."""
    if not _in_a_run():
        return
    create_markdown_artifact(showing_reports.plan_markdown(made), key=_key("plan", made.node), description="The plan")
    rows = showing_reports.workload_rows(made)
    if rows:
        create_table_artifact(rows, key=_key("workloads", made.node), description=f"Workloads on {made.node}")


def final(made: Report) -> None:
    """The report of a downtime."""
    if _in_a_run():
        text = showing_reports.report_markdown(made)
        create_markdown_artifact(text, key=_key("report", made.node), description="The report")


def ended(downtime: Downtime, error: Exception) -> None:
    """The report of a run that ends before the downtime does. What prevents it never hides why that run ended."""
    if not _in_a_run():
        return
    try:
        final(report.of_ended(downtime.record, error, _whereabouts(downtime)))
    except Exception as problem:  # noqa: BLE001 (whatever it is: the run ends for the other reason, and says that)
        get_run_logger().warning("The report could not be published: %s", type(problem).__name__)


def _whereabouts(downtime: Downtime) -> tuple[Whereabouts, ...]:
    try:
        return whereabouts.of_record(downtime.api.with_patience(0), downtime.record)
    except DowntimeError:
        return ()


def backup(made: BackupReport) -> None:
    """A backup set that was taken."""
    if _in_a_run():
        create_markdown_artifact(showing_backups.markdown(made), key="backup", description="The backup set")


def verdict(found: Verdict) -> None:
    """What the recovery check found."""
    if _in_a_run():
        text = showing_checks.markdown(found)
        create_markdown_artifact(text, key="recovery-check", description="The recovery check")


def rehearsal(made: RehearsalReport) -> None:
    """What the rehearsal of a restore found."""
    if _in_a_run():
        text = showing_checks.rehearsal_markdown(made)
        create_markdown_artifact(text, key="recovery-rehearsal", description="The rehearsal of a restore")


def _in_a_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _key(kind: str, node: str) -> str:
    # Artifact keys are made of small letters, digits and '-'.
    return f"{kind}-{re.sub(r'[^a-z0-9-]+', '-', node)}"
