"""Run:ai's own objects as they are in the cluster, whole: what a restore applies again.

The vendor's page saves only the ``.spec`` of the runaiconfig, which cannot be applied: here every object is whole, but
for the bookkeeping of who set which field, which nothing accepts back. Which kinds there are is asked from the API
server, since they differ between Run:ai's versions; what researchers submitted is none of it: a restore must not start
work that ended long ago.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cluster.api import Api, Object
from cluster.errors import Blocked
from cluster.part_source import FileSource, Produced, Sink

_DOMAIN = "run.ai"
_RUNAICONFIGS = "runaiconfigs"
# Work, and what Run:ai derives from it. Kinds that end with "workloads" are left out too.
_WORK = frozenset({"runaijobs", "podgroups", "bindrequests", "mpijobs", "inferences"})


@dataclass(frozen=True)
class Kind:
    """One kind of custom resource, in the version that the API server prefers."""

    group: str
    version: str
    plural: str

    @property
    def path(self) -> str:
        """Where all of them are listed."""
        return f"/apis/{self.group}/{self.version}/{self.plural}"


def kinds(api: Api) -> list[Kind]:
    """All kinds of Run:ai's groups that can be listed, each once."""
    groups = (api.get("/apis") or {}).get("groups") or ()
    found: dict[tuple[str, str], Kind] = {}
    for group in groups:
        name = str(group["name"])
        if name != _DOMAIN and not name.endswith(f".{_DOMAIN}"):
            continue
        versions = [str(one["version"]) for one in group.get("versions") or ()]
        preferred = str((group.get("preferredVersion") or {}).get("version", ""))
        # A kind may be served in an older version only.
        for version in sorted(versions, key=lambda one: one != preferred):
            for one in _listed(api, name, version):
                found.setdefault((one.plural, name), one)
    return [found[key] for key in sorted(found)]


def _listed(api: Api, group: str, version: str) -> Iterator[Kind]:
    for one in (api.get(f"/apis/{group}/{version}") or {}).get("resources") or ():
        plural = str(one["name"])
        if "/" not in plural and "list" in (one.get("verbs") or ()):
            yield Kind(group, version, plural)


def runaiconfig(api: Api, found: Iterable[Kind]) -> FileSource:
    """The object runaiconfig runai/runai, which the vendor tells to save.

    Raises:
        Blocked: ``no-runaiconfig``: this cluster has none.
    """
    kind = next((one for one in found if one.plural == _RUNAICONFIGS), None)
    if kind is None:
        raise _no_runaiconfig()
    path = f"/apis/{kind.group}/{kind.version}/namespaces/runai/{kind.plural}/runai"

    def produce(sink: Sink) -> Produced:
        body = api.get(path)
        if body is None:
            raise _no_runaiconfig()
        sink.write(json.dumps(whole(body), indent=2).encode() + b"\n")
        return Produced(objects=1)

    return FileSource("runaiconfig", "runai", "runaiconfig.json", produce)


def resources(api: Api, found: Iterable[Kind]) -> tuple[list[FileSource], list[str]]:
    """All other kinds but those of work, a file of each; and what may not be read, in sentences."""
    sources: list[FileSource] = []
    warnings: list[str] = []
    names: set[str] = set()
    for kind in found:
        if kind.plural == _RUNAICONFIGS or kind.plural in _WORK or kind.plural.endswith("workloads"):
            continue
        if not api.allowed("list", kind.plural, group=kind.group):
            warnings.append(f"{kind.plural}.{kind.group} are not saved: listing them is forbidden.")
            continue
        name = kind.plural if kind.plural not in names else f"{kind.plural}.{kind.group}"
        names.add(name)
        sources.append(_resource(api, kind, name))
    return sources, warnings


def _resource(api: Api, kind: Kind, name: str) -> FileSource:
    def produce(sink: Sink) -> Produced:
        count = 0
        sink.write(b'{"apiVersion": "v1", "kind": "List", "items": [')
        # One page in memory at a time: the fields of each item's kind stand in the item itself.
        for body in api.iterate(kind.path):
            sink.write((b"," if count else b"") + b"\n" + json.dumps(whole(body)).encode())
            count += 1
        sink.write(b"\n]}\n")
        return Produced(objects=count)

    return FileSource("resources", name, f"resources/{name}.json", produce)


def whole(body: Object) -> Object:
    """The object as it is to be kept: all of it but ``managedFields``, with which the API server refuses an apply."""
    kept = copy.copy(body)
    kept["metadata"] = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return kept


def _no_runaiconfig() -> Blocked:
    return Blocked(
        "no-runaiconfig",
        "This cluster has no runaiconfig runai in namespace runai, which is the first thing to save",
        "Is it the right cluster? See 'kubectl get runaiconfig -A'.",
    )
