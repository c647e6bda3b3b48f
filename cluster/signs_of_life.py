"""Whether a node that failed comes back by itself: Ready, and its lease renewed before our eyes.

Ready alone proves nothing: a node whose power was cut is still Ready for up to 50 s, and again as soon as it has power.
The grace is counted from the last renewal of the lease. That time is of the machine's clock; so a node that is still
called Ready must also be *seen* silent for half a lease before it is taken for dead.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cluster import flapping, nodes, outage
from cluster import node as node_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.machine import lease_seconds
from cluster.options import UnplannedOptions
from cluster.record import Course, Record, noted
from cluster.records import Records
from cluster.step import Seen, Step
from cluster.watching import until

# A kubelet renews four times in the life of its lease: https://kubernetes.io/docs/reference/node/node-status/#heartbeats
_RENEWAL = 0.25
# One renewal could have been on its way when the machine went down.
_RENEWALS = 2


def back(downtime: Downtime) -> Seen | None:
    """Proof that the node is back; None: it is not, or that could not be seen within one or two of its heartbeats."""
    found = downtime.see_node()
    gone = downtime.record.gone_boot
    if not node_.ready(found) or (gone and node_.boot_id(found) == gone):
        return None
    if not sees_renewals(downtime):
        return None
    return Seen(f"nothing to do: the node is back, Ready with boot {node_.boot_id(found)}")


def sees_renewals(downtime: Downtime, seconds: float = 0) -> bool:
    """Whether two renewals of the lease come in within ``seconds``; 0: as soon as those of a living kubelet would."""
    seconds = seconds or 2.5 * _RENEWAL * lease_seconds(downtime)
    times: list[str] = []

    def judge(now: dict[str, Object]) -> bool | None:
        renewed = _renewed(now)
        if renewed and renewed not in times:
            times.append(renewed)
        return True if len(times) > _RENEWALS else None

    fields = f"metadata.name={downtime.node}"
    return until(downtime.api, nodes.LEASES, judge, seconds, fields=fields, every=seconds + 1) is True


def unless_back(step: Step) -> Step:
    """The step, which has nothing to do when the node is back. What it did before is still seen as its own."""
    return Step(
        step.name,
        lambda downtime: step.observe(downtime) or back(downtime),
        step.verify,
        step.change,
        step.intends,
        step.during,
        step.after,
    )


def decide(downtime: Downtime, course: Course, why: str) -> None:
    """Write down which course the recovery takes."""

    def decided(old: Record) -> Record:
        return noted(old.model_copy(update={"course": course}), f"course {course}: {why}")

    downtime.write(decided)


def returned(downtime: Downtime, why: str) -> str:
    """Take note that the node came back by itself; what that means, in words.

    A node that comes back again and again is not left in service: it takes the course of one that is down.
    """
    earlier = outage.returns_of(Records(downtime.api).closed_of(downtime.node))
    now = datetime.now(UTC)
    if flapping.is_flapping([*earlier, now], now):
        text = f"{why}; but that is the {len(earlier) + 1}th time within an hour: it stays out"
        decide(downtime, "down", text)
        return text
    decide(downtime, "returned", why)
    return why


def _decided(downtime: Downtime) -> Seen | None:
    return Seen(f"decided before: {downtime.record.course}") if downtime.record.course else None


class _Watch:
    """What was seen of the node since the watching began; times in seconds of the monotonic clock."""

    def __init__(self, downtime: Downtime, grace: float) -> None:
        lease = downtime.api.get(f"{nodes.LEASES}/{downtime.node}")
        last = outage.renewal(lease)
        self.downtime = downtime
        self.grace = grace
        self.began = time.monotonic()
        self.first = _renewed({"": lease} if lease else {})
        self.age = (datetime.now(UTC) - last).total_seconds() if last is not None else float("inf")
        self.least = lease_seconds(downtime) / 2
        self.renewals: list[tuple[float, str]] = []

    def judge(self, now: dict[str, Object]) -> tuple[Course, str] | None:
        renewed, clock = _renewed(now), time.monotonic()
        known = self.renewals[-1][1] if self.renewals else self.first
        if renewed and renewed != known:
            self.renewals.append((clock, renewed))
        watched = clock - self.began
        if self.renewals:
            return self._of_living(clock, watched)
        silent = max(watched, self.age + watched)
        ready = node_.ready(self.downtime.see_node())
        if silent < self.grace or (ready and watched < self.least):
            return None
        return "down", f"no sign of life for {silent:.0f} s (grace {self.grace:.0f} s)"

    def _of_living(self, clock: float, watched: float) -> tuple[Course, str] | None:
        ready = node_.ready(self.downtime.see_node())
        if ready and len(self.renewals) >= _RENEWALS:
            return "returned", "it came back by itself: Ready, and its lease is being renewed"
        silent = clock - self.renewals[-1][0]
        if silent >= max(self.grace, self.least):
            return "down", f"it came up and fell silent again, {silent:.0f} s ago"
        if not ready and watched >= max(self.grace, self.least):
            return "down", f"its kubelet renews the lease, but the node is not Ready after {watched:.0f} s"
        return None


def _judge_down(downtime: Downtime) -> Seen:
    options = downtime.options
    grace = float(options.grace_seconds) if isinstance(options, UnplannedOptions) else 0.0
    watch = _Watch(downtime, grace)
    # Each of its judgements ends the waiting within twice the grace and the life of a lease.
    seconds = 2 * max(grace, watch.least) + 4 * watch.least
    fields = f"metadata.name={downtime.node}"
    judged = until(downtime.api, nodes.LEASES, watch.judge, seconds, fields=fields, every=1.0)
    course, why = judged or ("down", f"it was not steadily back after {seconds:.0f} s")
    if course == "returned":
        return Seen(returned(downtime, why))
    decide(downtime, course, why)
    return Seen(why)


def _renewed(now: dict[str, Object]) -> str:
    lease = next(iter(now.values()), None)
    return str((lease or {}).get("spec", {}).get("renewTime") or "")


JUDGE_DOWN = Step("judge-down", _decided, _judge_down)
