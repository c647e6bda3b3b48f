"""Whether a node that is back stays back: steadily Ready, and not for the fourth time in an hour. Pure.

Ready alone proves nothing (a node is still Ready for 50 s after its power was cut, and at once after it is given), so
a steady stretch is one in which the node was *seen* Ready again and again, in one and the same boot, while its lease
was renewed. The kubelet renews it every 10 s, and it is valid for 40 s
(https://kubernetes.io/docs/reference/node/node-status/#heartbeats).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from cluster.plan import Finding

WINDOW = timedelta(hours=1)
MOST_RETURNS = 3
STEADY_SECONDS = 120.0
LEASE_SECONDS = 40.0


class Sighting(NamedTuple):
    """The node as it was seen once.

    Attributes:
        at: seconds on a clock that only goes forward (``time.monotonic``): a wall clock that is set could make two
            minutes of two seconds. So a new process begins anew, which only makes it wait longer.
        ready: whether the Node was Ready.
        boot_id: the boot that its kubelet reported.
        renewed: the lease's ``renewTime`` as it stood there; empty: the lease was not seen.
    """

    at: float
    ready: bool
    boot_id: str
    renewed: str


def is_flapping(returns: Iterable[datetime], now: datetime) -> bool:
    """Whether it came back more than three times within the last hour, this time included.

    Times in the future count: they are of another machine's clock, and leaving them out would hide a flapping node.
    """
    return sum(now - one < WINDOW for one in returns) > MOST_RETURNS


def judge(node: str, returns: Sequence[datetime], now: datetime) -> list[Finding]:
    """What speaks against giving the node work again; ``returns`` are the times at which it was seen back."""
    if not is_flapping(returns, now):
        return []
    recent = sorted(one for one in returns if now - one < WINDOW)
    return [
        Finding(
            code="flapping",
            message=f"{node} came back {len(recent)} times within an hour (since {recent[0]:%Y-%m-%d %H:%M} UTC): it "
            "stays out of service",
            remedy=f"Find out why it keeps failing. 'downtime decide {node} --accept-flapping {node}' lets it return "
            f"all the same; then 'downtime resume {node}'. Without that it may return when the hour is over; "
            f"'downtime abort {node}' takes off what was set.",
        )
    ]


def returns_in(transitions: Iterable[tuple[datetime, bool]]) -> list[datetime]:
    """When a node came back: the moments at which it was Ready and had not been at the sighting before.

    The first sighting is no return: what was before it is not known.
    """
    seen = sorted(transitions, key=lambda one: one[0])
    return [later[0] for earlier, later in pairwise(seen) if later[1] and not earlier[1]]


def steady_seconds(sightings: Sequence[Sighting], now: float, lease_seconds: float = LEASE_SECONDS) -> float:
    """For how long, up to now, the node was seen steadily Ready; 0 when it is not.

    A stretch ends where the node was not Ready, was booted, was not looked at for longer than the lease is valid, or
    did not renew its lease for so long. It begins with the first renewal that was *seen*: a lease that just stands
    there may be of a kubelet that is dead by now.

    Args:
        sightings: in the order of their times.
        now: on the same clock.
    """
    began: float | None = None
    before: Sighting | None = None
    renewed_at = 0.0
    for one in sightings:
        broken = before is None or one.boot_id != before.boot_id or one.at - before.at > lease_seconds
        if broken or not one.ready or not one.renewed:
            began = None
        elif before is not None and before.ready and one.renewed != before.renewed:
            began = one.at if began is None else began
            renewed_at = one.at
        if began is not None and one.at - renewed_at > lease_seconds:
            began = None
        before = one
    if began is None or now - renewed_at > lease_seconds:
        return 0.0
    return max(0.0, now - began)


def is_steady(sightings: Sequence[Sighting], now: float, seconds: float = STEADY_SECONDS) -> bool:
    """Whether it was steadily Ready for so long, up to now."""
    return steady_seconds(sightings, now) >= seconds
