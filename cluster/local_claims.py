"""Which claims of a node's pods are on volumes of that node: their data stays there, and the pods can't go elsewhere.

Volumes are read a page at a time, and only if a pod has a claim: one request for 500 of them, whatever the number of
claims. Of a volume only the claim that it is bound to matters.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.local_volumes import claim_of, claims_of

_VOLUMES = "/api/v1/persistentvolumes"
# A volume that a whole zone can reach is none of a node. https://kubernetes.io/docs/reference/labels-annotations-taints
_WIDE = ("/zone", "/region")


def look(api: Api, pods: Iterable[Object]) -> dict[str, str]:
    """The claims (namespace/name) of these pods that are on a volume of one node alone, with the volume's name."""
    wanted = {claim for pod in pods for claim in claims_of(pod)}
    if not wanted:
        return {}
    return {claim_of(one): pod_.name(one) for one in api.iterate(_VOLUMES) if claim_of(one) in wanted and is_local(one)}


def is_local(volume: Object) -> bool:
    """Whether a PersistentVolume can be reached from one node alone."""
    spec = pod_.mapping(volume.get("spec"))
    if "local" in spec or "hostPath" in spec:
        return True
    required = pod_.mapping(pod_.mapping(spec.get("nodeAffinity")).get("required"))
    terms = pod_.objects(required.get("nodeSelectorTerms"))
    return len(terms) == 1 and any(_names_one(one) for one in pod_.objects(terms[0].get("matchExpressions")))


def _names_one(expression: Object) -> bool:
    values = expression.get("values")
    single = expression.get("operator") == "In" and isinstance(values, list) and len(values) == 1
    return single and not str(expression.get("key")).endswith(_WIDE)
