"""Kubernetes Events about a node in downtime, for whoever looks with ``kubectl describe node`` (or ``pod``).

They are for people, not for us: an Event that cannot be written is left out, and never stops a procedure.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cluster.api import Api, Object
from cluster.errors import DowntimeError

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def emit(api: Api, node: str, uid: str, reason: str, message: str, *, warning: bool = False) -> bool:
    """Write an Event about a Node; whether that was possible.

    Args:
        reason: one CamelCase word.
        message: at most 1024 characters; the rest is cut off.
    """
    # The kubelet's and kubectl's Events about nodes carry the name as uid; 'describe node' finds both. Events about
    # cluster-scoped objects live in namespace default:
    # https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
    about = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid}
    return _write(api, "default", about, reason, message, warning=warning)


def about_pod(api: Api, pod: Object, reason: str, message: str) -> bool:
    """Write a warning about a pod, where its owner sees it; whether that was possible."""
    metadata = pod["metadata"]
    about = {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return _write(api, str(metadata["namespace"]), about, reason, message, warning=True)


def _write(api: Api, namespace: str, about: dict[str, str], reason: str, message: str, *, warning: bool) -> bool:
    now = datetime.now(UTC).strftime(_TIME)
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "runai-downtime-", "namespace": namespace},
        "involvedObject": about,
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "source": {"component": "runai-downtime"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        api.with_patience(0).create(f"/api/v1/namespaces/{namespace}/events", body)
    except DowntimeError:
        return False
    return True
