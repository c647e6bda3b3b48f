"""Unplanned recovery of one node."""

from typing import Literal

from prefect import flow

from cluster.downtime import Downtime
from cluster.options import UnplannedOptions
from cluster.report import Report
from flows.beginning import begin
from tasks import approval, designation, downtimes, gpus, outage, scheduling, service


@flow(name="unplanned-recovery", flow_run_name="unplanned-recovery of {node}", persist_result=False)
def unplanned_recovery(
    node: str,
    reason: str = "",
    said_down: bool = False,
    grace_seconds: int = 120,
    dead_kubelet: Literal["ask", "leave", "restart", "shut-down"] = "ask",
    resets: int = 0,
    power_on: Literal["controller", "person"] = "person",
    hold: bool = True,
    dry_run: bool = False,
    requested_by: str = "",
    override_storm: str = "",
    override_recovery_gate: str = "",
    adopt_taint: bool = False,
    accept_lost_tolerance: str = "",
    designate: str = "",
    keep_designation: bool = False,
) -> Report:
    """Recover a node that failed: let its workloads start elsewhere, and take it back when it is steadily up.

    A node that comes back by itself is only looked at. Running it again for a node in downtime goes on where that is.

    Args:
        node: Name of the Kubernetes node.
        reason: Why. Kept in the record, Events and the report.
        said_down: The node is down, or was, although it is called Ready.
        grace_seconds: How long since its last sign of life it may come back by itself.
        dead_kubelet: What to do when its machine answers over SSH. It is not off then, only its kubelet is dead.
            ask waits for a decision in the UI, once its workloads start elsewhere.
        resets: How many power resets may be tried in an hour before a person is asked.
        power_on: Who switches the machine on again. controller needs a configured power controller.
        hold: Wait, before the return, until a person says that it may return.
        dry_run: Only make the plan. Nothing is changed.
        requested_by: Who wants this. Kept in the record.
        override_storm: Why to go on although many nodes are down at once. Empty means that blocks.
        override_recovery_gate: Why a machine that still runs may be stopped or reset without a good recovery check.
        adopt_taint: Make a drain taint that was set by hand ours, so that it is removed at the end.
        accept_lost_tolerance: For a control-plane node, its name once more. No further member of etcd may fail then.
        designate: For the last Run:ai system node, the node that becomes one first. A dry run ranks those that could.
        keep_designation: Leave the label on that node afterwards. Otherwise it comes off when it is not needed.
    """
    options = UnplannedOptions(
        reason=reason,
        said_down=said_down,
        grace_seconds=grace_seconds,
        dead_kubelet=dead_kubelet,
        resets=resets,
        power_on=power_on,
        hold=hold,
        override_storm=override_storm,
        override_recovery_gate=override_recovery_gate,
        adopt_taint=adopt_taint,
        accept_lost_tolerance=accept_lost_tolerance,
        designate=designate,
        keep_designation=keep_designation,
    )
    return begin(node, options, through, dry_run=dry_run, requested_by=requested_by)


def through(downtime: Downtime) -> Report:
    """All steps, in order. Those that are done, or not in the plan, do nothing; nor do most once the node is back."""
    outage.judge_down(downtime)  # back within the grace: only its services are seen
    approval.of_stopping(downtime)  # of a control-plane node whose machine runs, if it is to be stopped; may suspend
    outage.see_machine(downtime)
    outage.see_services(downtime)
    designation.designate_for_failed(downtime)  # of the last system node
    scheduling.cordon(downtime)
    outage.taint(downtime)  # workloads migrate now
    approval.of_stopping(downtime)
    outage.reset(downtime)
    outage.prove_off(downtime)  # of a machine that answers: what to do with it. May suspend this run
    approval.of_release(downtime)  # once more: a person's word holds for minutes
    outage.release(downtime)  # with proof, taken again
    outage.clear(downtime)  # until then nothing is switched on
    outage.approve_return(downtime)  # hours or days pass here; may suspend
    outage.power_on(downtime)
    outage.see_back(downtime)
    outage.stable(downtime)
    scheduling.untaint(downtime)  # still cordoned: the device plugin may come back
    gpus.see_all(downtime)
    scheduling.uncordon(downtime)  # only if the cordon is ours
    designation.undesignate(downtime)
    service.see_as_before(downtime)
    return downtimes.close(downtime)
