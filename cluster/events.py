"""Kubernetes Events about a node in downtime, for whoever looks with ``kubectl describe node``.

They are for people, not for us: an Event that cannot be written is left out, and never stops a procedure.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cluster.api import Api
from cluster.errors import DowntimeError

_TIME = "%Y-%m-%dT%H:%M:%SZ"
# Events about cluster-scoped objects live in namespace default:
# https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
_EVENTS = "/api/v1/namespaces/default/events"


def emit(api: Api, node: str, uid: str, reason: str, message: str, *, warning: bool = False) -> bool:
    """Write an Event about a Node; whether that was possible.

    Args:
        reason: one CamelCase word.
        message: at most 1024 characters; the rest is cut off.
    """
    now = datetime.now(UTC).strftime(_TIME)
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "runai-downtime-", "namespace": "default"},
        # The kubelet's and kubectl's Events about nodes carry the name as uid; 'describe node' finds both.
        "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid},
        "reason": reason,
        "message": message[:1024],
        "type": "Warning" if warning else "Normal",
        "source": {"component": "runai-downtime"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    try:
        api.with_patience(0).create(_EVENTS, body)
    except DowntimeError:
        return False
    return True
