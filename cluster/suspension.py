"""Suspending workloads by Run:ai itself: the seam to its REST API. Without one, work is evicted or waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cluster.errors import Blocked, Misused
from cluster.plan import Workload

if TYPE_CHECKING:
    from cluster.downtime import Downtime


def offered(downtime: Downtime) -> bool:
    """Whether a person can choose that workloads are suspended."""
    return available(downtime)


def require(downtime: Downtime) -> None:
    """Refuse to suspend what cannot be.

    Raises:
        Misused: Run:ai's API is not configured.
    """
    if not offered(downtime):
        raise Misused(
            "no-runai-api",
            "Workloads can be suspended by Run:ai's REST API alone, and none is configured. Nothing was written",
            "Decide --evict or --wait; or configure the API.",
        )


def available(_: Downtime) -> bool:
    """Whether Run:ai's API is configured."""
    return False


def suspend(_: Downtime, __: Sequence[Workload], ___: str) -> None:
    """Suspend workloads of a downtime, for who decided it.

    Raises:
        DowntimeError: in the words of the API.
    """
    raise Blocked("no-runai-api", "No REST API of Run:ai is configured", "Evict the workload, or wait for its owner.")
