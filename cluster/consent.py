"""To what a person agreed: an answer holds for the workloads that it was shown, and for no other. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from cluster import names
from cluster.errors import Misused
from cluster.options import Interactive
from cluster.plan import Workload
from cluster.record import Record, Subject
from cluster.workload_kinds import needs_approval

ALLOW = "allow"
"""The answer that lets pods that tolerate the drain taint go down with the machine; its items are namespace/name."""


def digest_of(items: Iterable[Workload | str]) -> str:
    """What makes two sets of workloads the same: a hash of their sorted keys."""
    keys = {item if isinstance(item, str) else item.key for item in items}
    return names.digest("\n".join(sorted(keys)))


def require_typed(node: str, typed: str, code: str, what_for: str) -> None:
    """Refuse another name than the node's, where a person types it so that a slip of the hand says nothing.

    Args:
        typed: as the person typed it.
        code: the error's.
        what_for: what it was typed to do, as the end of a sentence.

    Raises:
        Misused: it is another name.
    """
    if typed.strip() != node:
        raise Misused(
            code,
            f"{typed.strip()[:60]!r} was typed to {what_for}. Nothing was written.",
            f"Type exactly {node}, if that is the node that is meant.",
        )


def agreed(record: Record | None, subject: Subject, answer: str) -> frozenset[str]:
    """All items to which this answer was given, and not another one since."""
    last: dict[str, str] = {}
    for approval in record.approvals if record is not None else ():
        if approval.subject == subject:
            last.update(dict.fromkeys(approval.items, approval.answer))
    return frozenset(item for item, given in last.items() if given == answer)


def unapproved(workloads: Iterable[Workload], record: Record | None, interactive: Interactive) -> tuple[Workload, ...]:
    """The workloads about which a person must still be asked before the node is tainted.

    Those that tolerate the drain taint are not among them: the drain leaves them alone, and the shutdown asks anew.
    """
    if interactive == "evict":
        return ()
    given = agreed(record, "interactive", "evict")
    return tuple(one for one in workloads if needs_approval(one.kind) and one.fate != "stays" and one.key not in given)
