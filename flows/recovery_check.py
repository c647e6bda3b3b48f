"""Judging the backup sets of the control plane."""

from prefect import flow

from cluster.verdict import Verdict
from tasks import recovery


@flow(name="recovery-check", persist_result=False)
def recovery_check(sizes_only: bool = False) -> Verdict:
    """Judge the backup sets in the store, as the gate does before a node goes down. The run fails if it would block.

    Args:
        sizes_only: Read no file back, as a plan does: quick, and finds no damage within files.
    """
    verdict = recovery.check(sizes_only)
    recovery.require_passed(verdict)
    return verdict
