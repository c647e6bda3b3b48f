"""Another node as a Run:ai system node for a while."""

from prefect import task

from cluster import designating, undesignating, unplanned_table
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import RETRIES


@task(name="designate", **RETRIES)
def designate(downtime: Downtime) -> None:
    """Make another node a system node, and see that it can take over."""
    perform(downtime, designating.DESIGNATE)


@task(name="designate", **RETRIES)
def designate_for_failed(downtime: Downtime) -> None:
    """The same for a node that failed, unless it is back."""
    perform(downtime, unplanned_table.DESIGNATE_FOR_FAILED)


@task(name="undesignate", **RETRIES)
def undesignate(downtime: Downtime) -> None:
    """Take the label off once the system pods run elsewhere again."""
    perform(downtime, undesignating.UNDESIGNATE)
