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
    steps = procedures.table()
    for name in downtime.steps:
        perform(downtime, steps[name])
