"""Taking a backup set of the control plane."""

from prefect import flow

from cluster.backup_report import BackupReport
from tasks import backups


@flow(name="recovery-backup", persist_result=False)
def recovery_backup(requested_by: str = "") -> BackupReport:
    """Take a backup set of the Run:ai control plane, read it back, and remove older ones that are not kept.

    Args:
        requested_by: Who wants this. Kept in the set.
    """
    return backups.take(requested_by)  # fails, and leaves earlier sets alone, unless the new one is good
