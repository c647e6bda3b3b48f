"""The kubelet's part that kwok does not play: boots reported in the Node's status, and GPUs that come and go.

Works level-triggered: whatever happened, a node is compared with its host and brought in line; what must wait for a
time is looked at again then.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from lab.api import JSON, Api, ApiError
from lab.simulated.host import Host
from lab.simulated.node_objects import (
    GPU,
    POWERED,
    allocatable_gpus,
    boot_id,
    boot_status,
    heartbeat,
    manifest,
    plugin_evicted,
)

LOGGER = logging.getLogger("lab.kubelet")
REPORT_SECONDS = 1.0
PLUGIN_SECONDS = 1.0
WATCH_SECONDS = 60
RETRY_SECONDS = 0.5
IDLE_SECONDS = 5.0


class Kubelets:
    """Keeps the Nodes of all hosts in line. ``host_of`` gives the host of a node, if it has one here."""

    def __init__(self, api: Api, host_of: Callable[[str], Host | None]) -> None:
        self._api = api
        self._host_of = host_of
        self._nodes: dict[str, JSON] = {}
        self._due: dict[str, float] = {}
        self._plugin_since: dict[str, float] = {}
        self._registered: dict[str, int] = {}
        self._wake = threading.Condition()

    def start(self) -> None:
        for target in (self._watch, self._work):
            threading.Thread(target=target, daemon=True).start()

    def look(self, node: str, after: float = 0.0) -> None:
        """Compare this node with its host, after so many seconds."""
        with self._wake:
            due = time.monotonic() + after
            self._due[node] = min(due, self._due.get(node, due))
            self._wake.notify()

    def _watch(self) -> None:
        while True:
            try:
                listed = self._api.get("/api/v1/nodes")
                with self._wake:
                    self._nodes = {node["metadata"]["name"]: node for node in listed["items"]}
                for name in list(self._nodes):
                    self.look(name)
                self._follow(listed["metadata"]["resourceVersion"])
            except ApiError as error:
                LOGGER.warning("%s", error)
                time.sleep(RETRY_SECONDS)

    def _follow(self, version: str) -> None:
        while True:
            for event in self._api.watch("/api/v1/nodes", version, WATCH_SECONDS):
                node = event["object"]
                if event["type"] == "ERROR":
                    return
                version = node["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                name = node["metadata"]["name"]
                with self._wake:
                    if event["type"] == "DELETED":
                        self._nodes.pop(name, None)
                        self._plugin_since.pop(name, None)
                    else:
                        self._nodes[name] = node
                self.look(name)

    def _work(self) -> None:
        while True:
            name = self._next()
            with self._wake:
                node = self._nodes.get(name)
            host = self._host_of(name)
            if host is None:
                continue
            try:
                if node is None:
                    self._register(host)
                else:
                    self._bring_in_line(host, node)
            except ApiError as error:
                LOGGER.warning("%s", error)
                self.look(name, RETRY_SECONDS)

    def _next(self) -> str:
        with self._wake:
            while True:
                now = time.monotonic()
                ready = [name for name, due in self._due.items() if due <= now]
                if ready:
                    del self._due[ready[0]]
                    return ready[0]
                self._wake.wait(max(0.01, min(self._due.values(), default=now + IDLE_SECONDS) - now))

    def _register(self, host: Host) -> None:
        """A kubelet that starts makes a Node that is not there; one that runs already does not (kubernetes#115761)."""
        known = self._registered.get(host.node, host.kubelet_run)
        if host.power == "on" and host.kubelet_runs and "never-boots" not in host.faults and known != host.kubelet_run:
            LOGGER.info("%s registers itself", host.node)
            self._registered[host.node] = host.kubelet_run
            node = manifest(host)
            node["spec"]["taints"] += host.register_taints
            # What an administrator had set is lost with the Node.
            labels = node["metadata"]["labels"]
            node["metadata"]["labels"] = {key: labels[key] for key in labels if not key.startswith("node-role.")}
            self._api.create("/api/v1/nodes", node)

    def _bring_in_line(self, host: Host, node: JSON) -> None:
        path = f"/api/v1/nodes/{host.node}"
        managed = node["metadata"].get("labels", {}).get(POWERED[0]) == POWERED[1]
        silent = host.power != "on" or "never-boots" in host.faults or not host.kubelet_runs
        if not silent:
            self._registered[host.node] = host.kubelet_run
        if silent:
            self._plugin_since.pop(host.node, None)
            if managed:
                self._api.patch(path, {"metadata": {"labels": {POWERED[0]: None}}})
        elif not managed or boot_id(node) != host.boot_id or heartbeat(node) < int(host.booted):
            wait = host.booted + REPORT_SECONDS - time.time()
            if wait > 0:
                self.look(host.node, wait)
                return
            LOGGER.info("%s reports boot %s", host.node, host.boot_id)
            self._plugin_since.pop(host.node, None)
            self._api.patch(f"{path}/status", {"status": boot_status(host, node)}, "strategic-merge")
            self._api.patch(path, {"metadata": {"labels": {POWERED[0]: POWERED[1]}}})
        elif host.gpus:
            self._set_gpus(host, node)

    def _set_gpus(self, host: Host, node: JSON) -> None:
        """The device plugin: evicted at once by a taint, back and registered a moment after the taint has gone."""
        wanted = host.gpus - ("gpu-lost" in host.faults)
        if plugin_evicted(node):
            self._plugin_since.pop(host.node, None)
            wanted = 0
        elif allocatable_gpus(node) == 0:
            since = self._plugin_since.setdefault(host.node, time.monotonic() + PLUGIN_SECONDS)
            if since > time.monotonic():
                self.look(host.node, since - time.monotonic())
                return
        if allocatable_gpus(node) != wanted:
            status: JSON = {"allocatable": {GPU: str(wanted)}}
            if wanted:
                status["capacity"] = {GPU: str(host.gpus)}
            LOGGER.info("%s has %d GPUs", host.node, wanted)
            self._api.patch(f"/api/v1/nodes/{host.node}/status", {"status": status})
