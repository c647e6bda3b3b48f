"""Rejoin of one node."""

from typing import Literal

from prefect import flow

from cluster.downtime import Downtime
from cluster.options import RejoinOptions
from cluster.report import Report
from flows.beginning import begin
from tasks import downtimes, gpus, joining, scheduling


@flow(name="rejoin", flow_run_name="rejoin of {node}", persist_result=False)
def rejoin(
    node: str,
    host: str = "",
    role: Literal["", "gpu-worker", "cpu-worker", "system", "control-plane"] = "",
    confirm_node: str = "",
    reason: str = "",
    dry_run: bool = False,
    requested_by: str = "",
) -> Report:
    """Bring a machine that left the cluster back into it, as the node that it was.

    Running it again for a node that is being rejoined goes on where that is.

    Args:
        node: Name that the Kubernetes node is to have.
        host: Address of the machine. Empty means as configured.
        role: Role of a machine that is not recorded, or another one than it had. Empty means the one that it had.
        confirm_node: The same name, typed once more. Needed only where no record proves the machine.
        reason: Why. Kept in the record, Events and the report.
        dry_run: Only make the plan. Nothing is changed.
        requested_by: Who wants this. Kept in the record.
    """
    options = RejoinOptions(reason=reason, host=host, role=role, confirmed=confirm_node)
    return begin(node, options, through, dry_run=dry_run, requested_by=requested_by)


def through(downtime: Downtime) -> Report:
    """All steps, in order. Those that are done do nothing."""
    joining.prove_machine(downtime)
    joining.clear_machine(downtime)  # what an earlier join left
    joining.join(downtime)  # the token lives as long as this
    joining.delete_token(downtime)  # also of a process that died
    joining.see_joined(downtime)
    joining.see_member(downtime)  # of a control-plane node: its member of etcd has a vote
    scheduling.cordon(downtime)  # before the taint that it joined with comes off
    joining.untaint(downtime)
    joining.restore(downtime)  # labels, annotations, taints
    gpus.see_all(downtime)
    scheduling.uncordon(downtime)
    return downtimes.close(downtime)
