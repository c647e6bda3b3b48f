"""The end of an abort when there is no Node any more: what was set on it went with it. The machine is let be."""

from __future__ import annotations

from cluster import admission, resuming, stand_in, suspensions
from cluster.downtime import Downtime
from cluster.record import Record, change_is, in_phase, step_is


def close(downtime: Downtime) -> None:
    """Close the record. Workloads that were suspended do not need the node: they are resumed first.

    Raises:
        DowntimeError: the record cannot be written.
    """

    def closed(old: Record) -> Record:
        new = step_is(old, "close", "done", "the Node was deleted: there is nothing on it to undo")
        for what in [one.what for one in old.changes if one.what in ("cordon", "taint") and one.state != "undone"]:
            new = change_is(new, what, "", "undone")
        return in_phase(new, "closed")

    if suspensions.left(downtime.record):
        resuming.resume(downtime)
    stand_in.hand_over(downtime)
    admission.dismiss(downtime.api, downtime.node, downtime.record.id)
    downtime.write(closed)
