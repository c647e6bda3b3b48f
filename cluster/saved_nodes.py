"""What is kept of every node: its roles, and the labels, annotations and taints that nobody else brings back.

By the same rules as a machine that rejoins (:mod:`cluster.restoration`): a new cluster is so many rejoins.
"""

from __future__ import annotations

import json
from typing import Any

from cluster import node as node_
from cluster import nodes, restoration
from cluster.api import Api, Object
from cluster.part_source import FileSource, Produced, Sink

SCHEMA = 1


def source(api: Api) -> FileSource:
    """``nodes.json``: ``{"schema": 1, "nodes": [{"name", "kind", "roles", "labels", "annotations", "taints"}]}``."""

    def produce(sink: Sink) -> Produced:
        kept = [saved(one) for one in nodes.every(api)]
        document = {"schema": SCHEMA, "nodes": sorted(kept, key=lambda one: str(one["name"]))}
        sink.write(json.dumps(document, indent=1).encode() + b"\n")
        return Produced(objects=len(kept))

    return FileSource("nodes", "nodes", "nodes.json", produce)


def saved(node: Object) -> dict[str, Any]:
    """What is kept of one node. Pure."""
    metadata = node["metadata"]
    kept = restoration.to_keep(
        metadata.get("labels") or {}, metadata.get("annotations") or {}, node.get("spec", {}).get("taints") or ()
    )
    return {
        "name": node_.name(node),
        "kind": node_.kind(node),
        "roles": list(node_.roles(node)),
        **kept.model_dump(mode="json"),
    }
