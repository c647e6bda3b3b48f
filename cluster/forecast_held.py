"""A forecast held against what happened to the pods that were made in the place of those that moved. Pure.

What tells is not where the pods are by now, hours later and with the node back, but how long each waited for a place:
from its creation until the scheduler bound it (condition ``PodScheduled``), both by the clocks of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cluster import node as node_
from cluster import pods as pod_
from cluster.node import Object
from cluster.plan import Forecast, Held

# A scheduler that is busy, or has to preempt, takes a while to place what it has room for.
AT_ONCE = timedelta(seconds=60)
# The drain's beginning is known by another clock than the creation of pods.
_CLOCKS_DIFFER = timedelta(seconds=60)


def held(forecast: Forecast | None, pods: Iterable[Object], moved: int, now: datetime | None = None) -> Held:
    """What became of a forecast.

    Args:
        pods: all pods of the workload, wherever they are.
        moved: how many of its pods the drain took away.
    """
    if forecast is None or forecast.at is None or forecast.says == "unknown":
        return "open"
    # Older pods were elsewhere all the time.
    since = forecast.at - _CLOCKS_DIFFER
    now = now or datetime.now(UTC)
    made = [(pod, at) for pod in pods if (at := _created(pod)) is not None and at >= since]
    waits = [_waits(pod, at, now) for pod, at in made if not pod_.is_terminating(pod)]
    if any(waits):
        return "worse" if forecast.says == "fits-now" else "as-forecast"
    if len(waits) < moved or any(one is None for one in waits):
        return "open"
    return "as-forecast" if forecast.says == "fits-now" else "better"


def _waits(pod: Object, created: datetime, now: datetime) -> bool | None:
    """Whether it waits for a place, or waited longer than is usual; None: it is too early to tell."""
    conditions = pod_.objects(pod_.mapping(pod.get("status")).get("conditions"))
    scheduled = next((one for one in conditions if one.get("type") == "PodScheduled"), {})
    if pod_.mapping(pod.get("spec")).get("nodeName"):
        at = _time(scheduled.get("lastTransitionTime"))
        return at is not None and at - created > AT_ONCE
    turned_away = scheduled.get("status") == "False"
    return True if turned_away and now - created > AT_ONCE else None


def _created(pod: Object) -> datetime | None:
    return _time(pod_.mapping(pod.get("metadata")).get("creationTimestamp"))


def _time(text: object) -> datetime | None:
    try:
        found = node_.time_of(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
