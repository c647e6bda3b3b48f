"""Taking backup sets."""

from prefect import task

from cluster import backup
from cluster.backup_report import BackupReport
from cluster.downtime import who
from cluster.gathering import gather
from tasks import downtimes, publishing, sessions
from tasks.retrying import RETRIES


@task(name="take-backup", **RETRIES)
def take(requested_by: str) -> BackupReport:
    """Take a backup set, see that it is good, and remove those that are not kept. A new try begins a new set."""
    api, settings = sessions.api(), sessions.settings()
    report = backup.take(api, settings, gather, by=requested_by or who(), say=downtimes.say)
    publishing.backup(report)
    return report
