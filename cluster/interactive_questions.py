"""The question what is to happen with interactive work, and the answers to it as the record keeps them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from cluster import consent, notice
from cluster.errors import Blocked, Misused, Waiting
from cluster.plan import Workload
from cluster.question import Answer, Decision, Question
from cluster.record import Approval, Record
from cluster.showing_time import moment


def of(record: Record, asking: tuple[Workload, ...], patience_seconds: int, *, suspend: bool) -> Question:
    """The question about this work.

    Args:
        suspend: whether Run:ai can be asked to suspend it.
    """
    keys = [one.key for one in asking]
    digest = consent.digest_of_question(asking, record)
    given = consent.last_answers(record, "interactive")
    choices: tuple[Decision, ...] = ("evict", "wait", "suspend") if suspend else ("evict", "wait")
    tried = [one for one in record.obstacles if one.item in given and one.hinders(one.item, given[one.item].at)]
    said = [
        *notice.said(record.notices, keys),
        *(
            f"{given[key].who} chose at {moment(given[key].at)} to wait until {key} is stopped: it still runs"
            for key in keys
            if key in given and given[key].answer == consent.WAIT
        ),
        *(f"{one.item} could not be suspended: {one.said}" for one in tried if one.item in keys),
    ]
    return Question(
        "interactive",
        record.node,
        digest,
        asking,
        patience_seconds=patience_seconds,
        choices=choices,
        notice_ends=max(
            (one.until for one in record.notices if one.until > one.at and set(keys) & set(one.items)), default=None
        ),
        said=tuple(said),
        hindered=any(one.item in keys for one in tried),
        earlier=record.asked if record.asked is not None and record.asked.digest != digest else None,
    )


def approvals(question: Question, answer: Answer) -> tuple[Approval, ...]:
    """An answer as the record keeps it: one for each thing that was decided, with what it was decided about."""
    at = answer.at or datetime.now(UTC)
    shown = answer.shown
    digest, items = (shown.digest, shown.items) if shown is not None else (question.digest, question.items)
    decided: dict[str, list[str]] = {}
    for item in items:
        decided.setdefault(_word(answer.each.get(item, answer.given), now=answer.now), []).append(item)
    if not items:
        decided[answer.given] = []
    return tuple(
        Approval(subject=question.subject, digest=digest, items=tuple(about), answer=said, who=answer.who, at=at)
        for said, about in decided.items()
    )


def _word(given: str, *, now: bool) -> str:
    return f"{given}-now" if now and given in (consent.EVICT, consent.SUSPEND) else given


def nobody_to_ask(question: Question) -> Waiting:
    """The end of a run that can ask nobody about interactive work."""
    node = question.node
    said = f". {'. '.join(question.said)}" if question.said else ""
    return Waiting(
        "waiting-for-decision",
        f"Somebody has to decide about interactive work on {node}: {named(question.workloads)}. The node is cordoned, "
        f"nothing was evicted{said}",
        f"Talk to the owners; then 'downtime decide {node} --interactive evict' (or refuse), or for each "
        f"{_flags(question)}, and 'downtime resume {node}'.{_now(question)}",
    )


def hindered(question: Question) -> Blocked:
    """The end of a run that could not carry out what was decided, and can ask nobody what to do instead."""
    node = question.node
    return Blocked(
        "not-suspended",
        f"Interactive work on {node} was not suspended, and is undecided again: {named(question.workloads)}. "
        f"{'. '.join(question.said)}. The node is cordoned, and nothing was evicted instead",
        f"See to Run:ai's API, then 'downtime decide {node} --suspend NAMESPACE/NAME' tries again; or decide --wait or "
        f"--evict; then 'downtime resume {node}'.",
    )


def named(workloads: tuple[Workload, ...]) -> str:
    """Workloads in a sentence, with their owners."""
    return ", ".join(f"{one.namespace}/{one.name} ({one.owner or 'owner unknown'})" for one in workloads[:10])


def _flags(question: Question) -> str:
    return " or ".join(f"--{choice} NAMESPACE/NAME" for choice in question.choices)


def _now(question: Question) -> str:
    return (
        " What is decided is done after the notice period; with --now it is done at once."
        if question.notice_ends is not None
        else ""
    )


def resolved(names: list[str], there: tuple[Workload, ...]) -> tuple[str, ...]:
    """The keys of workloads that a person named, as ``namespace/name`` or by the whole key.

    Raises:
        Misused: there is none of this name, or several: with what can be named.
    """
    return tuple(_one(name.strip(), there) for name in names)


def _one(name: str, there: tuple[Workload, ...]) -> str:
    found = [one.key for one in there if name in (one.key, f"{one.namespace}/{one.name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise Misused(
            "several-workloads",
            f"{name[:300]!r} names several workloads. Nothing was written",
            f"Name one of {', '.join(found)}.",
        )
    can = ", ".join(f"{one.namespace}/{one.name}" for one in there[:20])
    raise Misused(
        "no-such-workload",
        f"{name[:300]!r} is no interactive work that is decided about here. Nothing was written",
        f"There is: {can}." if can else "There is none (any more).",
    )
