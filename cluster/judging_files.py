"""Judges the files of a backup set: sizes, checksums, encryption, and how they compare with the set before. Pure.

Decisions, where the runbook leaves room:

- What a file held when it was taken counts, if it cannot be looked into here: its checksum tells that it is the same.
- A part that has half the size that it had in an earlier set, or less, is a warning: things may have been deleted on
  purpose (``shrinking``).
"""

from __future__ import annotations

from collections.abc import Sequence

from cluster import shrinking
from cluster.check_lines import failed, passed, warning
from cluster.evidence import GateSettings, Seen, SetEvidence
from cluster.manifest import Manifest, Part
from cluster.showing import shown
from cluster.showing_sizes import size
from cluster.verdict import Line


def sizes(evidence: SetEvidence, manifest: Manifest) -> list[Line]:
    """Whether each file is there, has the size that the manifest tells, and is not empty."""
    lines = []
    for part in manifest.files:
        seen = evidence.files.get(part.path or "", Seen(problem="was not looked at"))
        if problem := _wrong_size(part, seen):
            lines.append(failed("size", f"{part.title} {problem}"))
    total = sum(part.bytes or 0 for part in manifest.files)
    return lines or [passed("size", f"{len(manifest.files)} files, {total} bytes, as the manifest says")]


def _wrong_size(part: Part, seen: Seen) -> str:
    if seen.problem:
        return f"cannot be used: {seen.problem}"
    if seen.size is None:
        return "was not looked at"
    if seen.size != part.bytes:
        return f"is damaged: it has {seen.size} bytes, not {part.bytes} as the manifest says"
    return "is empty" if seen.size == 0 else ""


def checksums(evidence: SetEvidence, manifest: Manifest) -> list[Line]:
    """Whether each file, read back, is the one that was written."""
    return [_checksum(part, evidence.files.get(part.path or "", Seen())) for part in manifest.files]


def _checksum(part: Part, seen: Seen) -> Line:
    if seen.problem:
        return failed("checksum", f"{part.title} cannot be read back: {seen.problem}")
    if seen.sha256 is None:
        return failed("checksum", f"{part.title} was not read back", "Run again.")
    if seen.sha256 != part.sha256:
        return failed("checksum", f"{part.title} is damaged: its checksum is not the manifest's")
    if part.encrypted and seen.is_age is False:
        return failed("checksum", f"{part.title} is no age file, though the manifest calls it encrypted")
    if seen.implied is not None and seen.implied != part.bytes:
        said = f"it has {part.bytes} bytes, and what was written into it makes {seen.implied}"
        return failed("checksum", f"{part.title} was not stored whole: {said}")
    how = ", encrypted" if part.encrypted else ""
    return passed("checksum", f"{part.title}: {size(part.bytes or 0)} read back{how}, as the manifest says")


def encryption(manifest: Manifest, settings: GateSettings) -> list[Line]:
    """Whether the passwords in the set lie open."""
    clear = [part.title for part in manifest.files if not part.encrypted]
    if not clear:
        many = len(manifest.recipients)
        keys = f"{many} key{'' if many == 1 else 's'}" if many else "keys that the manifest does not name"
        return [passed("encryption", f"every file is encrypted, for {keys}")]
    if settings.allow_plaintext:
        return [passed("encryption", "in the clear, as [recovery] allow_plaintext says")]
    which = "the set is" if len(clear) == len(manifest.files) else f"{shown(', '.join(clear), 200)} are"
    return [
        warning(
            "encryption",
            f"{which} in the clear, and sets hold passwords",
            "Set [recovery] recipients and take a new set; or say that it is wanted so: allow_plaintext = true.",
        )
    ]


def against_earlier(manifest: Manifest, earlier: Sequence[Manifest]) -> list[Line]:
    """What shrank, or is no longer there, since earlier sets."""
    if not earlier:
        return []
    before = earlier[0].id
    if who := manifest.smaller_accepted_by:
        return [passed("previous-set", f"that it may be smaller than set {before} was accepted by {shown(who, 100)}")]
    remedy = (
        "See whether that much was deleted on purpose. Until somebody says so ('downtime backup --accept-smaller'), "
        "the last sets that are whole are kept."
    )
    lines = [warning("previous-set", str(one), remedy) for one in shrinking.shrunk(manifest, earlier)]
    return lines or [passed("previous-set", f"nothing is lacking or shrank by half since set {before}")]
