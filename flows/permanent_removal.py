"""Permanent removal of one node."""

from typing import Literal

from prefect import flow

from cluster.downtime import Downtime
from cluster.options import RemoveOptions
from cluster.report import Report
from flows.beginning import begin
from tasks import (
    approval,
    designation,
    downtimes,
    gpus,
    machine,
    outage,
    recovery,
    removal,
    scheduling,
    service,
    workloads,
)


@flow(name="permanent-removal", flow_run_name="permanent-removal of {node}", persist_result=False)
def permanent_removal(
    node: str,
    confirm_node: str = "",
    reason: str = "",
    interactive: Literal["ask", "evict", "refuse"] = "ask",
    eviction_minutes: int = 0,
    notice_minutes: int = -1,
    eviction: bool = False,
    dry_run: bool = False,
    requested_by: str = "",
    allow_tolerating: str = "",
    override_pdb: str = "",
    override_recovery_gate: str = "",
    adopt_taint: bool = False,
    accept_lost_tolerance: str = "",
    designate: str = "",
    accept_outage: str = "",
) -> Report:
    """Take a node out of the cluster for good. It comes back only by a rejoin.

    Running it again for a node that is being removed goes on where that is. A node in planned maintenance or unplanned
    recovery can be removed as well.

    Args:
        node: Name of the Kubernetes node.
        confirm_node: The same name, typed once more. Nothing is changed without it.
        reason: Why. Kept in the record, Events and the report.
        interactive: What happens to interactive work on the node. ask waits for a decision in the UI.
        eviction_minutes: Give up when pods are still there after so many minutes. 0 means by their grace periods.
        notice_minutes: How long interactive work is left to its owners after they were told. -1 means as configured.
        eviction: Evict workloads before the taint, as PodDisruptionBudgets allow. The taint itself asks none.
        dry_run: Only make the plan. Nothing is changed.
        requested_by: Who wants this. Kept in the record.
        allow_tolerating: Why pods that tolerate the drain may end with the reset. Empty means they may not.
        override_pdb: Why PodDisruptionBudgets may be violated. Empty means they may not.
        override_recovery_gate: Why the node may go without a good recovery check. Empty means it may not.
        adopt_taint: Make a drain taint that was set by hand ours, so that backing out removes it.
        accept_lost_tolerance: Name of the control-plane node, typed, if etcd may lose its last spare member with it.
        designate: For the last Run:ai system node, the node that becomes one first, and stays one.
        accept_outage: The node's name, typed. System pods on a volume of it may then be lost with it.
    """
    options = RemoveOptions(
        reason=reason,
        confirmed=confirm_node,
        interactive=interactive,
        eviction_minutes=eviction_minutes or None,
        notice_minutes=notice_minutes if notice_minutes >= 0 else None,
        eviction=eviction,
        allow_tolerating=allow_tolerating,
        override_pdb=override_pdb,
        override_recovery_gate=override_recovery_gate,
        adopt_taint=adopt_taint,
        accept_lost_tolerance=accept_lost_tolerance,
        designate=designate,
        accept_outage=accept_outage,
    )
    return begin(node, options, either_way, dry_run=dry_run, requested_by=requested_by)


def either_way(downtime: Downtime) -> Report:
    """The steps of the removal; of one that is backed out of, those of the way back."""
    return back(downtime) if downtime.record.aborted else through(downtime)


def through(downtime: Downtime) -> Report:
    """All steps, in order. Those that are done do nothing."""
    recovery.gate(downtime)
    designation.designate(downtime)  # of the last system node: another one first
    scheduling.cordon(downtime)  # nothing new lands while a person thinks
    approval.of_workloads(downtime)  # may suspend this run
    approval.of_lost_tolerance(downtime)  # of a control-plane node, as etcd is by now; may suspend
    workloads.evict(downtime)  # where it was chosen, or where unmounts need it
    approval.of_lost_tolerance(downtime)  # that may have taken its time
    scheduling.taint(downtime)
    approval.of_power_off(downtime)  # of a dead node alone: is its machine off? May suspend this run
    workloads.see_gone(downtime)
    workloads.resume(downtime)  # elsewhere: what this downtime suspended
    removal.save(downtime)  # what a rejoin needs
    approval.of_power_off(downtime)  # once more: a person's word holds for minutes
    approval.of_lost_tolerance(downtime)
    removal.reset_host(downtime)
    approval.of_power_off(downtime)
    removal.remove_member(downtime)  # of etcd, of a control-plane node
    approval.of_power_off(downtime)
    removal.delete_node(downtime)
    removal.see_away(downtime)
    return downtimes.close(downtime)


def back(downtime: Downtime) -> Report:
    """Backing out, as long as the machine was not reset. What the removal took over may have shut it down."""
    outage.clear(downtime)  # of an unplanned recovery
    machine.see_off(downtime)
    approval.of_return(downtime)
    machine.see_back(downtime)
    scheduling.untaint(downtime)
    gpus.see_all(downtime)
    scheduling.uncordon(downtime)
    workloads.resume(downtime)
    designation.undesignate(downtime)
    service.see_as_before(downtime)
    return downtimes.close(downtime)
