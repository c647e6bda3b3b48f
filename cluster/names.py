"""Names: what may be a node's name, and what our objects for a node are called.

Node names come from a person, a form or an alert, and end up in URLs, argument lists and object names: they are
validated once, here, before anything else is done with them.
"""

from __future__ import annotations

import hashlib
import re

from cluster.errors import Misused

NAMESPACE = "runai-downtime"
FLEET = "fleet"
DRAIN_KEY, DRAIN_VALUE, DRAIN_EFFECT = "runai", "drain", "NoExecute"
OUT_OF_SERVICE_KEY, OUT_OF_SERVICE_VALUE = "node.kubernetes.io/out-of-service", "nodeshutdown"
OWNS_ANNOTATION = "runai-downtime/owns"
DESIGNATED_ANNOTATION = "runai-downtime/designated"
NODE_LABEL = "runai-downtime/node"

# A node name is a DNS subdomain: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST = 253


def node_name(text: str) -> str:
    """The text, if it can be a node's name.

    Raises:
        Misused: it is not an RFC 1123 subdomain of at most 253 characters.
    """
    if len(text) <= _LONGEST and _SUBDOMAIN.fullmatch(text):
        return text
    raise Misused(
        "bad-node-name",
        f"{text[:80]!r} cannot be the name of a node",
        "A name is made of small letters, digits, '-' and '.', and begins and ends with a letter or digit: "
        "see 'kubectl get nodes'.",
    )


def object_name(node: str) -> str:
    """The name of the record (ConfigMap) and the lock (Lease) of a node; too long ones are hashed."""
    name = f"node-{node}"
    if len(name) <= _LONGEST:
        return name
    return f"node-{node[:180].rstrip('.-')}-{digest(node)}"


def node_label(node: str) -> str:
    """The value of the label that finds a node's objects: at most 63 characters, so long names are hashed."""
    return node if len(node) <= 63 else digest(node)


def digest(text: str) -> str:
    """32 hex digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
