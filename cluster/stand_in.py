"""The Node that stands in as a Run:ai system node: how a downtime writes on it, and how it is handed over at the end.

It is not the downtime's own Node, so another annotation than there carries the epoch of the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster import designation_mark, nodes
from cluster import record as records_of
from cluster.api import Object
from cluster.record import DESIGNATED, STAYS_DESIGNATED, Record

if TYPE_CHECKING:
    from cluster.downtime import Downtime


def change(downtime: Downtime, name: str, how: Callable[[Object], Object]) -> Object:
    """Change the Node that stands in, fenced by the epoch of the lock.

    Raises:
        LockLost: somebody else goes on with this downtime.
        Blocked: the Node is gone.
    """
    record = downtime.record.id
    return nodes.update(downtime.api, name, downtime.lock, how, lambda found: designation_mark.epoch_for(record, found))


def fence(downtime: Downtime) -> None:
    """Write the epoch of a new holder there, so that an update that an overtaken one has in its hands fails."""
    name, record, epoch = downtime.record.designated, downtime.record.id, downtime.lock.epoch
    if name and nodes.find(downtime.api, name) is not None:
        change(downtime, name, lambda old: designation_mark.marked(old, record, downtime.node, epoch))


def hand_over(downtime: Downtime) -> None:
    """At the end of a downtime: a label of it that still stands is nobody's from now on, and stays."""
    name, record = downtime.record.designated, downtime.record.id
    if not name:
        return
    found = nodes.find(downtime.api, name)
    stays = found is not None and designation_mark.owns(found, record)
    if found is not None:
        found = change(downtime, name, lambda old: designation_mark.unmarked(old, record))
    downtime.write(lambda old: _handed_over(old, name, stays=stays))


def _handed_over(old: Record, name: str, *, stays: bool) -> Record:
    new = records_of.change_is(old, DESIGNATED, name, "undone")
    known = any(one.what == STAYS_DESIGNATED for one in old.changes)
    if not stays or known:
        return new
    new = records_of.change_is(new, STAYS_DESIGNATED, name, "made")
    return records_of.noted(new, f"{name} stays a Run:ai system node")
