"""Judges one backup set by what was seen of it. Pure: nothing here reads a store, a clock or a configuration.

Decisions, where the runbook leaves room:

- Age is counted from the *beginning* of the oldest dump, and exactly the limit is still good.
- A declared external backup of the metrics is held to the same limit and the same refusal of the future: nothing
  else is known of it but its date. External databases or Helm values are not accepted: nothing of them could be checked
  at all.
- Every part that the manifest names is checked, required or not: a set with a damaged part is a damaged set.
- An unknown cluster uid never matches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from cluster.errors import DowntimeError
from cluster.manifest import Manifest, Part
from cluster.showing import shown
from cluster.verdict import Line

Depth = Literal["sizes", "checksums"]

NEW_SET = "Take a new backup set and run again."
_CLOCKS = "Set the clocks right (of this machine, and of the one that takes backups), then take a new backup set."


@dataclass(frozen=True)
class GateSettings:
    """What the gate is told.

    Attributes:
        cluster_uid: uid of the namespace kube-system of the cluster that is about to change.
        max_age: how old the oldest dump of a set may be.
        clock_skew: how far in the future a time in a manifest may be, for clocks that differ a little.
    """

    cluster_uid: str
    max_age: timedelta = timedelta(hours=30)
    clock_skew: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class Requirement:
    """A part that a set must have; ``name`` None: any of its kind."""

    kind: str
    name: str | None
    what: str
    external: bool = False

    @property
    def check(self) -> str:
        """What the line is called."""
        return f"{self.kind} {self.name}" if self.name else self.kind

    def met_by(self, part: Part) -> bool:
        """Whether this is the part that is asked for."""
        return part.kind == self.kind and self.name in (None, part.name)


REQUIRED: tuple[Requirement, ...] = (
    Requirement("runaiconfig", None, "the runaiconfig"),
    Requirement("database", "backend", "a dump of the control plane's database 'backend'"),
    Requirement("helm-values", "runai-backend", "the Helm values of the release runai-backend"),
    Requirement("helm-values", "runai-cluster", "the Helm values of the release runai-cluster"),
    Requirement("metrics", None, "the metrics volume, or a declared external backup of it", external=True),
)


@dataclass(frozen=True)
class Seen:
    """What the store showed of one file: None is not looked at; ``problem`` is why it could not be seen."""

    size: int | None = None
    sha256: str | None = None
    content: bytes | None = None
    problem: str = ""


@dataclass(frozen=True)
class SetEvidence:
    """What was gathered about one folder of the store.

    Attributes:
        id: the folder's name.
        taken: the moment that the name tells.
        manifest: the manifest, if it could be read.
        problem: why it could not.
        half_taken: there is no manifest at all: not a set.
        files: what was seen of each part's file, by its path.
    """

    id: str
    taken: datetime | None = None
    manifest: Manifest | None = None
    problem: DowntimeError | None = None
    half_taken: bool = False
    files: Mapping[str, Seen] = field(default_factory=dict)


def judge_set(
    evidence: SetEvidence,
    now: datetime,
    settings: GateSettings,
    required: Sequence[Requirement] = REQUIRED,
    depth: Depth = "checksums",
) -> list[Line]:
    """The lines about one set. Checksums are judged only where all else is good: a refused set is not read back."""
    manifest = evidence.manifest
    if manifest is None:
        problem = evidence.problem
        reason = problem.message if problem else f"{evidence.id} was not looked at"
        return [_failed("manifest", reason, problem.remedy if problem else NEW_SET)]
    lines = [
        _cluster(manifest, settings),
        *_times(manifest, now, settings),
        *(_requirement(each, evidence, manifest, now, settings) for each in required),
        *_sizes(evidence, manifest),
    ]
    if depth == "checksums" and all(line.level != "FAILED" for line in lines):
        lines += _checksums(evidence, manifest)
    return lines


def _cluster(manifest: Manifest, settings: GateSettings) -> Line:
    if not settings.cluster_uid:
        return _failed("cluster", "which cluster this is, is not known", "Set [cluster] uid.")
    if manifest.cluster_uid != settings.cluster_uid:
        return _failed(
            "cluster",
            f"the set is of another cluster ({shown(manifest.cluster_uid, 60)}, not {settings.cluster_uid})",
            "Give each cluster a store of its own, and correct [recovery] store.",
        )
    return _passed("cluster", f"set {manifest.id} is of this cluster")


def _times(manifest: Manifest, now: datetime, settings: GateSettings) -> Iterator[Line]:
    if manifest.latest - now > settings.clock_skew:
        ahead = span(manifest.latest - now)
        yield _failed("clock", f"the manifest names a time in the future, {ahead} from now", _CLOCKS)
    age = now - manifest.oldest
    if age > settings.max_age:
        yield _failed("age", f"its oldest dump began {span(age)} ago, the limit is {span(settings.max_age)}", NEW_SET)
    else:
        yield _passed("age", f"its oldest dump began {span(age)} ago, the limit is {span(settings.max_age)}")


def _requirement(
    wanted: Requirement, evidence: SetEvidence, manifest: Manifest, now: datetime, settings: GateSettings
) -> Line:
    parts = [part for part in manifest.parts if wanted.met_by(part)]
    if not parts:
        return _failed(wanted.check, f"the set lacks {wanted.what}", "Take a backup set with all required parts.")
    for part in parts:
        if part.external is not None:
            if not wanted.external:
                return _failed(
                    wanted.check, f"{part.title} is only declared as an external backup", "Take it into the set."
                )
            age = now - part.external.taken
            if age > settings.max_age:
                return _failed(
                    wanted.check,
                    f"the external backup ({shown(part.external.where, 100)}) was taken {span(age)} ago, "
                    f"the limit is {span(settings.max_age)}",
                    "Take that backup, and a new backup set that declares its date.",
                )
        elif wanted.kind == "runaiconfig" and (problem := _not_whole(evidence.files.get(part.path or ""))):
            return _failed(
                wanted.check,
                f"{part.title} {problem}",
                "Save the whole object (kubectl get runaiconfig runai -n runai -o json), not its spec alone.",
            )
    how = "declared as an external backup" if parts[0].external is not None else "there"
    return _passed(wanted.check, f"{', '.join(part.title for part in parts)} {how}")


def _not_whole(seen: Seen | None) -> str:
    """Why the file is not a whole runaiconfig object, as the end of a sentence; empty: it is one.

    The vendor's page saves ``.spec`` alone, which cannot be applied again.
    """
    if seen is None or seen.content is None:
        return f"cannot be used: {(seen and seen.problem) or 'it was not read'}"
    try:
        document = json.loads(seen.content)
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(document, dict):
        return f"holds a {type(document).__name__}, not an object"
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    whole = {
        "apiVersion": isinstance(document.get("apiVersion"), str) and bool(document["apiVersion"]),
        "kind": isinstance(document.get("kind"), str) and bool(document["kind"]),
        "metadata.name": isinstance(name, str) and bool(name),
        "spec": isinstance(document.get("spec"), dict),
    }
    missing = [key for key, there in whole.items() if not there]
    if missing:
        return f"is not a whole object: it lacks {', '.join(missing)}"
    if document["kind"].lower() != "runaiconfig" or not document["apiVersion"].startswith("run.ai/"):
        return f"is a {shown(document['kind'], 60)} of {shown(document['apiVersion'], 60)}, not a runaiconfig"
    return ""


def _sizes(evidence: SetEvidence, manifest: Manifest) -> list[Line]:
    failed = []
    for part in manifest.files:
        seen = evidence.files.get(part.path or "", Seen(problem="was not looked at"))
        if problem := _wrong_size(part, seen):
            failed.append(_failed("size", f"{part.title} {problem}", NEW_SET))
    total = sum(part.bytes or 0 for part in manifest.files)
    return failed or [_passed("size", f"{len(manifest.files)} files, {total} bytes, as the manifest says")]


def _wrong_size(part: Part, seen: Seen) -> str:
    if seen.problem:
        return f"cannot be used: {seen.problem}"
    if seen.size is None:
        return "was not looked at"
    if seen.size != part.bytes:
        return f"is damaged: it has {seen.size} bytes, not {part.bytes} as the manifest says"
    return "is empty" if seen.size == 0 else ""


def _checksums(evidence: SetEvidence, manifest: Manifest) -> list[Line]:
    failed = []
    for part in manifest.files:
        found = evidence.files[part.path or ""].sha256
        if found is None:
            failed.append(_failed("checksum", f"{part.title} was not read back", "Run again."))
        elif found != part.sha256:
            failed.append(_failed("checksum", f"{part.title} is damaged: its checksum is not the manifest's", NEW_SET))
    return failed or [_passed("checksum", f"{len(manifest.files)} files read back, all as the manifest says")]


def span(time: timedelta) -> str:
    """A length of time for people, cut to minutes: ``3 d 4 h``, ``2 h 05 min``, ``7 min``."""
    minutes = max(0, int(time.total_seconds() // 60))
    hours = minutes // 60
    if hours >= 72:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min"


def _passed(check: str, reason: str) -> Line:
    return Line(level="PASS", check=check, reason=reason)


def _failed(check: str, reason: str, remedy: str) -> Line:
    return Line(level="FAILED", check=check, reason=reason, remedy=remedy)
