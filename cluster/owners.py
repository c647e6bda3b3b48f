"""Who owns a pod: the chain of owner references, followed upward through the API.

Researchers submit a Run:ai object or a Job; the pod is several owners below it. The chain stops where an owner is
gone, forbidden, or of a kind that the server does not know: the reference to it still says its kind and name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.errors import Blocked

# The longest known one: pod, ReplicaSet, Deployment, Knative Revision, Configuration, Service, KServe InferenceService,
# Run:ai InferenceWorkload.
LONGEST_CHAIN = 8
NOTED = ("run.ai/top-owner-metadata", "kai.scheduler/top-owner-metadata", "kai.scheduler/top-owner-matadata")
# YAML, or JSON, of five plain strings.
_NOTED_LINE = re.compile(r"""["']?\b(name|uid|group|version|kind)["']?:[ \t]*["']?([^\s"',{}]+)""")


class Owner(BaseModel):
    """One owner, as the reference to it and, if it could be read, as it says itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_version: str = ""
    kind: str
    name: str
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    spec: dict[str, Any] = Field(default={}, description="The few values that say how it recreates pods.")
    found: bool = Field(default=False, description="Whether the object was read; else only the reference is known.")

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def title(self) -> str:
        """``Kind/name``, for people."""
        return f"{self.kind}/{self.name}"


Chains = dict[str, tuple[Owner, ...]]
"""By pod uid: its owners, the nearest first."""


def from_reference(reference: Object) -> Owner | None:
    """The owner as an owner reference names it; None when it names none."""
    kind, name = reference.get("kind"), reference.get("name")
    if not kind or not name:
        return None
    return Owner(
        api_version=str(reference.get("apiVersion") or ""),
        kind=str(kind),
        name=str(name),
        uid=str(reference.get("uid") or ""),
    )


def noted_top(pod: Object) -> Owner | None:
    """The topmost owner of a pod as the scheduler has noted it on the pod; None: it has not, or it is the pod itself.

    Source: NVIDIA/KAI-Scheduler, pkg/common/constants (one version misspelt the name).
    """
    said = pod_.notes(pod)
    text = next((said[key] for key in NOTED if said.get(key)), "")
    found = dict(_NOTED_LINE.findall(text))
    if not found.get("kind") or not found.get("name") or found["kind"] == "Pod":
        return None
    version = f"{found['group']}/{found.get('version', '')}" if found.get("group") else found.get("version", "")
    return Owner(api_version=version, kind=found["kind"], name=found["name"], uid=found.get("uid", ""))


class Resolver:
    """Follows owner references; each object and each API group is asked for once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}
        self._objects: dict[tuple[str, ...], Object | None] = {}

    def chains(self, pods: Iterable[Object]) -> Chains:
        """The owners of each pod, by its uid, the nearest first."""
        return {pod_.uid(pod): self.chain(pod) for pod in pods}

    def chain(self, pod: Object) -> tuple[Owner, ...]:
        """The owners of one pod (or of any object), the nearest first."""
        owners: list[Owner] = []
        namespace = pod_.namespace(pod)
        child = pod
        while len(owners) < LONGEST_CHAIN and (owner := from_reference(pod_.controller(child))) is not None:
            if any(owner.uid and owner.uid == before.uid for before in owners):
                break
            found = self._read(owner, namespace)
            if found is None:
                owners.append(owner)
                break
            owners.append(_as_read(owner, found))
            child = found
        return tuple(owners)

    def _read(self, owner: Owner, namespace: str) -> Object | None:
        key = (owner.api_version, owner.kind, namespace, owner.name, owner.uid)
        if key not in self._objects:
            found = self._get(owner, namespace)
            # Another object of the same name is not the owner: names are used again, uids are not.
            same = found is not None and (not owner.uid or pod_.uid(found) == owner.uid)
            self._objects[key] = found if same else None
        return self._objects[key]

    def _get(self, owner: Owner, namespace: str) -> Object | None:
        plural, namespaced = self._kinds(owner.api_version).get(owner.kind, ("", False))
        if not plural or not namespace:
            return None
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespaced else ""
        return self._ask(f"{_root(owner.api_version)}{inside}/{plural}/{quote(owner.name, safe='')}")

    def _kinds(self, api_version: str) -> dict[str, tuple[str, bool]]:
        if api_version not in self._plurals:
            found = self._ask(_root(api_version)) if api_version else None
            resources = pod_.objects((found or {}).get("resources"))
            self._plurals[api_version] = {
                str(one.get("kind")): (str(one.get("name")), bool(one.get("namespaced")))
                for one in resources
                if "/" not in str(one.get("name"))
            }
        return self._plurals[api_version]

    def _ask(self, path: str) -> Object | None:
        try:
            return self._api.get(path)
        except Blocked as error:
            if error.code == "forbidden":
                return None
            raise


def _root(api_version: str) -> str:
    group, _, version = api_version.rpartition("/")
    quoted = quote(version, safe="")
    return f"/apis/{quote(group, safe='')}/{quoted}" if group else f"/api/{quoted}"


def _as_read(owner: Owner, found: Object) -> Owner:
    spec = pod_.mapping(found.get("spec"))
    scalars = ("backoffLimit", "backoffLimitPerIndex", "suspend", "replicas", "parallelism", "submissionMode")
    kept: dict[str, Any] = {key: spec[key] for key in scalars if key in spec}
    if _ignores_disruption(spec.get("podFailurePolicy")):
        kept["ignoresDisruption"] = True
    if failed := pod_.mapping(found.get("status")).get("failed"):
        kept["failed"] = failed
    return owner.model_copy(
        update={
            "labels": pod_.labels(found),
            "annotations": pod_.notes(found),
            "spec": kept,
            "found": True,
        }
    )


def _ignores_disruption(policy: object) -> bool:
    """Whether a ``podFailurePolicy`` leaves a disrupted pod uncounted: of its rules the first that fits counts."""
    for rule in pod_.objects(pod_.mapping(policy).get("rules")):
        conditions = pod_.objects(rule.get("onPodConditions"))
        if any(one.get("type") == "DisruptionTarget" for one in conditions):
            return rule.get("action") == "Ignore"
    return False
