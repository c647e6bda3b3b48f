"""What runs on the node."""

from prefect import task

from cluster import evicting, eviction, resuming
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import RETRIES


@task(name="evict", **RETRIES)
def evict(downtime: Downtime) -> None:
    """Evict workloads before the taint, as PodDisruptionBudgets allow, if that was chosen or is needed."""
    perform(downtime, evicting.EVICT)


@task(name="see-gone", **RETRIES)
def see_gone(downtime: Downtime) -> None:
    """Wait until no pod is left that the drain takes away."""
    perform(downtime, eviction.SEE_GONE)


@task(name="resume-workloads", **RETRIES)
def resume(downtime: Downtime) -> None:
    """Resume what this downtime has suspended, if it can suspend at all."""
    perform(downtime, resuming.RESUME_WORKLOADS)
