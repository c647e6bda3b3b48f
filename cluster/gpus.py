"""Seeing the GPUs back: allocatable as they were recorded, and well, while the node is still cordoned.

The drain taint evicts the device plugin with everything else, so nothing is allocatable while it stands; and without
a cordon workloads would land before it is known that all GPUs are there. So: cordon kept, taint off, then this.
"""

from __future__ import annotations

import time

from cluster import accepted_gpus, gpu_checks, node, nodes, ownership, smoke_pod, verified_return
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.gpu_checks import Check
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


def _nothing_to_see(downtime: Downtime) -> Seen | None:
    recorded = expected(downtime.record)
    if not any(recorded.values()):
        return Seen("it had no GPUs, or is to have none")
    found = downtime.see_node()
    if node.drained_by_taint(found) and not ownership.owns(found, downtime.record.id, "taint"):
        return Seen("not verified: a drain taint that somebody else set keeps the device plugin away")
    return None


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
    seconds = downtime.settings.drain.gpu_minutes * 60
    end = time.monotonic() + seconds

    def judge(now: dict[str, Object]) -> Seen | None:
        found = next(iter(now.values()), None)
        if found is None:
            return None
        verified_return.keep_cordoned(downtime, found)
        return None if verified_return.labels_unfinished(downtime, found) else _proof(downtime.record, found)

    seen = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={downtime.node}")
    if seen is None:
        raise _not_there(downtime, seconds)
    checks = verified_return.of_daemons(downtime, end - time.monotonic())
    verified_return.keep_cordoned(downtime, downtime.see_node())
    checks += verified_return.of_host(downtime, expected(downtime.record))
    verified_return.keep_cordoned(downtime, downtime.see_node())
    if not gpu_checks.failed(checks):
        checks += smoke_pod.check(downtime, expected(downtime.record))
    verified_return.keep_cordoned(downtime, downtime.see_node())
    if gpu_checks.failed(checks):
        raise _in_doubt(downtime, gpu_checks.failed(checks))
    return Seen("; ".join([seen.proof, *(one.text for one in checks)]))


def _not_there(downtime: Downtime, seconds: float) -> Failed:
    found = downtime.see_node()
    lacking = missing(expected(downtime.record), node.gpus(found))
    unfinished = verified_return.labels_unfinished(downtime, found)
    mig = [Check("mig", "failed", unfinished)] if unfinished else []
    if mig and not lacking:
        return _in_doubt(downtime, mig)
    named = ", ".join(f"{now} of {count} {name}" for name, (now, count) in lacking.items())
    # What the machine itself says may tell which one it is.
    more = [*mig, *gpu_checks.failed(verified_return.of_host(downtime, expected(downtime.record)))]
    told = f". Moreover: {gpu_checks.said(more)}" if more else ""
    return Failed(
        "gpus-missing",
        f"{downtime.node} is up, but after {seconds / 60:.0f} minutes only {named} can be allocated. "
        f"{verified_return.out_of_service(downtime)}{told}",
        "Look at the device plugin's pod and at 'nvidia-smi' on the machine; "
        f"then 'downtime resume {downtime.node}' looks again. Were they removed on purpose: 'downtime resume "
        f"{downtime.node} --accept-gpus N' takes N for enough.",
    )


def _in_doubt(downtime: Downtime, found: list[Check]) -> Failed:
    counted = any(one.name == "gpu_count" for one in found)
    fewer = f" GPUs that were removed on purpose: 'downtime resume {downtime.node} --accept-gpus N'." if counted else ""
    return Failed(
        "gpu-checks-failed",
        f"{downtime.node} is up, and its GPUs can be allocated, but not all is well with them: "
        f"{gpu_checks.said(found)}. {verified_return.out_of_service(downtime)}",
        f"See to it on the machine; then 'downtime resume {downtime.node}' looks again. {gpu_checks.switches(found)}"
        f"{fewer}",
    )


SEE_GPUS = Step("see-gpus", _nothing_to_see, _see_all, during="returning")
