"""Backing out of a downtime."""

from prefect import flow

from cluster.report import Report
from flows.going_on import through
from tasks import downtimes


@flow(name="abort-downtime", flow_run_name="abort-downtime of {node}", persist_result=False)
def abort_downtime(node: str, requested_by: str = "") -> Report:
    """Back out of the downtime of a node.

    Before the machine was shut down, what this product changed is undone. Afterwards the machine is brought back into
    service: backing out says that no work on it is waited for. Nothing is powered off.

    Args:
        node: Name of the Kubernetes node.
        requested_by: Who wants this. Kept in the record.
    """
    with downtimes.go_on(node, requested_by, abort=True) as downtime:
        return through(downtime)
