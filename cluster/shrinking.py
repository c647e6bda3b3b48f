"""What shrank in a backup set, beside the largest that earlier sets of its cluster hold of it. Pure.

A database that was emptied is dumped as well as a full one, every night anew. So a set is not compared with the one
before alone, which may be as empty: a part that has half the size of the largest, or less, or that is not there any
more, makes it *smaller*, until a person accepts that. Then the accepted set is what later ones are compared with.

Sizes are compared in the clear, or of files that are both encrypted or both not: encryption alone changes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.manifest import Manifest, Part
from cluster.showing_sizes import size


@dataclass(frozen=True)
class Shrunk:
    """One part that is smaller than it was.

    Attributes:
        title: of the part.
        was, now: bytes; ``now`` None: it is not there any more.
        set: the id of the set that has the larger one.
    """

    title: str
    was: int
    now: int | None
    set: str

    def __str__(self) -> str:
        if self.now is None:
            return f"{self.title} was in set {self.set}, and is not in this one"
        return (
            f"{self.title} has {size(self.now)}, and had {size(self.was)} in set {self.set}: it shrank by half or more"
        )


def shrunk(manifest: Manifest, earlier: Sequence[Manifest]) -> tuple[Shrunk, ...]:
    """What is smaller than it was; nothing of a set that a person accepted as it is.

    Args:
        earlier: manifests of earlier sets of the same cluster, in whatever order.
    """
    if manifest.smaller_accepted_by:
        return ()
    now = {(part.kind, part.name): part for part in manifest.parts}
    found: dict[tuple[str, str], Shrunk] = {}
    for before in _since_accepted(earlier):
        for part in before.parts:
            key = part.kind, part.name
            if key not in now:
                found.setdefault(key, Shrunk(part.title, 0, None, before.id))
            elif (sizes := _halved(part, now[key])) and (key not in found or sizes[0] > found[key].was):
                found[key] = Shrunk(part.title, *sizes, before.id)
    return tuple(found.values())


def _since_accepted(earlier: Sequence[Manifest]) -> list[Manifest]:
    """From the newest on, to the newest that was accepted."""
    since: list[Manifest] = []
    for manifest in sorted(earlier, key=lambda each: (each.began, each.id), reverse=True):
        since.append(manifest)
        if manifest.smaller_accepted_by:
            break
    return since


def _halved(before: Part, now: Part) -> tuple[int, int] | None:
    """Both sizes, if the second is half of the first or less."""
    if before.contents is not None and now.contents is not None:
        was, is_ = before.contents.bytes, now.contents.bytes
    elif before.encrypted == now.encrypted and before.bytes is not None and now.bytes is not None:
        was, is_ = before.bytes, now.bytes
    else:
        return None
    return (was, is_) if was > 0 and is_ * 2 <= was else None
