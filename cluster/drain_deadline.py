"""How long pods are waited for, by a drain or before it. Pure: the plan says the same as the steps do."""

from __future__ import annotations

from collections.abc import Iterable

from cluster import pods as pod_
from cluster import workloads_first
from cluster.config import DrainSettings
from cluster.node import Object
from cluster.options import Options

# The longest grace period, and time for the kubelet to stop containers and report it.
_MARGIN_SECONDS = 120.0
_LEAST_SECONDS = 600.0


def seconds(pods: Iterable[Object], options: Options, drain: DrainSettings, *, asked: bool = False) -> float:
    """Until when the pods must be gone: as chosen, else the longest grace period and toleration, and a margin.

    Args:
        asked: workloads are evicted, or suspended, by themselves, and not by the taint.
    """
    minutes = options.eviction_minutes or drain.eviction_minutes
    if minutes is not None:
        return float(minutes) * 60
    return max(_LEAST_SECONDS, longest(pods, asked=asked) + _MARGIN_SECONDS)


def longest(pods: Iterable[Object], *, asked: bool = False) -> float:
    """Seconds until the last of those that must go has to be gone; 0 when none must. ``asked`` as above."""
    return max(
        (pod_.grace_seconds(pod) + tolerated(pod, asked=asked) for pod in pods if pod_.must_go(pod)), default=0.0
    )


def tolerated(pod: Object, *, asked: bool = False) -> float:
    """Seconds for which the pod stays under the taint before it is deleted. One that is evicted is not left to it."""
    if asked and not workloads_first.leaves_to_taint(pod):
        return 0.0
    return pod_.toleration_seconds(pod) or 0.0
