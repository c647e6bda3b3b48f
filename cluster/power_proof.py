"""Proof that a machine is off: the one thing that allows what would be a split brain on a machine that runs. Pure.

With it, and only with it, the out-of-service taint may be set and the Node of an unreachable host deleted: both make
Kubernetes start a stateful pod a second time. Proof is

- the power controller, which says ``off`` now; or
- a person who typed the node's name to say so, within the last fifteen minutes. Longer ago somebody else may have
  switched it on again.

A controller that says ``on`` refutes any person, and a host that answers refutes everybody. Silence proves nothing: it
is the same as seen from a machine without a network. Proof is taken again right before each use, on resume too.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster.plan import Finding
from cluster.power import PowerStatus

VALID = timedelta(minutes=15)
# The clocks of two machines differ a little; what was confirmed later than that was not confirmed yet.
_CLOCK_SKEW = timedelta(minutes=1)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Confirmation(_Model):
    """A person's word that the machine has no power."""

    node: str = Field(description="The node that it was asked for.")
    typed: str = Field(description="What the person typed: the node's name.")
    who: str
    at: AwareDatetime


class Proof(_Model):
    """Why it is known to be off."""

    by: Literal["power-status", "person"]
    text: str = Field(description="For the record: who says so, and when.")
    at: AwareDatetime


def proven(
    status: PowerStatus, confirmation: Confirmation | None, now: AwareDatetime, *, host_answers: bool = False
) -> Proof | None:
    """The proof that the machine is off now; None: there is none.

    Args:
        status: what the power controller said just now; ``unknown`` where there is none.
        confirmation: what a person said last, if anybody did.
        now: the time, with a time zone.
        host_answers: whether the machine itself answered, over SSH or by a renewed lease, since it is said to be off.
    """
    if host_answers or status.state == "on":
        return None
    if status.state == "off":
        return Proof(by="power-status", text=f"the power controller says off ({_utc(now)})", at=now)
    if confirmation is None or not holds(confirmation, now):
        return None
    return Proof(
        by="person",
        text=f"{confirmation.who} confirmed by name that {confirmation.node} has no power ({_utc(confirmation.at)})",
        at=confirmation.at,
    )


def holds(confirmation: Confirmation, now: AwareDatetime) -> bool:
    """Whether a person's word counts now: the right name, by somebody, at most fifteen minutes ago."""
    age = now - confirmation.at
    named = confirmation.typed.strip() == confirmation.node and bool(confirmation.node)
    return named and bool(confirmation.who.strip()) and -_CLOCK_SKEW <= age <= VALID


def missing(
    node: str, status: PowerStatus, confirmation: Confirmation | None, now: AwareDatetime, *, host_answers: bool = False
) -> list[Finding]:
    """Why there is no proof, as a blocker; none where :func:`proven` has one. Arguments as there."""
    if proven(status, confirmation, now, host_answers=host_answers) is not None:
        return []
    if host_answers:
        code, why = "not-off", f"{node} is said to be off, but its machine answers"
        remedy = (
            "Find out which machine answers. If it is this one, it is not off: shut it down, or restart its kubelet."
        )
    elif status.state == "on":
        code, why = "not-off", f"The power controller says that {node} is on"
        remedy = "Cut its power, or shut it down, first."
    else:
        code = "no-proof-of-power-off"
        said = f": {status.reason}" if status.reason else ""
        why = f"It is not proven that {node} is off: no power controller says so{said}, and {_word(confirmation, now)}"
        remedy = (
            f"Make sure with your own eyes that it has no power, then confirm it by typing the node's name, {node}."
        )
    return [Finding(code=code, message=why, remedy=remedy)]


def _word(confirmation: Confirmation | None, now: AwareDatetime) -> str:
    if confirmation is None:
        return "nobody confirmed it"
    if confirmation.typed.strip() != confirmation.node:
        return "what was typed to confirm it is not the node's name"
    if now - confirmation.at > VALID:
        return (
            f"{confirmation.who} confirmed it at {_utc(confirmation.at)}, longer ago than "
            f"{VALID.total_seconds() / 60:.0f} minutes"
        )
    return "the confirmation has no name, or a time that is still to come"


def _utc(time: AwareDatetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
