"""Taking the node out of the cluster."""

from prefect import task

from cluster import etcd_removal, removal
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import ONCE, RETRIES


@task(name="save", **RETRIES)
def save(downtime: Downtime) -> None:
    """Keep in the record what a rejoin needs."""
    perform(downtime, removal.SAVE)


@task(name="reset-host", **ONCE)
def reset_host(downtime: Downtime) -> None:
    """Reset the machine, after proving that it is the node's; or see proof that it is off."""
    perform(downtime, removal.RESET_HOST)


@task(name="remove-member", **ONCE)
def remove_member(downtime: Downtime) -> None:
    """See the member of etcd of a control-plane node gone; remove it, where the reset could not."""
    perform(downtime, etcd_removal.REMOVE_MEMBER)


@task(name="delete-node", **RETRIES)
def delete_node(downtime: Downtime) -> None:
    """Delete the Node."""
    perform(downtime, removal.DELETE_NODE)


@task(name="see-away", **ONCE)
def see_away(downtime: Downtime) -> None:
    """See it stay away."""
    perform(downtime, removal.SEE_AWAY)
