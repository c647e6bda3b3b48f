"""Sees when each workload runs elsewhere, by watch: the time is that of the event's arrival, not of a poll."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from bench.work import NAMESPACE
from lab.api import JSON, Api, ApiError

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_WATCH_SECONDS = 60
_PAUSE = 0.25


class Follower:
    """The pods of the measured workloads.

    Args:
        nodes: the nodes that lose power: Running there counts for nothing.
        volumes: the volumes that are attached now, and where; asked once a pod runs.
    """

    def __init__(self, api: Api, nodes: Collection[str], volumes: Callable[[], Mapping[str, str]]) -> None:
        self._api, self._nodes, self._volumes = api, frozenset(nodes), volumes
        self._pods: dict[str, JSON] = {}
        self._wanted: dict[str, str] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.arrived: dict[str, float] = {}

    def start(self, wanted: Mapping[str, str]) -> None:
        """Follow workloads: name to the name of its volume, empty where it has none."""
        self._wanted = dict(wanted)
        for target in (self._watch, self._tick):
            threading.Thread(target=target, daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def where(self, name: str) -> str:
        """The node on which a pod of the workload runs; empty: on none."""
        with self._lock:
            pods = list(self._pods.values())
        return next((str(pod["spec"]["nodeName"]) for pod in pods if _runs(pod, name)), "")

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                listed = self._api.get(PODS)
                with self._lock:
                    self._pods = {pod["metadata"]["uid"]: pod for pod in listed["items"]}
                self._judge()
                self._follow(listed["metadata"]["resourceVersion"])
            except ApiError:
                time.sleep(_PAUSE)

    def _follow(self, version: str) -> None:
        for event in self._api.watch(PODS, version, _WATCH_SECONDS):
            if self._ended.is_set() or event["type"] == "ERROR":
                return
            if event["type"] == "BOOKMARK":
                continue
            pod = event["object"]
            with self._lock:
                if event["type"] == "DELETED":
                    self._pods.pop(pod["metadata"]["uid"], None)
                else:
                    self._pods[pod["metadata"]["uid"]] = pod
            self._judge()

    def _tick(self) -> None:
        """Volumes come without an event of a pod."""
        while not self._ended.wait(_PAUSE):
            self._judge()

    def _judge(self) -> None:
        now, attached = time.monotonic(), self._volumes()
        for name, volume in self._wanted.items():
            where = self.where(name)
            if not where or where in self._nodes or (volume and attached.get(volume) != where):
                continue
            self.arrived.setdefault(name, now)


def _runs(pod: JSON, name: str) -> bool:
    metadata = pod["metadata"]
    ours = metadata.get("labels", {}).get("release") == name and "deletionTimestamp" not in metadata
    return ours and pod.get("status", {}).get("phase") == "Running"
