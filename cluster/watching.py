"""Waiting for the cluster to become as wanted: by watch, never by polling, always with a deadline.

A watch is opened at the version of a fresh list, so no change can fall between the two. When it breaks or is told that
its version is too old, the list is taken anew.

No watch lasts longer than 10 s, whatever is waited for: when the API server's address moves to another host (a load
balancer, keepalived), the old connection may stay open and silent, and only its end tells that nothing comes any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cluster.api import Api, Object
from cluster.api_errors import Busy, Gone
from cluster.errors import Unreachable

T = TypeVar("T")
Judge = Callable[[dict[str, Object]], T | None]
_SLICE = 10.0


def until(
    api: Api,
    path: str,
    judge: Judge[T],
    seconds: float,
    *,
    fields: str = "",
    labels: str = "",
    every: float = _SLICE,
) -> T | None:
    """Watch a collection until ``judge`` returns something that is not None, for at most ``seconds``.

    Args:
        path: the collection, for example ``/api/v1/pods``.
        judge: is given all selected objects by uid: once for the list, after each change, and at least once in
            ``every`` seconds (for judgements in which time plays a part). What it raises ends the waiting.

    Returns:
        What the judge returned, or None when the time was over.

    Raises:
        DowntimeError: the API server refuses the list (it is not retried: refusal does not pass by waiting).
    """
    end = time.monotonic() + seconds
    while True:
        answer = _one_watch(api, path, judge, end, fields, labels, every)
        if answer is not None or time.monotonic() >= end:
            return answer


def _one_watch(api: Api, path: str, judge: Judge[T], end: float, fields: str, labels: str, every: float) -> T | None:
    listed, version = api.listing(path, fields=fields, labels=labels)
    objects = {str(one["metadata"]["uid"]): one for one in listed}
    while True:
        answer = judge(objects)
        left = end - time.monotonic()
        if answer is not None or left <= 0:
            return answer
        try:
            longest = min(left, every, _SLICE)
            for event in api.watch(path, version=version, fields=fields, labels=labels, seconds=longest):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                _apply(objects, event)
                answer = judge(objects)
                if answer is not None or time.monotonic() >= end:
                    return answer
        except (Gone, Unreachable, Busy):
            # A broken watch costs nothing but a new list; the pause keeps a server that restarts from a hot loop.
            time.sleep(min(0.5, max(0.0, end - time.monotonic())))
            return None


def _apply(objects: dict[str, Object], event: Object) -> None:
    uid = event["object"]["metadata"]["uid"]
    if event["type"] == "DELETED":
        objects.pop(uid, None)
    else:
        objects[uid] = event["object"]
