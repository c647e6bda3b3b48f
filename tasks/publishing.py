"""What a person reads in the Prefect UI: plan, workloads and report, as artifacts."""

import re

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext, TaskRunContext

from cluster import showing_backups, showing_checks, showing_reports
from cluster.backup_report import BackupReport
from cluster.plan import Plan
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


def final(report: Report) -> None:
    """The report of a downtime."""
    if _in_a_run():
        text = showing_reports.report_markdown(report)
        create_markdown_artifact(text, key=_key("report", report.node), description="The report")


def backup(report: BackupReport) -> None:
    """A backup set that was taken."""
    if _in_a_run():
        create_markdown_artifact(showing_backups.markdown(report), key="backup", description="The backup set")


def verdict(found: Verdict) -> None:
    """What the recovery check found."""
    if _in_a_run():
        text = showing_checks.markdown(found)
        create_markdown_artifact(text, key="recovery-check", description="The recovery check")


def _in_a_run() -> bool:
    return FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _key(kind: str, node: str) -> str:
    # Artifact keys are made of small letters, digits and '-'.
    return f"{kind}-{re.sub(r'[^a-z0-9-]+', '-', node)}"
