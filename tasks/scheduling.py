"""What keeps pods off the node: the cordon and the drain taint."""

from prefect import task

from cluster import scheduling
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import RETRIES


@task(name="cordon", **RETRIES)
def cordon(downtime: Downtime) -> None:
    """Let nothing new land on the node."""
    perform(downtime, scheduling.CORDON)


@task(name="taint", **RETRIES)
def taint(downtime: Downtime) -> None:
    """Set Run:ai's drain taint, which evicts what is there."""
    perform(downtime, scheduling.TAINT)


@task(name="untaint", **RETRIES)
def untaint(downtime: Downtime) -> None:
    """Take the drain taint off, if it is ours. The node is still cordoned: only the device plugin comes back."""
    perform(downtime, scheduling.UNTAINT)


@task(name="uncordon", **RETRIES)
def uncordon(downtime: Downtime) -> None:
    """Let workloads land again, if the cordon is ours."""
    perform(downtime, scheduling.UNCORDON)
