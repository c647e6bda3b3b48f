"""Restoring backup sets in rehearsal."""

from prefect import task

from cluster import rehearsing
from cluster.rehearsing import Asked, RehearsalReport
from tasks import downtimes, publishing, sessions
from tasks.retrying import RETRIES


@task(name="rehearse-recovery", **RETRIES)
def rehearse(backup_set: str, hours: float, requested_by: str) -> RehearsalReport:
    """Restore a set into a scratch database, note the result, and publish it. Set and cluster stay as they are."""
    asked = Asked(set=backup_set, hours=hours, by=requested_by)
    report = rehearsing.run(
        sessions.settings(), asked, lambda line: downtimes.say("rehearsal", f"{line.level} {line.check}: {line.reason}")
    )
    publishing.rehearsal(report)
    return report


def require_passed(report: RehearsalReport) -> None:
    """End the run as failed if the set could not be restored whole: schedules and automations see that.

    Raises:
        Blocked: with the first reason.
    """
    refusal = rehearsing.refusal(report)
    if refusal is not None:
        raise refusal
