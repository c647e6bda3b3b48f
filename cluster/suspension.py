"""Suspending workloads by Run:ai itself, as a person decided: the seam to what asks its REST API."""

from __future__ import annotations

from cluster import suspending
from cluster.downtime import Downtime
from cluster.errors import Misused
from cluster.plan import Workload


def offered(downtime: Downtime) -> bool:
    """Whether a person can choose that workloads are suspended: what is suspended is resumed as well."""
    return suspending.possible(downtime)


def require(downtime: Downtime) -> None:
    """Refuse to suspend what cannot be.

    Raises:
        Misused: Run:ai's API is not configured, or was not when the downtime was opened.
    """
    if not offered(downtime):
        raise Misused(
            "no-runai-api",
            "Workloads are suspended by Run:ai's REST API alone, and this downtime has none. Nothing was written",
            "Decide --evict or --wait; or configure [runai] before the next downtime is opened.",
        )


def suspend(downtime: Downtime, one: Workload, who: str) -> None:
    """Suspend a workload, and see its pods gone, for who decided it.

    Raises:
        DowntimeError: in the words of the API; the workload was not suspended, or did not stop in time.
    """
    suspending.suspend(downtime, (one,), who)
