"""A node that failed: whether it is down, what is held for it, and whether it is steadily back."""

from prefect import task

from cluster import (
    coming_back,
    dead_kubelet,
    node_services,
    out_of_service,
    power_reset,
    signs_of_life,
    unplanned_table,
)
from cluster.downtime import Downtime
from cluster.step import perform
from tasks.retrying import ONCE, RETRIES


@task(name="judge-down", **RETRIES)
def judge_down(downtime: Downtime) -> None:
    """Give it the grace since its last sign of life."""
    perform(downtime, signs_of_life.JUDGE_DOWN)


@task(name="see-machine", **ONCE)
def see_machine(downtime: Downtime) -> None:
    """See whether its machine answers, and do with that what was chosen."""
    perform(downtime, dead_kubelet.SEE_MACHINE)


@task(name="see-services", **RETRIES)
def see_services(downtime: Downtime) -> None:
    """See its services back as they were, if it came back by itself."""
    perform(downtime, node_services.SEE_SERVICES)


@task(name="taint", **RETRIES)
def taint(downtime: Downtime) -> None:
    """Set Run:ai's drain taint, unless it is back: its workloads start elsewhere now."""
    perform(downtime, unplanned_table.TAINT_OF_FAILED)


@task(name="reset", **ONCE)
def reset(downtime: Downtime) -> None:
    """Reset its power, as often as was chosen."""
    perform(downtime, power_reset.RESET)


def prove_off(downtime: Downtime) -> None:
    """See proof that its machine is off, if something is stuck on it. No task: it may suspend the run."""
    perform(downtime, out_of_service.PROVE_OFF)


@task(name="out-of-service", **ONCE)
def release(downtime: Downtime) -> None:
    """Take proof again, and release what is stuck."""
    perform(downtime, out_of_service.OUT_OF_SERVICE)


@task(name="clear-out-of-service", **RETRIES)
def clear(downtime: Downtime) -> None:
    """See the out-of-service taint off, before anything is switched on."""
    perform(downtime, out_of_service.CLEAR_OUT_OF_SERVICE)


def approve_return(downtime: Downtime) -> None:
    """Wait until a person says that it may return. No task: it may suspend the run."""
    perform(downtime, coming_back.APPROVE_RETURN_OF_FAILED)


@task(name="power-on", **ONCE)
def power_on(downtime: Downtime) -> None:
    """Switch the machine on, unless it is back."""
    perform(downtime, out_of_service.POWER_ON_IN_SERVICE)


@task(name="see-back", **RETRIES)
def see_back(downtime: Downtime) -> None:
    """See the node back; with another boot, if it was off."""
    perform(downtime, coming_back.SEE_BACK_OF_FAILED)


@task(name="stable", **RETRIES)
def stable(downtime: Downtime) -> None:
    """See it steadily Ready, and not for the fourth time in an hour."""
    perform(downtime, coming_back.STABLE)
