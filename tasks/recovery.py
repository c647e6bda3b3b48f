"""The recovery gate."""

from prefect import task

from cluster import recovery
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import ONCE


@task(name="recovery-gate", **ONCE)
def gate(downtime: Downtime) -> None:
    """Confirm that the disaster-recovery check stands in the record: it was judged before the downtime was opened."""
    perform(downtime, recovery.RECOVERY_GATE)
