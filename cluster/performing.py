"""Going through a procedure without Prefect: the same steps, in the same order, by a plain loop."""

from __future__ import annotations

from cluster import procedures
from cluster.downtime import Downtime
from cluster.step import perform


def perform_all(downtime: Downtime) -> None:
    """Perform every step that is left.

    Raises:
        DowntimeError: as the steps do.
    """
    steps = procedures.table(downtime.record.procedure)
    # Asked anew each time: some steps find out which others there are. A closed record has none left, whatever was
    # done of it: its Node may have been deleted.
    while downtime.record.open and (left := procedures.left(downtime.record)):
        perform(downtime, steps[left[0]])
