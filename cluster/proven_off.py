"""Proof that a node's machine is off, for what would otherwise make its pods run twice: force-deleting them.

What proves it is decided in :mod:`cluster.power_proof`; here it is gathered, of a machine that does not answer, or
asked of a person. It is taken immediately before it is used, each time, and never from an earlier run.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cluster import consent, power_proof, reach
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Blocked
from cluster.power_proof import Confirmation
from cluster.question import Question
from cluster.record import Approval, Record
from cluster.waiting import nobody_to_ask

OFF = "off"
_MOST_ASKED = 5


def take(downtime: Downtime) -> str:
    """The proof that holds now, in words; empty: there is none.

    Raises:
        Blocked: ``power-mismatch``: the machine is said to be off, and answers. A person's word is void then.
    """
    status, now = reach.power(downtime).status(reach.host(downtime)), datetime.now(UTC)
    word = words_of(downtime.record, now)
    # That it does not answer is seen below, and only if it matters: it takes seconds.
    proof = power_proof.proven(status, None if word is None else _confirmation(downtime.node, word), now)
    if proof is None:
        return ""
    if not reach.see_silent(downtime, 10):
        if status.state != "off":
            # Else whatever is decided next of this machine would be refused for as long as the word holds.
            void(downtime)
        raise Blocked(
            "power-mismatch",
            f"The machine of {downtime.node} is said to be off, but something answers at "
            f"{reach.host(downtime).address}: it is on, or one of the two is another machine's",
            "Look at the machine; correct its address or its power controller in the configuration; then "
            f"'downtime resume {downtime.node}'.",
        )
    return proof.text


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
    for _ in range(_MOST_ASKED):
        found = _ask(downtime)
        if found:
            return found
    raise nobody_to_ask(question(downtime))


def question(downtime: Downtime) -> Question:
    """Whether its machine is off, as a person is asked."""
    # Each question is another one: the answer to an earlier one must not be found again by a run that is resumed.
    asked = sum(one.subject == "power-off" for one in downtime.record.approvals)
    digest = consent.digest_of([downtime.record.id, str(asked)])
    return Question("power-off", downtime.node, digest, patience_seconds=24 * 3600)


def _ask(downtime: Downtime) -> str:
    """Ask a person; the proof that this is now. Empty: the answer is older than it may be, as of a run that waited."""
    asked = question(downtime)
    if downtime.ask is None:
        raise nobody_to_ask(asked)
    answer = downtime.ask(asked)
    if answer.given != OFF:
        raise nobody_to_ask(asked)
    confirm(downtime, downtime.node, answer.who, answer.at)
    return take(downtime)


def confirm(downtime: Downtime, typed: str, who: str, at: datetime | None = None) -> None:
    """Write down that a person says that the machine is off.

    Args:
        typed: the node's name, as the person typed it.
        at: when that was; None: just now.

    Raises:
        Misused: it is another name: nothing was written.
    """
    what_for = f"confirm that the machine of {downtime.node} is off"
    consent.require_typed(downtime.node, typed, "not-confirmed", what_for)
    given = Approval(
        subject="power-off",
        digest=consent.digest_of([downtime.node]),
        items=(downtime.node,),
        answer=OFF,
        who=who,
        at=at or datetime.now(UTC),
    )
    downtime.write(lambda old: old if given in old.approvals else records_of.approved(old, given))


def words_of(record: Record, now: datetime) -> Approval | None:
    """The newest word of a person that still holds. Pure."""
    said = [one for one in record.approvals if one.subject == "power-off"]
    if not said or said[-1].answer != OFF:
        return None
    return said[-1] if power_proof.holds(_confirmation(record.node, said[-1]), now) else None


def _confirmation(node: str, word: Approval) -> Confirmation:
    """The approval names what was typed."""
    return Confirmation(node=node, typed=" ".join(word.items), who=word.who, at=word.at)


def void(downtime: Downtime) -> None:
    """Write down that the machine was seen on since a person said that it is off: that word holds no longer."""
    if words_of(downtime.record, datetime.now(UTC)) is None:
        return
    digest, at = consent.digest_of([downtime.node]), datetime.now(UTC)
    seen = Approval(subject="power-off", digest=digest, items=(downtime.node,), answer="on", who="downtime", at=at)
    downtime.write(lambda old: old if seen in old.approvals else records_of.approved(old, seen))
