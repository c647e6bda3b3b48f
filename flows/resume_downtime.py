"""Going on with a downtime."""

from prefect import flow

from cluster.report import Report
from flows.going_on import through
from tasks import downtimes


@flow(name="resume-downtime", flow_run_name="resume-downtime of {node}", persist_result=False)
def resume_downtime(node: str, requested_by: str = "") -> Report:
    """Go on with the downtime of a node where its record is, with the options that were chosen at its start.

    If the downtime waits for the work on the machine, resuming it says that the work is done.

    Args:
        node: Name of the Kubernetes node.
        requested_by: Who wants this. Kept in the record.
    """
    with downtimes.go_on(node, requested_by) as downtime:
        return through(downtime)
