"""What a person confirms by typing the node's name before a plan is performed: a removal, an unproven machine. Pure.

Neither can be undone. The answer holds for what was shown: for these losses, and for this machine.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cluster import consent
from cluster.errors import Blocked
from cluster.options import Options, RemoveOptions
from cluster.plan import Plan
from cluster.question import Answer, Question
from cluster.record import Approval, Subject

_TAKEN_AWAY: dict[str, Subject] = {"unconfirmed-machine": "rejoin"}
"""The blockers that a person's word takes away, and what that is about."""
_FIELDS: dict[Subject, str] = {"removal": "confirmed", "rejoin": "confirmed"}
"""The option that keeps the name that was typed."""


def question(plan: Plan, options: Options) -> Question | None:
    """What is to be confirmed before this plan is performed; None: nothing, or it is blocked anyway."""
    if isinstance(options, RemoveOptions) and plan.feasible and not (options.confirmed or plan.continued):
        losses = [f"{one.what} {one.name}" for one in plan.losses]
        return Question("removal", plan.node, consent.digest_of([plan.node, *losses]), losses=plan.losses)
    if not plan.blockers or not all(one.code in _TAKEN_AWAY for one in plan.blockers):
        return None
    first = plan.blockers[0]
    subject = _TAKEN_AWAY[first.code]
    if getattr(options, _FIELDS[subject]):
        return None  # another name was typed
    return Question(subject, plan.node, consent.digest_of([plan.node, first.message]), found=first.message)


def confirmed(options: Options, asked: Question, answer: Answer) -> Options:
    """The options with what a person typed.

    Raises:
        Blocked: it was not the node's name: nothing was changed.
    """
    if answer.given != "confirmed":
        raise Blocked(
            "not-confirmed",
            f"{asked.node} was not confirmed by its name. Nothing was changed.",
            "Run the same again, when it is the right one.",
        )
    return options.model_copy(update={_FIELDS[asked.subject]: asked.node})


def continued(plan: Plan, options: Options) -> Options:
    """The options of a removal that goes on: its record says that it was confirmed."""
    again = plan.continued and isinstance(options, RemoveOptions) and not options.confirmed
    return options.model_copy(update={"confirmed": plan.node}) if again else options


def approval(asked: Question, answer: Answer) -> Approval:
    """The answer, as the record keeps it."""
    return Approval(
        subject=asked.subject,
        digest=asked.digest,
        items=asked.items or (asked.node,),
        answer=answer.given,
        who=answer.who,
        at=answer.at or datetime.now(UTC),
    )
