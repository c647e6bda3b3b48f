"""GPUs that were removed on purpose: a person says that fewer than were recorded are enough, and it is written down.

Without that a node that lost one for good could never come back into service through this product.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from cluster import consent, events
from cluster import record as records_of
from cluster.errors import Blocked, Misused
from cluster.record import Approval, Record

if TYPE_CHECKING:
    from cluster.downtime import Downtime

SUBJECT: Literal["gpus"] = "gpus"
_ENOUGH = "enough"
_GIVEN = re.compile(r"(?:(?P<name>[a-z0-9][a-z0-9./-]{0,200})=)?(?P<count>[0-9]{1,4})")


def expected(record: Record) -> dict[str, int]:
    """The GPUs that were found before the downtime, or the fewer ones that a person said are enough. Pure."""
    counts = dict(record.found.gpus)
    for name, count in _accepted(record).items():
        if name in counts:
            counts[name] = min(count, counts[name])
    return counts


def parse(given: Iterable[str], recorded: dict[str, int]) -> dict[str, int]:
    """What is enough, by resource. Pure.

    Args:
        given: each ``N``, where one kind of GPU was recorded, or ``RESOURCE=N``.

    Raises:
        Misused: it is neither, names what was not recorded, or is no fewer.
    """
    kinds = {name: count for name, count in recorded.items() if count}
    found: dict[str, int] = {}
    for text in given:
        match = _GIVEN.fullmatch(text.strip())
        name = (match["name"] or (next(iter(kinds)) if len(kinds) == 1 else "")) if match else ""
        if match is None or name not in kinds or int(match["count"]) >= kinds[name]:
            raise Misused(
                "bad-gpus",
                f"{text[:60]!r} does not say how many GPUs are enough, fewer than were recorded: {_listed(kinds)}",
                "Give a number, as 6, or where there are several kinds a resource with one, as nvidia.com/gpu=6.",
            )
        found[name] = int(match["count"])
    return found


def accept(downtime: Downtime, given: Iterable[str], who: str) -> dict[str, int]:
    """Write down that fewer GPUs are enough; what was accepted.

    Raises:
        Misused: see :func:`parse`. Nothing was written.
        Blocked: ``gpus-seen``: they were waited for already.
    """
    record = downtime.record
    enough = parse(given, record.found.gpus)
    if "see-gpus" not in downtime.steps or record.done("see-gpus"):
        raise Blocked(
            "gpus-seen",
            f"The GPUs of {downtime.node} are not waited for in this downtime (any more)",
            f"'downtime status {downtime.node}' shows how far it is.",
        )
    items = tuple(f"{name}={count}" for name, count in sorted(enough.items()))
    digest, now = consent.digest_of([record.id, *items]), datetime.now(UTC)
    approval = Approval(subject=SUBJECT, digest=digest, items=items, answer=_ENOUGH, who=who, at=now)
    downtime.write(lambda old: old if approval in old.approvals else records_of.approved(old, approval))
    text = f"{who} accepted fewer GPUs: {', '.join(items)}; recorded were {_listed(record.found.gpus)}"
    events.emit(downtime.api, downtime.node, record.node_uid, "FewerGPUsAccepted", text, warning=True)
    return enough


def said_by(record: Record) -> str:
    """Who said last that fewer are enough; empty: nobody. Pure."""
    return next((one.who for one in reversed(record.approvals) if one.subject == SUBJECT), "")


def _accepted(record: Record) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in record.approvals:
        if one.subject == SUBJECT and one.answer == _ENOUGH:
            counts |= {name: int(count) for name, _, count in (item.partition("=") for item in one.items)}
    return counts


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
