"""Proof that a node's machine is off, for what would otherwise make its pods run twice: force-deleting them.

Proof is one of two things, and both only of a machine that does not answer: the power controller says *off*, or a
person confirmed it by typing the node's name, at most 15 minutes ago. A person's word does not stand against a power
controller that says *on*. Proof is taken immediately before it is used, each time, and never from an earlier run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster import consent, reach
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Blocked, Misused
from cluster.question import Question
from cluster.record import Approval, Record
from cluster.waiting import nobody_to_ask

HOLDS = timedelta(minutes=15)
"""How long a person's word holds: afterwards somebody else may have switched the machine on."""
OFF = "off"


def take(downtime: Downtime) -> str:
    """The proof that holds now, in words; empty: there is none.

    Raises:
        Blocked: ``power-mismatch``: the machine is said to be off, and answers. A person's word is void then.
    """
    state = reach.power(downtime).status(reach.host(downtime)).state
    word = words_of(downtime.record, datetime.now(UTC)) if state != "on" else None
    if state != "off" and word is None:
        return ""
    if not reach.see_silent(downtime, 10):
        if state != "off":
            # Else whatever is decided next of this machine would be refused for as long as the word holds.
            void(downtime)
        raise Blocked(
            "power-mismatch",
            f"The machine of {downtime.node} is said to be off, but something answers at "
            f"{reach.host(downtime).address}: it is on, or one of the two is another machine's",
            "Look at the machine; correct its address or its power controller in the configuration; then "
            f"'downtime resume {downtime.node}'.",
        )
    if state == "off":
        return "the power controller says off"
    return f"{word.who} confirmed at {word.at:%H:%M:%S} UTC that it is off" if word is not None else ""


def require(downtime: Downtime) -> str:
    """The same; where there is none, a person is asked.

    Raises:
        Blocked: ``still-on``: the power controller says that it is on; ``power-mismatch``.
        Waiting: there is nobody to ask.
    """
    found = take(downtime)
    if found:
        return found
    if reach.power(downtime).status(reach.host(downtime)).state == "on":
        raise Blocked(
            "still-on",
            f"The power controller says that the machine of {downtime.node} is on: what comes next needs it off",
            f"Switch it off, then 'downtime resume {downtime.node}'.",
        )
    # Each question is another one: the answer to an earlier one must not be found again by a run that is resumed.
    asked = sum(one.subject == "power-off" for one in downtime.record.approvals)
    digest = consent.digest_of([downtime.record.id, str(asked)])
    question = Question("power-off", downtime.node, digest, patience_seconds=24 * 3600)
    if downtime.ask is None:
        raise nobody_to_ask(question)
    answer = downtime.ask(question)
    if answer.given != OFF:
        raise nobody_to_ask(question)
    confirm(downtime, downtime.node, answer.who)
    found = take(downtime)
    if not found:
        raise nobody_to_ask(question)
    return found


def confirm(downtime: Downtime, typed: str, who: str) -> None:
    """Write down that a person says that the machine is off.

    Args:
        typed: the node's name, as the person typed it.

    Raises:
        Misused: it is another name: nothing was written.
    """
    if typed.strip() != downtime.node:
        raise Misused(
            "not-confirmed",
            f"{typed.strip()[:60]!r} was typed to confirm that the machine of {downtime.node} is off",
            f"Type exactly {downtime.node}, if that is the machine that is off.",
        )
    given = Approval(
        subject="power-off",
        digest=consent.digest_of([downtime.node]),
        items=(downtime.node,),
        answer=OFF,
        who=who,
        at=datetime.now(UTC),
    )
    downtime.write(lambda old: old if given in old.approvals else records_of.approved(old, given))


def words_of(record: Record, now: datetime) -> Approval | None:
    """The newest word of a person that still holds. Pure."""
    said = [one for one in record.approvals if one.subject == "power-off"]
    holds = bool(said) and said[-1].answer == OFF and timedelta(0) <= now - said[-1].at <= HOLDS
    return said[-1] if holds else None


def void(downtime: Downtime) -> None:
    """Write down that the machine was seen on since a person said that it is off: that word holds no longer."""
    if words_of(downtime.record, datetime.now(UTC)) is None:
        return
    digest, at = consent.digest_of([downtime.node]), datetime.now(UTC)
    seen = Approval(subject="power-off", digest=digest, items=(downtime.node,), answer="on", who="downtime", at=at)
    downtime.write(lambda old: old if seen in old.approvals else records_of.approved(old, seen))
