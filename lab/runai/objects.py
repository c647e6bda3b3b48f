"""Creating Kubernetes objects by their kind, and waiting for what they need."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from lab.api import Api, ApiError

JSON = dict[str, Any]
CREATE_SECONDS = 30.0
CLUSTER_WIDE = (
    *("Namespace", "Node", "PersistentVolume", "PriorityClass", "CSINode"),
    *("CustomResourceDefinition", "Project", "NodePool", "Queue"),
)
PLURALS = {"NodePool": "nodepools", "PriorityClass": "priorityclasses"}


def collection(body: JSON) -> str:
    """The path to which an object of this kind is posted."""
    version, kind = body["apiVersion"], body["kind"]
    plural = PLURALS.get(kind, kind.lower() + "s")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if kind in CLUSTER_WIDE:
        return f"{root}/{plural}"
    return f"{root}/namespaces/{body['metadata'].get('namespace', 'default')}/{plural}"


def path(body: JSON) -> str:
    return f"{collection(body)}/{body['metadata']['name']}"


def create(api: Api, body: JSON) -> JSON:
    """Create an object; one that is there already is left as it is. Returns it as the server has it.

    What is missing for a moment is waited for: a definition just made is not served at once (404), and a new namespace
    has no service account for its first pods (403). Raises ApiError.
    """
    deadline = time.monotonic() + CREATE_SECONDS
    while True:
        try:
            return api.create(collection(body), body)
        except ApiError as error:
            if error.status == 409:
                return api.get(path(body))
            early = error.status == 404 or (error.status == 403 and "serviceaccount" in str(error))
            if not early or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def create_all(api: Api, bodies: Iterable[JSON]) -> None:
    for body in bodies:
        create(api, body)
