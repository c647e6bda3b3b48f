"""Moving system pods off a node whose designation ends: evicted one by one, each seen where it is needed again.

By the API for evictions, which honours PodDisruptionBudgets. A pod that nothing would start again is left where it is.
"""

from __future__ import annotations

import time
from urllib.parse import quote

from cluster import evict_request, probing, service_elsewhere
from cluster import pods as pod_
from cluster.api import Object
from cluster.api_errors import Busy, Conflict, NotFound
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.watching import until

_MARGIN_SECONDS = 60.0


def allowed(downtime: Downtime) -> bool:
    """Whether these credentials may evict pods."""
    return downtime.api.allowed("create", "pods/eviction")


def move(downtime: Downtime, pod: Object, what_for: str, *, alive: bool) -> None:
    """Evict a pod, and see it gone and the service no worse than before.

    Args:
        alive: the node that it runs on is Ready. Of one that is not, nothing is waited for: nobody there ends it.
        what_for: the step's name, for progress.

    Raises:
        Failed: it was not evicted, or what came in its place does not run; why is said.
    """
    downtime.say(what_for, f"moving {pod_.full_name(pod)}")
    end = time.monotonic() + downtime.settings.drain.takeover_minutes * 60
    refused: list[str] = []

    def evicted() -> bool | None:
        downtime.lock.check()
        try:
            evict_request.ask(downtime.api, pod)
        except (NotFound, Conflict):
            return True  # gone, or another one of its name
        except Busy as error:
            refused[:] = [error.message]
            return None
        return True

    if probing.probe(evicted, end - time.monotonic(), first=0.5) is None:
        raise _stuck(downtime, pod, refused[0] if refused else "it was not evicted in time")
    if not alive:
        return
    if not _gone(downtime, pod, max(end - time.monotonic(), pod_.grace_seconds(pod) + _MARGIN_SECONDS)):
        raise _stuck(downtime, pod, "it was evicted, and does not go")
    short = service_elsewhere.wait(downtime, max(_MARGIN_SECONDS, end - time.monotonic()))
    if short:
        raise _stuck(downtime, pod, f"after it was evicted, the Run:ai service is worse than before: {short}")


def _gone(downtime: Downtime, pod: Object, seconds: float) -> bool:
    path = f"/api/v1/namespaces/{quote(pod_.namespace(pod), safe='')}/pods"

    def judge(now: dict[str, Object]) -> bool | None:
        return None if pod_.uid(pod) in now else True

    return until(downtime.api, path, judge, seconds, fields=f"metadata.name={pod_.name(pod)}") is True


def _stuck(downtime: Downtime, pod: Object, why: str) -> Failed:
    return Failed(
        "cannot-move-back",
        f"{pod_.full_name(pod)} could not be moved off {downtime.record.designated}, which stays a system node for "
        f"now: {why}",
        f"See to it, then 'downtime resume {downtime.node}'; or, if {downtime.record.designated} is to stay a system "
        f"node, 'downtime decide {downtime.node} --keep-designation' first.",
    )
