"""Seeing the GPUs back: allocatable as they were recorded, while the node is still cordoned.

The drain taint evicts the device plugin with everything else, so nothing is allocatable while it stands; and without
a cordon workloads would land before it is known that all GPUs are there. So: cordon kept, taint off, then this.
"""

from __future__ import annotations

from cluster import accepted_gpus, node, nodes, ownership
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.record import Record
from cluster.step import Seen, Step
from cluster.watching import until


def expected(record: Record) -> dict[str, int]:
    """The GPUs that must be there: as they were found, or as many as a person said are enough.

    Of a new machine that joins as a GPU worker: one at least.
    """
    new = record.procedure == "rejoin" and record.kept is None
    if new and record.options.get("role") == "gpu-worker":
        return {"nvidia.com/gpu": 1}
    return accepted_gpus.expected(record)


def missing(recorded: dict[str, int], now: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Which GPU resources are fewer than recorded: name to (now, recorded)."""
    return {name: (now.get(name, 0), count) for name, count in recorded.items() if now.get(name, 0) < count}


def _all_there(downtime: Downtime) -> Seen | None:
    recorded = expected(downtime.record)
    if not any(recorded.values()):
        return Seen("it had no GPUs, or is to have none")
    found = downtime.see_node()
    if node.drained_by_taint(found) and not ownership.owns(found, downtime.record.id, "taint"):
        return Seen("not verified: a drain taint that somebody else set keeps the device plugin away")
    return _proof(downtime.record, found)


def _proof(record: Record, found: Object) -> Seen | None:
    wanted, now = expected(record), node.gpus(found)
    if missing(wanted, now):
        return None
    fewer = missing(record.found.gpus, now)
    if not fewer:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(wanted.items()))
        return Seen(f"allocatable as recorded: {counts}")
    named = ", ".join(f"{has} of {had} {name}" for name, (has, had) in fewer.items())
    return Seen(f"allocatable: {named}, which is enough, as {accepted_gpus.said_by(record)} said")


def _see_all(downtime: Downtime) -> Seen:
    recorded = expected(downtime.record)
    seconds = downtime.settings.drain.gpu_minutes * 60

    def judge(now: dict[str, Object]) -> Seen | None:
        found = next(iter(now.values()), None)
        return None if found is None else _proof(downtime.record, found)

    seen = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={downtime.node}")
    if seen is not None:
        return seen
    lacking = missing(recorded, node.gpus(downtime.see_node()))
    named = ", ".join(f"{now} of {count} {name}" for name, (now, count) in lacking.items())
    raise Failed(
        "gpus-missing",
        f"{downtime.node} is up, but after {seconds / 60:.0f} minutes only {named} can be allocated. It stays cordoned",
        "Look at the device plugin's pod and at 'nvidia-smi' on the machine; "
        f"then 'downtime resume {downtime.node}' looks again. Were they removed on purpose: 'downtime resume "
        f"{downtime.node} --accept-gpus N' takes N for enough.",
    )


SEE_GPUS = Step("see-gpus", _all_there, _see_all, during="returning")
