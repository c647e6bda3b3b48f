"""To what a person agreed: an answer holds for the workloads that it was shown, and for no other. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cluster import names, notice
from cluster.errors import Misused
from cluster.options import Interactive
from cluster.plan import Workload
from cluster.record import Approval, Record, Subject
from cluster.workload_kinds import needs_approval

EVICT, EVICT_NOW, WAIT, SUSPEND, SUSPEND_NOW, REFUSE = "evict", "evict-now", "wait", "suspend", "suspend-now", "refuse"
"""What a person decides about interactive work; ``now``: although its notice period is not over."""
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


def last_answers(record: Record | None, subject: Subject) -> dict[str, Approval]:
    """The newest answer about each item."""
    found: dict[str, Approval] = {}
    for approval in record.approvals if record is not None else ():
        if approval.subject == subject:
            found.update(dict.fromkeys(approval.items, approval))
    return found


def agreed(record: Record | None, subject: Subject, *answers: str) -> frozenset[str]:
    """All items to which one of these answers was given, and not another one since."""
    return frozenset(item for item, one in last_answers(record, subject).items() if one.answer in answers)


def may_go(record: Record | None) -> frozenset[str]:
    """The interactive work to whose eviction somebody agreed, and did not say something else since."""
    return agreed(record, "interactive", EVICT, EVICT_NOW)


def interactive_work(workloads: Iterable[Workload]) -> tuple[Workload, ...]:
    """The work that a person is asked about, as far as the drain takes it away.

    What tolerates the drain taint is not part of it: the drain leaves it alone, and the shutdown asks anew.
    """
    return tuple(one for one in workloads if needs_approval(one.kind) and one.fate != "stays")


def unapproved(workloads: Iterable[Workload], record: Record | None, interactive: Interactive) -> tuple[Workload, ...]:
    """The workloads to whose eviction nobody agreed yet: the node is not tainted while one of them is there.

    What was chosen at the start agrees to all of them but those about which a person said something else since.
    """
    last = last_answers(record, "interactive")
    asking = interactive_work(workloads)
    if interactive == "evict":
        return tuple(one for one in asking if one.key in last and last[one.key].answer not in (EVICT, EVICT_NOW))
    return tuple(one for one in asking if one.key not in last or last[one.key].answer not in (EVICT, EVICT_NOW))


@dataclass(frozen=True)
class Standing:
    """What there is to do about the interactive work on a node, before it is drained.

    Attributes:
        asks: what a person must be asked about (again).
        waits: what its owner is waited for to stop, each with when the person is asked again.
        suspends: what is to be suspended now.
        held: what somebody agreed to evict or to suspend, each with when its notice period is over.
    """

    asks: tuple[Workload, ...] = ()
    waits: tuple[tuple[Workload, datetime], ...] = ()
    suspends: tuple[Workload, ...] = ()
    held: tuple[tuple[Workload, datetime], ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do or to wait for."""
        return not (self.asks or self.waits or self.suspends or self.held)

    @property
    def next(self) -> datetime | None:
        """When the first of what is waited for is over by itself; None: nothing is waited for."""
        return min((when for _, when in (*self.waits, *self.held)), default=None)


def standing(
    workloads: Iterable[Workload], record: Record, interactive: Interactive, now: datetime, wait: timedelta
) -> Standing:
    """What there is to do about the interactive work on the node, by what was decided about each.

    Args:
        wait: how long the owner of what is waited for may take before the person is asked again.
    """
    last = last_answers(record, "interactive")
    found: dict[str, list[Any]] = {"asks": [], "waits": [], "suspends": [], "held": []}
    for one in interactive_work(workloads):
        given = last.get(one.key)
        answer = given.answer if given is not None else EVICT if interactive == "evict" else ""
        ends = notice.until(one.key, record.notices)
        held = ends is not None and ends > now and answer in (EVICT, SUSPEND)
        if answer == WAIT and given is not None and given.at + wait > now:
            found["waits"].append((one, given.at + wait))
        elif answer in (SUSPEND, SUSPEND_NOW) and given is not None and not _hindered(one.key, given, record):
            found["held" if held else "suspends"].append((one, ends) if held else one)
        elif answer in (EVICT, EVICT_NOW):
            if held:
                found["held"].append((one, ends))
        else:
            found["asks"].append(one)
    return Standing(**{name: tuple(items) for name, items in found.items()})


def meant_by_rest(
    there: Iterable[Workload], record: Record, left: Standing, answer: str, *, now: bool
) -> tuple[Workload, ...]:
    """The work that a person means who names none: consent never reaches what somebody decided otherwise about.

    Args:
        there: the interactive work on the node.
        left: what there is to do about it.
        answer: ``evict``: what a person is asked about, and with ``now`` what waits for the end of its notice period
            to be evicted. ``refuse``: all of it, whatever was agreed to before.
    """
    if answer == REFUSE:
        return tuple(there)
    last = last_answers(record, "interactive")
    held = [one for one, _ in left.held if one.key not in last or last[one.key].answer == EVICT] if now else []
    return (*left.asks, *held)


def _hindered(key: str, given: Approval, record: Record) -> bool:
    return any(one.hinders(key, given.at) for one in record.obstacles)


def digest_of_question(asked: Iterable[Workload], record: Record) -> str:
    """What makes two questions about interactive work the same: the work, and what was answered about it before."""
    keys = [one.key for one in asked]
    last = last_answers(record, "interactive")
    before = [f"{key} {last[key].answer} {last[key].at.isoformat()}" for key in keys if key in last]
    hindered = [f"{one.item} {one.at.isoformat()}" for one in record.obstacles if one.item in keys]
    return digest_of([*keys, *before, *hindered])
