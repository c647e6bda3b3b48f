"""Joining a machine to the cluster, and giving the node back what it was."""

from prefect import task

from cluster import joining_control_plane, rejoining, restoring
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import ONCE, RETRIES


@task(name="prove-machine", **RETRIES)
def prove_machine(downtime: Downtime) -> None:
    """Prove that the machine is the one that is meant, and a member of nothing else."""
    perform(downtime, rejoining.PROVE_MACHINE)


@task(name="clear-machine", **ONCE)
def clear_machine(downtime: Downtime) -> None:
    """Take off what an earlier join left on it, and its Node."""
    perform(downtime, rejoining.CLEAR_MACHINE)


@task(name="join", **ONCE)
def join(downtime: Downtime) -> None:
    """Make a token, join with it, and delete it. Not tried again by itself: a person looks first."""
    perform(downtime, rejoining.JOIN)


@task(name="delete-token", **RETRIES)
def delete_token(downtime: Downtime) -> None:
    """See the token gone."""
    perform(downtime, rejoining.DELETE_TOKEN)


@task(name="see-joined", **RETRIES)
def see_joined(downtime: Downtime) -> None:
    """See the node Ready, on this very machine, and its lease renewed."""
    perform(downtime, rejoining.SEE_JOINED)


@task(name="see-member", **RETRIES)
def see_member(downtime: Downtime) -> None:
    """See that the member of etcd of a control-plane node has a vote and is healthy."""
    perform(downtime, joining_control_plane.SEE_MEMBER)


@task(name="untaint-joining", **RETRIES)
def untaint(downtime: Downtime) -> None:
    """Take off the taint that it joined with, while it is cordoned."""
    perform(downtime, restoring.UNTAINT_JOINING)


@task(name="restore", **RETRIES)
def restore(downtime: Downtime) -> None:
    """Set its labels, annotations and taints, while it is cordoned."""
    perform(downtime, restoring.RESTORE)
