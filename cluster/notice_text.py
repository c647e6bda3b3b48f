"""What the owners of interactive work are told, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cluster.plan import Workload
from cluster.record import Record
from cluster.showing import shown
from cluster.showing_time import moment

_WHAT = {
    "planned": "taken down for maintenance, and comes back afterwards",
    "remove": "removed from the cluster for good",
}
# A message on a phone; the rest is in 'downtime status'.
_MOST = 40


def subject(record: Record) -> str:
    """The notice in a line."""
    return f"{record.node} goes down: please save and stop your interactive work on it"


def body(record: Record, workloads: Sequence[Workload], at: datetime, until: datetime) -> str:
    """The notice: which node, why, when, whose work, what happens to it, and what its owner can do."""
    why = f" Reason: {shown(record.reason, 500)}." if record.reason else ""
    return "\n".join(
        [
            f"The node {record.node} is {_WHAT.get(record.procedure, 'taken down')} "
            f"(asked for by {shown(record.who)}).{why}",
            "",
            "This interactive work runs on it:",
            *_named(workloads),
            "",
            _when(at, until),
            "It does not move to another node by itself, and what lies only in its container or its memory is lost "
            "with it.",
            "",
            "What to do: save what you need to a volume or to your home (data source, PVC, git), then stop the "
            "workload in the Run:ai user interface or command line ('Stop'). It can be started again at once, and "
            "runs on another node where there is room. If it cannot be stopped in time, say so to whoever takes the "
            "node down.",
        ]
    )


def event(record: Record, until: datetime, at: datetime) -> str:
    """The notice in a sentence, for ``kubectl describe``."""
    return f"{record.node} goes down. {_when(at, until)} Save what you need, and stop this workload."


def _when(at: datetime, until: datetime) -> str:
    if until > at:
        return (
            f"It is left to you until {moment(until)}; it is not ended before, unless whoever takes the node down "
            "says so expressly. After that it is ended as soon as that person decides so."
        )
    return "It is ended as soon as whoever takes the node down decides so: that can be at any moment."


def _named(workloads: Sequence[Workload]) -> Iterable[str]:
    for one in workloads[:_MOST]:
        gpus = f", {one.gpus:g} GPUs" if one.gpus else ""
        project = f", project {shown(one.project)}" if one.project else ""
        yield f"- {one.namespace}/{one.name} of {shown(one.owner) or 'an unknown owner'} ({one.kind}{project}{gpus})"
    if len(workloads) > _MOST:
        yield f"- and {len(workloads) - _MOST} more"
