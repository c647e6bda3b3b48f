"""Which flow's steps a downtime goes through that is resumed or backed out of."""

from cluster.downtime import Downtime
from cluster.report import Report
from flows import permanent_removal, planned_maintenance, rejoin, unplanned_recovery


def through(downtime: Downtime) -> Report:
    """All steps of its procedure; of one that is backed out of, those of the way back."""
    match downtime.record.procedure:
        case "remove":
            return permanent_removal.either_way(downtime)
        case "rejoin":
            return rejoin.through(downtime)
        case "unplanned":
            return unplanned_recovery.through(downtime)
        case _:
            return planned_maintenance.through(downtime)
