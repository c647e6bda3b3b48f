"""The forms in which a served run asks a person: one for each subject, with the question's text above its fields.

Where the node's name is to be typed, the form itself refuses any other text, and the run stays suspended.
"""

from datetime import datetime
from typing import Any, Literal

from prefect.input import RunInput
from pydantic import Field, create_model

from cluster.question import TYPED, Answer, Question
from cluster.record import Subject


class _Form(RunInput):
    who: str = Field(title="Your name", description="Kept in the record.", min_length=1, max_length=100)


class WorkloadsAnswer(_Form):
    """What is to happen with the interactive work that is listed above."""

    decision: Literal["evict", "refuse"] = Field(
        title="Decision",
        description="evict: their owners know and have saved; they are deleted with the drain. "
        "refuse: nothing is evicted, and the node is not drained.",
    )


class ReturnAnswer(_Form):
    """The work on the machine is done."""

    work: Literal["done"] = Field(
        title="Work", description="done: the machine may be switched on (or is on already) and return to service."
    )


class MachineAnswer(_Form):
    """What is to be done with a machine that answers although its node is down."""

    decision: Literal["restart", "shut-down", "leave"] = Field(
        title="Machine",
        description="restart: its kubelet is restarted over SSH. shut-down: it is shut down over SSH, after it has "
        "proven to be the node. leave: nothing is done with it, and nothing of it is released.",
    )


class StandInAnswer(_Form):
    """The node that stands in as a system node, typed: one of those that are listed above."""

    designate: str


class TypedAnswer(_Form):
    """The node's name, typed."""

    confirm_node: str


_CHOSEN: dict[Subject, type[_Form]] = {
    "interactive": WorkloadsAnswer,
    "return": ReturnAnswer,
    "dead-kubelet": MachineAnswer,
}
_TYPED = {
    "power-off": ("Node that is off", "Type the name of the node. If its machine runs, its pods will run twice."),
    "removal": ("Node that goes for good", "Type the name of the node, to remove it for good."),
    "rejoin": ("Node that the machine is to be", "Type the name of the node, if it is the right machine."),
    "lost-tolerance": ("Node that goes all the same", "Type the name of the node, if no further member may fail then."),
    "outage": ("Node that may take them down", "Type the name of the node, to accept that they are down with it."),
}
_SAID: dict[Subject, Literal["off", "confirmed", "accept"]] = {
    "power-off": "off",
    "outage": "accept",
    "lost-tolerance": "accept",
}
"""What the typed name says, where that is not ``confirmed``."""


def of(question: Question) -> type[_Form]:
    """The form for a question."""
    if question.subject in TYPED:
        return _typed(question)
    if question.subject == "designation":
        return _stand_in(question)
    return _CHOSEN[question.subject]


def _typed(question: Question) -> type[TypedAnswer]:
    title, text = _TYPED[question.subject]
    field = _name(title, text, question.node)
    return create_model("TypedAnswer", __base__=TypedAnswer, confirm_node=(str, field))


def _stand_in(question: Question) -> type[StandInAnswer]:
    text = f"Type the name of one of those with room that are listed above. It takes over from {question.node}."
    field = _name("Node that becomes a Run:ai system node first", text, *question.offered)
    return create_model("StandInAnswer", __base__=StandInAnswer, designate=(str, field))


def _name(title: str, text: str, *names: str) -> Any:
    """A field that takes one of these names, and refuses any other text."""
    # A node's name has no special character but the dot; an escape that a browser's dialect lacks would break the form.
    one_of = "|".join(name.replace(".", "[.]") for name in names)
    pattern = f"^({one_of})$" if len(names) > 1 else f"^{one_of}$"
    return Field(title=title, description=text, pattern=pattern, min_length=1, max_length=253)


def answer(question: Question, given: _Form, at: datetime | None) -> Answer:
    """What was answered in the form."""
    match given:
        case TypedAnswer():
            said: Literal["off", "confirmed", "accept"] = _SAID.get(question.subject, "confirmed")
            return Answer(said if given.confirm_node == question.node else "refuse", given.who, at)
        case StandInAnswer():
            return Answer("designate", given.who, at, given.designate)
        case WorkloadsAnswer() | MachineAnswer():
            return Answer(given.decision, given.who, at)
        case _:
            return Answer("done", given.who, at)
