"""Objects as they were saved, made into what an API server takes as new. Pure.

The known defect of the vendor's page is caught here: what it tells to save of the runaiconfig is its ``.spec`` alone,
which is no object and cannot be applied.
"""

from __future__ import annotations

import json
from typing import Any

Object = dict[str, Any]

# What the server itself sets, and refuses or misunderstands from anybody else. An owner has another uid in a new
# cluster: an object with a dead owner would be deleted by the garbage collector.
SERVERS_OWN = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
    "managedFields",
    "ownerReferences",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_SPEC_ALONE = "it is a bare .spec without apiVersion, kind and metadata.name, which cannot be applied"


def objects(content: bytes) -> list[Object]:
    """The objects of a saved document: one, or the items of a ``List``.

    Raises:
        ValueError: it is not JSON, or something in it is no whole object.
    """
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("it is no object")
    is_list = document.get("kind") == "List" and isinstance(document.get("items"), list)
    found = document["items"] if is_list else [document]
    for one in found:
        if not isinstance(one, dict) or not all(_text(one.get(key)) for key in ("apiVersion", "kind")):
            raise ValueError(_SPEC_ALONE)
        if not isinstance(one.get("metadata"), dict) or not _text(one["metadata"].get("name")):
            raise ValueError(_SPEC_ALONE)
    return found


def restorable(body: Object) -> Object:
    """The object without what belongs to the server that it came from: its bookkeeping and its ``status``."""
    kept = {key: value for key, value in body.items() if key != "status"}
    kept["metadata"] = {key: value for key, value in body["metadata"].items() if key not in SERVERS_OWN}
    return kept


def title(body: Object) -> str:
    """How a message calls it: ``Project/team-a``."""
    return f"{body['kind']}/{body['metadata']['name']}"


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
