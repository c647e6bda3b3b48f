"""Restoring a backup set in rehearsal."""

from prefect import flow

from cluster.rehearsing import RehearsalReport
from tasks import rehearsals


@flow(name="recovery-rehearsal", persist_result=False)
def recovery_rehearsal(backup_set: str = "", hours: float = 6.0, requested_by: str = "") -> RehearsalReport:
    """Restore a backup set into a scratch database, compare it, and note the result beside the set.

    The run fails if the set could not be restored whole. It needs the private key and PostgreSQL's programs.

    Args:
        backup_set: Id of the set; empty: the newest.
        hours: How long the restore of one database may take.
        requested_by: Who wants this. Kept in the note.
    """
    report = rehearsals.rehearse(backup_set, hours, requested_by)
    rehearsals.require_passed(report)
    return report
