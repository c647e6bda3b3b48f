"""What is known of a node that is to join again: from its Node, if it is still there, else from its records.

A removal keeps what a rejoin needs (:attr:`Record.kept`). A node that somebody deleted by hand may still have the
record of an earlier downtime, which tells how it was found then: older, but better than nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from cluster import node as node_
from cluster.etcd_members import Member
from cluster.node import Object
from cluster.record import Found, Record
from cluster.restoration import Kept, to_keep

_LONGEST_ANNOTATION = 4096


class Former(BaseModel):
    """The node that the machine was."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    found: Found
    kept: Kept | None = Field(default=None, description="What it gets back; None: nothing is known of it.")
    at: datetime | None = Field(default=None, description="When that was so; None: it is so now, or nothing is known.")
    source: str = Field(default="", description="Where it is known from, for people; empty: nowhere.")
    member: Member | None = Field(default=None, description="The member of etcd that was its; it may be removed.")

    @property
    def known(self) -> bool:
        """Whether it was a node of this cluster before, as far as anything tells."""
        return self.kept is not None

    @property
    def machine_id(self) -> str:
        """The machine id that is recorded; empty: none is."""
        return self.found.machine_id


def of(node: Object | None, records: Iterable[Record]) -> Former:
    """What is known of the node.

    Args:
        node: the Node, if it is still there.
        records: its closed records, newest first.
    """
    closed = list(records)
    # A kubelet that was left alive may have made a Node anew, without its labels: what the removal kept is better.
    removed = bool(closed) and closed[0].procedure == "remove" and closed[0].kept is not None and not closed[0].aborted
    if node is not None and not removed:
        return _former(found_of(node), None, None, "its Node")
    for one in closed:
        if one.kept is not None:
            known = _former(one.found, one.kept, one.updated, f"the record of its {one.procedure}")
            return known.model_copy(update={"member": one.member})
        if one.found.machine_id:
            return _former(one.found, None, one.opened, f"the record of an earlier downtime ({one.procedure})")
    return Former(found=Found())


def _former(found: Found, kept: Kept | None, at: datetime | None, source: str) -> Former:
    of_found = kept if kept is not None else to_keep(found.labels, found.annotations, found.taints)
    return Former(found=found, kept=of_found, at=at, source=source)


def found_of(node: Object) -> Found:
    """A Node as a record keeps it, without the health of the service."""
    annotations = dict(node["metadata"].get("annotations") or {})
    return Found(
        labels=node["metadata"].get("labels") or {},
        annotations={key: value for key, value in annotations.items() if len(value) <= _LONGEST_ANNOTATION},
        taints=tuple(node_.taints(node)),
        unschedulable=node_.unschedulable(node),
        boot_id=node_.boot_id(node),
        machine_id=node_.machine_id(node),
        gpus=node_.gpus(node),
    )
