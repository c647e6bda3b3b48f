"""Planned maintenance of one node."""

from typing import Literal

from prefect import flow

from cluster.downtime import Downtime
from cluster.options import PlannedOptions
from cluster.report import Report
from flows.beginning import begin
from tasks import approval, designation, downtimes, gpus, machine, recovery, scheduling, service, workloads


@flow(name="planned-maintenance", flow_run_name="planned-maintenance of {node}", persist_result=False)
def planned_maintenance(
    node: str,
    reason: str = "",
    interactive: Literal["ask", "evict", "refuse"] = "ask",
    shut_down: bool = True,
    power_on: Literal["controller", "person"] = "person",
    hold: bool = True,
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
    keep_designation: bool = False,
    accept_outage: str = "",
) -> Report:
    """Take a node down in an orderly way, and bring it back.

    Running it again for a node in downtime goes on where that downtime is.

    Args:
        node: Name of the Kubernetes node.
        reason: Why. Kept in the record, Events and the report.
        interactive: What happens to interactive work on the node. ask waits for a decision in the UI.
        shut_down: Shut the machine down after the drain.
        power_on: Who switches the machine on again. controller needs a configured power controller.
        hold: Wait, before the return, until a person says that the work on the machine is done.
        eviction_minutes: Give up when pods are still there after so many minutes. 0 means by their grace periods.
        notice_minutes: How long interactive work is left to its owners after they were told. -1 means as configured.
        eviction: Evict workloads before the taint, as PodDisruptionBudgets allow. The taint itself asks none.
        dry_run: Only make the plan. Nothing is changed.
        requested_by: Who wants this. Kept in the record.
        allow_tolerating: Why pods that tolerate the drain may go down with the machine. Empty means they may not.
        override_pdb: Why PodDisruptionBudgets may be violated. Empty means they may not.
        override_recovery_gate: Why the node may go down without a good recovery check. Empty means it may not.
        adopt_taint: Make a drain taint that was set by hand ours, so that it is removed at the end.
        accept_lost_tolerance: For a control-plane node, its name once more. No further member of etcd may fail then.
        designate: For the last Run:ai system node, the node that becomes one first. A dry run ranks those that could.
        keep_designation: Leave the label on that node afterwards. Otherwise it comes off when it is not needed.
        accept_outage: The node's name, typed. System pods on a volume of it may then be down as long as it is.
    """
    options = PlannedOptions(
        reason=reason,
        interactive=interactive,
        shut_down=shut_down,
        power_on=power_on,
        hold=hold,
        eviction_minutes=eviction_minutes or None,
        notice_minutes=notice_minutes if notice_minutes >= 0 else None,
        eviction=eviction,
        allow_tolerating=allow_tolerating,
        override_pdb=override_pdb,
        override_recovery_gate=override_recovery_gate,
        adopt_taint=adopt_taint,
        accept_lost_tolerance=accept_lost_tolerance,
        designate=designate,
        keep_designation=keep_designation,
        accept_outage=accept_outage,
    )
    return begin(node, options, through, dry_run=dry_run, requested_by=requested_by)


def through(downtime: Downtime) -> Report:
    """All steps, in order. Those that are done, or not in the plan, do nothing."""
    recovery.gate(downtime)
    designation.designate(downtime)  # of the last system node: another one first
    scheduling.cordon(downtime)  # nothing new lands while a person thinks
    approval.of_workloads(downtime)  # may suspend this run
    approval.of_lost_tolerance(downtime)  # of a control-plane node, as etcd is by now; may suspend
    workloads.evict(downtime)  # where it was chosen, or where unmounts need it
    approval.of_lost_tolerance(downtime)  # that may have taken its time
    scheduling.taint(downtime)
    workloads.see_gone(downtime)
    approval.of_lost_tolerance(downtime)
    machine.shut_down(downtime)
    machine.see_off(downtime)
    approval.of_return(downtime)  # hours or days pass here; may suspend
    machine.power_on(downtime)
    machine.see_back(downtime)
    scheduling.untaint(downtime)  # still cordoned: the device plugin may come back
    gpus.see_all(downtime)
    scheduling.uncordon(downtime)  # only if the cordon is ours
    workloads.resume(downtime)  # what this downtime suspended
    designation.undesignate(downtime)  # system pods move back first
    service.see_as_before(downtime)
    return downtimes.close(downtime)
