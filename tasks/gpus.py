"""The GPUs of the node."""

from prefect import task

from cluster import gpus
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import RETRIES


@task(name="see-gpus", **RETRIES)
def see_all(downtime: Downtime) -> None:
    """See as many GPUs allocatable as were recorded."""
    perform(downtime, gpus.SEE_GPUS)
