"""What of the pods of a whole cluster is kept while it is judged who can take over from a system node. Pure, and small.

That is what placing them goes by, which volumes they claim, and whose work they may be. Of most of a pod nothing is
kept, and what is the same in many pods (what they ask for, tolerate, select) is kept once: so these objects share parts
and must not be changed.
"""

from __future__ import annotations

from typing import Any

from cluster import owners
from cluster import pods as pod_
from cluster.node import Object

_METADATA = ("name", "namespace", "uid", "labels", "deletionTimestamp")
_OWNER = ("apiVersion", "kind", "name", "uid", "controller")
# By what it is told that a pod is the kubelet's own, and what the scheduler noted as its topmost owner.
_NOTES = (pod_.MIRROR, *owners.NOTED)
_SPEC = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "overhead",
    "resources",
    "priorityClassName",
    "terminationGracePeriodSeconds",
)


class Kept:
    """Makes small pods of whole ones, with the parts that they have in common."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def of(self, pod: Object) -> Object:
        """What is kept of it."""
        metadata, spec = pod_.mapping(pod.get("metadata")), pod_.mapping(pod.get("spec"))
        notes = pod_.mapping(metadata.get("annotations"))
        kept = {key: metadata[key] for key in _METADATA if key in metadata}
        if said := {key: notes[key] for key in _NOTES if key in notes}:
            kept["annotations"] = said
        if references := [_only(one, _OWNER) for one in pod_.objects(metadata.get("ownerReferences"))]:
            kept["ownerReferences"] = references
        return {
            "metadata": kept,
            "spec": self._spec(spec),
            "status": self._shared({"phase": pod_.mapping(pod.get("status")).get("phase")}),
        }

    def _spec(self, spec: Object) -> Object:
        found = {key: self._shared(spec[key]) for key in _SPEC if spec.get(key) is not None}
        for key in ("containers", "initContainers"):
            if containers := [_only(one, ("resources", "restartPolicy")) for one in pod_.objects(spec.get(key))]:
                found[key] = self._shared(containers)
        if volumes := [_volume(one) for one in pod_.objects(spec.get("volumes")) if _is_claim(one)]:
            found["volumes"] = volumes
        whole: Object = self._shared(found)
        return whole

    def _shared(self, value: Any) -> Any:
        return self._known.setdefault(repr(value), value)


def without_images(node: Object) -> Object:
    """A Node without the list of its images, and who wrote which field: most of it, and no concern of placing pods."""
    return {
        **node,
        "metadata": {key: value for key, value in node["metadata"].items() if key != "managedFields"},
        "status": {key: value for key, value in pod_.mapping(node.get("status")).items() if key != "images"},
    }


def _only(found: Object, keys: tuple[str, ...]) -> Object:
    return {key: found[key] for key in keys if found.get(key) is not None}


def _is_claim(volume: Object) -> bool:
    return "persistentVolumeClaim" in volume or "ephemeral" in volume


def _volume(volume: Object) -> Object:
    made_for_it: Object = {"ephemeral": {}} if isinstance(volume.get("ephemeral"), dict) else {}
    return _only(volume, ("name", "persistentVolumeClaim")) | made_for_it
