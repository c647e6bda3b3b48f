"""Deciding by a command of its own what a downtime asks: the answer goes into its record, and nothing else happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cluster import (
    consent,
    interactive_questions,
    local_outage,
    planning,
    suspension,
    undesignating,
    waiting,
)
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Misused
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Plan, Workload
from cluster.planned_case import Case
from cluster.question import Answer, Decision, Question
from cluster.record import Approval, Asked, Record


@dataclass(frozen=True)
class Decided:
    """What a person decides about interactive work.

    Attributes:
        each: by decision, the workloads that are named for it: ``namespace/name``, or their whole keys.
        rest: about all that are not named, and not decided yet; None: nothing.
        now: what is evicted or suspended is so although the notice period is not over.
    """

    each: Mapping[Decision, Sequence[str]]
    rest: Literal["evict", "refuse"] | None = None
    now: bool = False


def interactive(downtime: Downtime, decided: Decided, who: str) -> dict[str, list[str]]:
    """Write down what was decided about the interactive work that is on the node now; by answer, what it is about.

    Raises:
        Misused: what is named is not there, is named twice, or cannot be suspended: nothing was written.
    """
    words: list[str] = [*decided.each, *([decided.rest] if decided.rest else [])]
    found: dict[str, list[str]] = {word: [] for word in words}
    if not waiting.asks_about_workloads(downtime):
        return found
    _, plan = planning.look_again(downtime)
    there = consent.interactive_work(plan.workloads)
    for word, names in decided.each.items():
        found[word] += interactive_questions.resolved(list(names), there)
    named = [key for keys in found.values() for key in keys]
    _require_once(named)
    if found.get("suspend"):
        suspension.require(downtime)
    if decided.rest:
        found[decided.rest] += [one.key for one in _rest(downtime, plan, decided) if one.key not in named]
    shown = Asked(
        digest=consent.digest_of(key for keys in found.values() for key in keys),
        items=tuple(key for keys in found.values() for key in keys),
    )
    each = {key: word for word, keys in found.items() for key in keys}
    answer = Answer("evict", who, each=each, now=decided.now, shown=shown)
    if shown.items:
        _write(downtime, *interactive_questions.approvals(Question("interactive", downtime.node, ""), answer))
    return found


def _rest(downtime: Downtime, plan: Plan, decided: Decided) -> tuple[Workload, ...]:
    """What is left to decide about. Who refuses refuses all; who agrees leaves alone what its owner is waited for."""
    if decided.rest == "refuse":
        return consent.unapproved(plan.workloads, downtime.record, downtime.options.interactive)
    left = waiting.standing(downtime, plan)
    suspends = consent.agreed(downtime.record, "interactive", consent.SUSPEND)
    held = tuple(one for one, _ in left.held if one.key not in suspends) if decided.now else ()
    return (*left.asks, *held)


def _require_once(named: list[str]) -> None:
    twice = sorted({key for key in named if named.count(key) > 1})
    if twice:
        raise Misused(
            "decided-twice", f"Two things were decided about {', '.join(twice)}. Nothing was written", "Choose one."
        )


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
        _write(downtime, approval, note=f"{who} let pods that tolerate the drain go down with the machine: {why}")
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


def _write(downtime: Downtime, *approvals: Approval, note: str = "") -> None:
    def answered(old: Record) -> Record:
        new = records_of.with_answers(old, approvals)
        return records_of.noted(new, note) if note else new

    downtime.write(answered)


def _now() -> datetime:
    return datetime.now(UTC)
