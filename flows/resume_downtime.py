"""Going on with a downtime."""

from prefect import flow

from cluster.report import Report
from flows.going_on import through
from tasks import downtimes


@flow(name="resume-downtime", flow_run_name="resume-downtime of {node}", persist_result=False)
def resume_downtime(node: str, requested_by: str = "", work_done: bool = False) -> Report:
    """Go on with the downtime of a node where its record is, with the options that were chosen at its start.

    Args:
        node: Name of the Kubernetes node.
        requested_by: Who wants this. Kept in the record.
        work_done: The work on the machine is done, and it may return to service. Else the run asks, if it waits for it.
    """
    with downtimes.go_on(node, requested_by, work_done=work_done) as downtime:
        return through(downtime)
