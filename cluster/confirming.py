"""What a person says before a plan is performed, where that alone forbids it or it cannot be undone. Pure.

The node's name is typed for a removal, for a machine that nothing proves, and to accept that etcd loses its last spare
member; of a system node that no other can take over from a person names the one that stands in. The answer holds for
what was shown: for these losses, for this machine, for these candidates. Whoever goes on with a downtime is asked
nothing that its record answers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cluster import consent, lost_tolerance
from cluster.errors import Blocked
from cluster.lost_tolerance import NO_TOLERANCE
from cluster.options import Options, RejoinOptions, RemoveOptions
from cluster.plan import Plan
from cluster.question import Answer, Question
from cluster.record import Approval
from cluster.taking_over import NEEDS_ANOTHER

DESIGNATE = "designate"
"""The answer that names the node that stands in; its item is that node."""
_UNCONFIRMED = "unconfirmed-machine"


def question(plan: Plan, options: Options) -> Question | None:
    """What is to be asked next before this plan is performed; None: nothing (more), or it is blocked anyway."""
    for about in _QUESTIONS:
        asked = about(plan, options)
        if asked is not None:
            return asked
    return None


def _about_stand_in(plan: Plan, options: Options) -> Question | None:
    if plan.continued or isinstance(options, RejoinOptions) or options.designate:
        return None
    if not _forbidden_only_by(plan, NEEDS_ANOTHER) or not any(one.room for one in plan.candidates):
        return None
    offered = [one.name for one in plan.candidates if one.room]
    return Question(
        "designation",
        plan.node,
        consent.digest_of([plan.node, *offered]),
        found=plan.blockers[0].message,
        candidates=plan.candidates,
    )


def _about_tolerance(plan: Plan, options: Options) -> Question | None:
    """Of a downtime that goes on as well: a member of etcd may have failed since it began."""
    if isinstance(options, RejoinOptions) or lost_tolerance.chosen(options) == plan.node:
        return None
    if not _forbidden_only_by(plan, {NO_TOLERANCE}):
        return None
    about = lost_tolerance.digest(plan.node, options)
    return Question("lost-tolerance", plan.node, about, found=plan.blockers[0].message)


def _about_removal(plan: Plan, options: Options) -> Question | None:
    if not isinstance(options, RemoveOptions) or not plan.feasible or options.confirmed or plan.continued:
        return None
    losses = [f"{one.what} {one.name}" for one in plan.losses]
    return Question("removal", plan.node, consent.digest_of([plan.node, *losses]), losses=plan.losses)


def _about_machine(plan: Plan, options: Options) -> Question | None:
    if not isinstance(options, RejoinOptions) or options.confirmed or not _forbidden_only_by(plan, {_UNCONFIRMED}):
        return None  # or another name was typed
    found = plan.blockers[0].message
    return Question("rejoin", plan.node, consent.digest_of([plan.node, found]), found=found)


_QUESTIONS: tuple[Callable[[Plan, Options], Question | None], ...] = (
    _about_stand_in,
    _about_tolerance,
    _about_removal,
    _about_machine,
)


def _forbidden_only_by(plan: Plan, codes: frozenset[str] | set[str]) -> bool:
    return bool(plan.blockers) and all(one.code in codes for one in plan.blockers)


def confirmed(options: Options, asked: Question, answer: Answer) -> Options:
    """The options with what a person said; the same ones: they said nothing, and what forbids the plan stands.

    Raises:
        Blocked: it was not the node's name, where that confirms what cannot be undone: nothing was changed.
    """
    if asked.subject == "designation":
        return options.model_copy(update={"designate": answer.named}) if answer.named else options
    if asked.subject == "lost-tolerance":
        accepted = answer.given == lost_tolerance.ACCEPT
        return options.model_copy(update={"accept_lost_tolerance": asked.node}) if accepted else options
    if answer.given != "confirmed":
        raise Blocked(
            "not-confirmed",
            f"{asked.node} was not confirmed by its name. Nothing was changed.",
            "Run the same again, when it is the right one.",
        )
    return options.model_copy(update={"confirmed": asked.node})


def continued(plan: Plan, options: Options) -> Options:
    """The options of a removal that goes on: its record says that it was confirmed."""
    again = plan.continued and isinstance(options, RemoveOptions) and not options.confirmed
    return options.model_copy(update={"confirmed": plan.node}) if again else options


def approval(asked: Question, answer: Answer) -> Approval:
    """The answer, as the record keeps it."""
    return Approval(
        subject=asked.subject,
        digest=asked.digest,
        items=(answer.named,) if answer.named else asked.items or (asked.node,),
        answer=answer.given,
        who=answer.who,
        at=answer.at or datetime.now(UTC),
    )
