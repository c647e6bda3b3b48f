"""The recovery gate, and the check that it is."""

from prefect import task

from cluster import downtime as downtimes
from cluster import recovery
from cluster.downtime import Downtime
from cluster.step import perform
from cluster.verdict import Verdict
from tasks import publishing, sessions
from tasks.retrying import ONCE, RETRIES


@task(name="recovery-gate", **ONCE)
def gate(downtime: Downtime) -> None:
    """Confirm that the disaster-recovery check stands in the record: it was judged before the downtime was opened."""
    perform(downtime, recovery.RECOVERY_GATE)


@task(name="check-recovery", **RETRIES)
def check(sizes_only: bool) -> Verdict:
    """Judge the backup sets in the store, and publish the verdict. Changes nothing."""
    api, settings = sessions.api(), sessions.settings()
    downtimes.require_cluster(api, settings)
    verdict = recovery.judge(api, settings, "sizes" if sizes_only else "checksums")
    publishing.verdict(verdict)
    return verdict


def require_passed(verdict: Verdict) -> None:
    """End the run as failed if no node could be taken down now: schedules and automations see that.

    Raises:
        Blocked: with the first reason.
    """
    refusal = recovery.refusal(verdict)
    if refusal is not None:
        raise refusal
