"""The Run:ai service itself."""

from prefect import task

from cluster import service_check
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import RETRIES


@task(name="see-service", **RETRIES)
def see_as_before(downtime: Downtime) -> None:
    """See the Run:ai service no worse than before."""
    perform(downtime, service_check.SEE_SERVICE)
