"""The machine behind the node."""

from prefect import task

from cluster import machine
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import ONCE, RETRIES


@task(name="shut-down", **ONCE)
def shut_down(downtime: Downtime) -> None:
    """Shut the machine down, after proving that it is the node's. Not tried again by itself: a person looks first."""
    perform(downtime, machine.SHUT_DOWN)


@task(name="see-off", **RETRIES)
def see_off(downtime: Downtime) -> None:
    """See the machine off."""
    perform(downtime, machine.SEE_OFF)


@task(name="power-on", **ONCE)
def power_on(downtime: Downtime) -> None:
    """Switch the machine on."""
    perform(downtime, machine.POWER_ON)


@task(name="see-back", **RETRIES)
def see_back(downtime: Downtime) -> None:
    """See the node back: Ready, with another boot id, and its lease renewed."""
    perform(downtime, machine.SEE_BACK)
