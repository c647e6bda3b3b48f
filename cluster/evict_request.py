"""Asking the API for evictions for one pod: it answers by PodDisruptionBudgets, and deletes with the grace period.

https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from urllib.parse import quote

from cluster import pods as pod_
from cluster.api import Api, Object


def ask(api: Api, pod: Object) -> None:
    """Ask once, for this very pod: not for another one of its name.

    Raises:
        Busy: a budget does not allow it now (its words are ``said``), or the server has too much to do.
        NotFound: it is gone.
        Conflict: it is another pod by now, or was changed in this moment.
    """
    namespace, name = quote(pod_.namespace(pod), safe=""), quote(pod_.name(pod), safe="")
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod_.name(pod), "namespace": pod_.namespace(pod)},
        "deleteOptions": {"preconditions": {"uid": pod_.uid(pod)}},
    }
    api.with_patience(0).create(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body)
