"""Suspending workloads by Run:ai itself, as a person decided: the seam to what asks its REST API."""

from __future__ import annotations

from datetime import UTC, datetime

from cluster import runai_api, suspending, suspensions
from cluster.downtime import Downtime
from cluster.errors import Blocked, Misused, Unreachable
from cluster.plan import Workload
from cluster.suspending import How


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


def unsettled_until(downtime: Downtime) -> datetime | None:
    """When it is known of the next suspension whether Run:ai carries it out; None: it is of all."""
    intended = [one for one in suspensions.left(downtime.record) if one.state == "intended"]
    ends = [suspending.settled_at(downtime, one) for one in intended]
    return min((one for one in ends if one > datetime.now(UTC)), default=max(ends, default=None))


def settle(downtime: Downtime) -> None:
    """See what became of those, so that nobody's own stop is taken for ours later. What cannot be seen is left so."""
    if unsettled_until(downtime) is None:
        return
    try:
        with runai_api.opened(downtime.api, downtime.settings) as rest:
            suspending.settle(downtime, rest)
    except Unreachable:
        raise
    except (Misused, Blocked) as error:
        downtime.say("suspend", f"It is not known yet whether a suspension is carried out: {error.message}")


def suspend(downtime: Downtime, one: Workload, who: str) -> How:
    """Suspend a workload, and see its pods gone, for who decided it.

    Returns:
        what came of it: only what is ``suspended`` is resumed later.

    Raises:
        DowntimeError: in the words of the API; the workload was not suspended, or did not stop in time.
    """
    return suspending.suspend(downtime, (one,), who)[0].how
