"""The forms in which a served run asks a person: one for each subject, with the question's text above its fields.

Where the node's name is to be typed, the form itself refuses any other text, and the run stays suspended.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, cast

from prefect.input import RunInput
from pydantic import Field, create_model

from cluster.question import TYPED, Answer, Given, Question
from cluster.record import Asked, Subject


class _Form(RunInput):
    # A pattern and no validator: the server itself refuses the answer, and the run stays suspended.
    who: str = Field(title="Your name", description="Kept in the record.", pattern=r"\S", min_length=1, max_length=100)


class WorkloadsAnswer(_Form):
    """What is to happen with the interactive work that is listed above; by its fields also for each by itself."""

    decision: str


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
    if question.subject == "interactive":
        return of_workloads(question.items, question.choices, notice=question.notice_ends is not None)
    if question.subject in TYPED:
        return _typed(question)
    if question.subject == "designation":
        return _stand_in(question)
    return _CHOSEN[question.subject]


_WORDS: dict[str, str] = {
    "evict": "evict: its owner knows and has saved; it is deleted with the drain.",
    "wait": "wait: its owner stops it; the node is drained once it is gone.",
    "suspend": "suspend: Run:ai stops it, and this product has it started again afterwards.",
    "refuse": "refuse: nothing is evicted, and the node is not drained.",
}
_AS_ABOVE = "as-above"


def of_workloads(keys: Sequence[str], choices: Sequence[str], *, notice: bool) -> type[WorkloadsAnswer]:
    """The form about interactive work: a decision for all of it, and (of several) one for each that is to differ.

    Args:
        keys: of the workloads.
        notice: whether there is a notice period that the answer can cut short.
    """
    words = [*choices, "refuse"]
    said = " ".join(_WORDS[word] for word in words)
    several = " Of all that have no decision of their own below." if len(keys) > 1 else ""
    fields: dict[str, Any] = {"decision": (_literal(words), Field(title="Decision", description=f"{said}{several}"))}
    if notice:
        text = "Although the notice period that was told to the owners is not over: what is decided is done at once."
        fields["now"] = (bool, Field(default=False, title="Now", description=text))
    if len(keys) > 1:
        one = _literal([_AS_ABOVE, *choices])
        for name, key in field_names(keys).items():
            field = Field(default=_AS_ABOVE, title=_short(key), description=f"What is to happen with {key}.")
            fields[name] = (one, field)
    return create_model("WorkloadsAnswer", __base__=WorkloadsAnswer, **fields)


def field_names(keys: Sequence[str]) -> dict[str, str]:
    """What the fields for workloads are called, and whose each is: namespace and name, in letters that a form takes."""
    found: dict[str, str] = {}
    for key in keys:
        name = _identifier(_short(key))
        # Two kinds of one name, or names that differ in a dot alone.
        name = name if name not in found else _identifier(key)
        while name in found:
            name += "_"
        found[name] = key
    return found


def _short(key: str) -> str:
    namespace, _, rest = key.partition("/")
    return f"{namespace}/{rest.rpartition('/')[2]}"


def _identifier(text: str) -> str:
    # A field must not begin with an underscore or a digit, nor be called like one of the others.
    return "on_" + re.sub(r"[^a-z0-9]", "_", text.lower())


def _literal(words: Sequence[str]) -> Any:
    return Literal[tuple(words)]


def about_workloads(
    keys: Sequence[str], given: WorkloadsAnswer, at: datetime | None, shown: Asked | None = None
) -> Answer:
    """What was answered about interactive work. Who refuses refuses all of it.

    Args:
        shown: the question that was answered, where it is another one than there is now.
    """
    values = given.model_dump()
    own = {key: values[name] for name, key in field_names(keys).items() if values.get(name, _AS_ABOVE) != _AS_ABOVE}
    each = {} if given.decision == "refuse" else own
    decision = cast("Given", given.decision)
    return Answer(decision, given.who, at, each=each, now=bool(values.get("now")), shown=shown)


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
        case WorkloadsAnswer():
            return about_workloads(question.items, given, at)
        case MachineAnswer():
            return Answer(given.decision, given.who, at)
        case _:
            return Answer("done", given.who, at)
