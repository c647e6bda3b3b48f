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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cluster import judging_dumps, judging_files, judging_rehearsals
from cluster.check_lines import NEW_SET, failed, good, passed
from cluster.evidence import Depth, GateSettings, Seen, SetEvidence
from cluster.manifest import Manifest, Part
from cluster.showing import shown
from cluster.showing_time import span
from cluster.verdict import Line

_CLOCKS = "Set the clocks right (of this machine, and of the one that takes backups), then take a new backup set."
_WHOLE = "Save the whole object (kubectl get runaiconfig runai -n runai -o json), not its spec alone."


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
        return [failed("manifest", reason, problem.remedy if problem else NEW_SET)]
    lines = [
        _cluster(manifest, settings),
        *_times(manifest, now, settings),
        *(_requirement(each, evidence, manifest, now, settings) for each in required),
        *judging_files.encryption(manifest, settings),
        *judging_files.sizes(evidence, manifest),
        *judging_files.against_earlier(manifest, evidence.earlier),
        *judging_rehearsals.rehearsals(evidence, now, settings),
    ]
    if depth == "checksums" and good(lines) and good(judging_dumps.contents(evidence, manifest, "sizes")):
        lines += judging_files.checksums(evidence, manifest)
    # What a dump holds is said of one that is undamaged alone.
    return [*lines, *(judging_dumps.contents(evidence, manifest, depth) if good(lines) else ())]


def _cluster(manifest: Manifest, settings: GateSettings) -> Line:
    if not settings.cluster_uid:
        return failed("cluster", "which cluster this is, is not known", "Set [cluster] uid.")
    if manifest.cluster_uid != settings.cluster_uid:
        return failed(
            "cluster",
            f"the set is of another cluster ({shown(manifest.cluster_uid, 60)}, not {settings.cluster_uid})",
            "Give each cluster a store of its own, and correct [recovery] store.",
        )
    return passed("cluster", f"set {manifest.id} is of this cluster")


def _times(manifest: Manifest, now: datetime, settings: GateSettings) -> Iterator[Line]:
    if manifest.latest - now > settings.clock_skew:
        ahead = span(manifest.latest - now)
        yield failed("clock", f"the manifest names a time in the future, {ahead} from now", _CLOCKS)
    age = now - manifest.oldest
    if age > settings.max_age:
        yield failed("age", f"its oldest dump began {span(age)} ago, the limit is {span(settings.max_age)}", NEW_SET)
    else:
        yield passed("age", f"its oldest dump began {span(age)} ago, the limit is {span(settings.max_age)}")


def _requirement(
    wanted: Requirement, evidence: SetEvidence, manifest: Manifest, now: datetime, settings: GateSettings
) -> Line:
    parts = [part for part in manifest.parts if wanted.met_by(part)]
    if not parts:
        return failed(wanted.check, f"the set lacks {wanted.what}", "Take a backup set with all required parts.")
    for part in parts:
        if part.external is not None:
            if not wanted.external:
                return failed(
                    wanted.check, f"{part.title} is only declared as an external backup", "Take it into the set."
                )
            age = now - part.external.taken
            if age > settings.max_age:
                return failed(
                    wanted.check,
                    f"the external backup ({shown(part.external.where, 100)}) was taken {span(age)} ago, "
                    f"the limit is {span(settings.max_age)}",
                    "Take that backup, and a new backup set that declares its date.",
                )
        elif wanted.kind == "runaiconfig" and (problem := _not_whole(part, evidence.files.get(part.path or ""))):
            return failed(wanted.check, f"{part.title} {problem}", _WHOLE)
    how = "declared as an external backup" if parts[0].external is not None else "there"
    return passed(wanted.check, f"{', '.join(part.title for part in parts)} {how}")


def _not_whole(part: Part, seen: Seen | None) -> str:
    """Why the file is not a whole runaiconfig object, as the end of a sentence; empty: it is one.

    The vendor's page saves ``.spec`` alone, which cannot be applied again. Of an encrypted file that cannot be read
    here, the word of its taker counts, who saw how many whole objects it holds.
    """
    if part.encrypted and (seen is None or (seen.content is None and not seen.problem)):
        objects = part.contents.objects if part.contents is not None else None
        return "" if objects else "is encrypted, and whether it holds a whole object was not noted when it was taken"
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
