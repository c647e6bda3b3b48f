"""Deciding by a command of its own what a downtime asks: the answer goes into its record, and nothing else happens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from cluster import consent, local_outage, planning, undesignating, waiting
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Workload
from cluster.planned_case import Case
from cluster.record import Approval, Record


def interactive(downtime: Downtime, answer: Literal["evict", "refuse"], who: str) -> tuple[Workload, ...]:
    """Answer for the interactive work on the node that nobody agreed to evict yet; empty: there is nothing to decide.

    The answer holds for exactly the workloads that are there now.
    """
    record = downtime.record
    if record.aborted or record.done("taint") or "approve-workloads" not in downtime.steps:
        return ()
    _, plan = planning.look_again(downtime)
    asked = consent.unapproved(plan.workloads, record, downtime.options.interactive)
    if asked:
        items = tuple(one.key for one in asked)
        _write(
            downtime,
            Approval(
                subject="interactive", digest=consent.digest_of(asked), items=items, answer=answer, who=who, at=_now()
            ),
        )
    return asked


def tolerating(downtime: Downtime, why: str, who: str) -> tuple[str, ...]:
    """Allow the pods that tolerate the drain to go down with the machine; empty: there are none (any more).

    Args:
        why: kept in the record.
    """
    options = downtime.options
    last = "reset-host" if isinstance(options, RemoveOptions) else "shut-down"
    if downtime.record.aborted or downtime.record.done(last) or last not in downtime.steps:
        return ()
    if not isinstance(options, PlannedOptions | RemoveOptions):
        return ()
    seen, _ = planning.look_again(downtime)
    allowed = consent.agreed(downtime.record, "tolerating", consent.ALLOW)
    asked = tuple(pod for pod in _case(downtime, seen, options).tolerating if pod not in allowed)
    if asked:
        digest = consent.digest_of(asked)
        approval = Approval(subject="tolerating", digest=digest, items=asked, answer=consent.ALLOW, who=who, at=_now())
        _write(downtime, approval, f"{who} let pods that tolerate the drain go down with the machine: {why}")
    return asked


def outage(downtime: Downtime, typed: str, who: str) -> tuple[str, ...]:
    """Accept that system pods on a volume of the node itself are down as long as it is; empty: there are none.

    Args:
        typed: the node's name, as the person typed it.

    Raises:
        Misused: it is another name: nothing was written.
    """
    what_for = f"accept that system pods on a volume of {downtime.node} are down"
    consent.require_typed(downtime.node, typed, "not-accepted", what_for)
    if downtime.record.aborted or downtime.record.done("taint") or "approve-workloads" not in downtime.steps:
        return ()
    seen, _ = planning.look_again(downtime)
    asked = waiting.unaccepted(downtime, seen)
    if asked:
        digest = consent.digest_of(asked)
        answer = local_outage.ACCEPT
        _write(downtime, Approval(subject="outage", digest=digest, items=asked, answer=answer, who=who, at=_now()))
    return asked


def designation(downtime: Downtime, who: str) -> str:
    """Let the node that stands in stay a system node for good; its name, empty: there is none."""
    name = downtime.record.designated
    if name:
        digest, answer = consent.digest_of([name]), undesignating.KEEP
        _write(
            downtime,
            Approval(subject="designation", digest=digest, items=(name,), answer=answer, who=who, at=_now()),
        )
    return name


def _case(downtime: Downtime, seen: Observation, options: PlannedOptions | RemoveOptions) -> Case:
    return Case(seen, seen.node or {}, options, downtime.settings, downtime.record, downtime.steps)


def _write(downtime: Downtime, approval: Approval, note: str = "") -> None:
    def answered(old: Record) -> Record:
        new = old if approval in old.approvals else records_of.approved(old, approval)
        return records_of.noted(new, note) if note else new

    downtime.write(answered)


def _now() -> datetime:
    return datetime.now(UTC)
