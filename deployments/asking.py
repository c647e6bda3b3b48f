"""Asking the person at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NoReturn

from deployments.choices import Output
from deployments.consoles import somebody_is_there, standard_output

if TYPE_CHECKING:
    from cluster.downtime import Ask
    from cluster.question import Answer, Given, Question


def go_on(question: str) -> bool:
    """Ask whether to go on; anything but yes is no."""
    return _read(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def asker(output: Output) -> Ask | None:
    """How the person at the terminal is asked in the middle of a procedure; None: nobody is there."""
    return _ask if output is Output.text and somebody_is_there() else None


def _ask(question: Question) -> Answer:
    from cluster.downtime import who
    from cluster.question import Answer
    from cluster.waiting import nobody_to_ask

    console = standard_output()
    console.print()
    if question.subject == "designation":
        name = _about_stand_in(question)
        return Answer("designate" if name else "refuse", who(), named=name)
    if question.subject == "interactive":
        return _about_workloads(question) or _nobody(question)
    answer = _answer(question)
    if answer is None:
        raise nobody_to_ask(question)
    return Answer(answer, who())


def _about_stand_in(question: Question) -> str:
    """The node that stands in; empty: none."""
    console = standard_output()
    console.print(
        f"Another node can become a Run:ai system node first, and {question.node} then go down. The best are:"
    )
    for one in question.candidates:
        console.print(f"  {one.name} ({'; '.join(one.reasons)})")
    name = _read("Node to designate (nothing: none): ").strip()
    return "" if name == "later" else name


def _answer(question: Question) -> Given | None:
    match question.subject:
        case "return":
            return _about_return(question)
        case "power-off":
            return _about_power(question)
        case "dead-kubelet":
            return _about_machine(question)
        case "removal" | "rejoin":
            return "confirmed" if _typed(question) else "refuse"
        case "outage":
            return _about_outage(question)
        case "lost-tolerance":
            return _about_tolerance(question)
        case _:
            return None


def _nobody(question: Question) -> NoReturn:
    from cluster.waiting import nobody_to_ask

    raise nobody_to_ask(question)


def _typed(question: Question) -> bool:
    """Whether the person types the node's name, to confirm a removal, or a machine that nothing proves."""
    from cluster.showing import shown

    console = standard_output()
    if question.subject == "removal":
        console.print(
            f"{question.node} leaves the cluster for good. Type its name to confirm that; else nothing is done."
        )
    else:
        console.print(f"{shown(question.found, 2000)}.")
        console.print("If it is the right machine, type the name of the node to confirm that; else nothing is done.")
    return _read("Node: ").strip() == question.node


def _about_machine(question: Question) -> Literal["leave", "restart", "shut-down"] | None:
    console = standard_output()
    console.print(
        f"{question.node} is down, but its machine answers over SSH: it is not off. Its workloads start elsewhere."
    )
    console.print(
        "restart: its kubelet; shut-down: the machine, after it has proven to be the node; leave: do nothing;"
    )
    console.print("later: decide another time ('downtime decide').")
    while True:
        match _read("restart, shut-down, leave or later? ").strip().lower():
            case "restart":
                return "restart"
            case "shut-down":
                return "shut-down"
            case "leave":
                return "leave"
            case "later":
                return None


def _about_power(question: Question) -> Literal["off"] | None:
    console = standard_output()
    console.print(f"Nothing proves that the machine of {question.node} is off. If it runs, its pods would run twice.")
    console.print("Go and look. If it is off, and stays off: type the node's name. Anything else: not now.")
    return "off" if _read("Node that is off: ").strip() == question.node else None


def _about_outage(question: Question) -> Literal["accept"] | None:
    console = standard_output()
    console.print(f"Bound to a volume of {question.node} itself, and down for as long as it is:")
    for pod in question.pods:
        console.print(f"  {pod}")
    console.print("With its database the Run:ai control plane is down too: its users should know. If that is accepted:")
    console.print("type the node's name. Anything else: not now ('downtime decide').")
    return "accept" if _read("Node that may take them down: ").strip() == question.node else None


def _about_tolerance(question: Question) -> Literal["accept", "refuse"]:
    from cluster.showing import shown

    console = standard_output()
    console.print(f"{shown(question.found, 2000)}. If that is accepted, type the node's name; else: no.")
    return "accept" if _read("Node that goes down all the same: ").strip() == question.node else "refuse"


def _about_workloads(question: Question) -> Answer | None:
    """What is to happen with the interactive work; None: that is decided another time."""
    from rich.padding import Padding

    from cluster.downtime import who
    from cluster.question import Answer
    from cluster.showing import shown
    from deployments import text_plan

    console = standard_output()
    console.print(f"Interactive work on {question.node}. It does not come back by itself: talk to the owners first.")
    for line in question.said:
        console.print(f"  {shown(line, 2000)}.", markup=False)
    console.print(Padding(text_plan.workloads(question.workloads), (1, 0, 1, 2)))
    for word in question.choices:
        console.print(f"{word}: {_MEANT[word]};", markup=False)
    several = len(question.workloads) > 1
    each = "each: decide about one after the other; " if several else ""
    console.print(f"{each}refuse: leave it alone; later: decide another time ('downtime decide').")
    words = (*question.choices, *(("each",) if several else ()), "refuse", "later")
    given = _one_of(words, f"{', '.join(words[:-1])} or later? ")
    if given == "later":
        return None
    if given == "refuse":
        return Answer("refuse", who())
    decided = _each(question) if given == "each" else {one.key: given for one in question.workloads}
    if decided is None:
        return None
    return Answer("evict", who(), each=decided, now=_now(question, decided))


_MEANT = {
    "evict": "the owner agreed; it is deleted with the drain",
    "wait": "until its owner stops it",
    "suspend": "Run:ai stops it, and this product has it started again afterwards",
}


def _each(question: Question) -> dict[str, str] | None:
    decided: dict[str, str] = {}
    for one in question.workloads:
        prompt = (
            f"{one.namespace}/{one.name} ({one.owner or 'owner unknown'}): {', '.join(question.choices)} or later? "
        )
        given = _one_of((*question.choices, "later"), prompt)
        if given == "later":
            return None
        decided[one.key] = given
    return decided


def _now(question: Question, decided: dict[str, str]) -> bool:
    """Whether what is decided is done although the notice period is not over."""
    from cluster.showing_time import duration, moment

    ends, now = question.notice_ends, datetime.now(UTC)
    if ends is None or ends <= now or set(decided.values()) == {"wait"}:
        return False
    left = duration((ends - now).total_seconds())
    standard_output().print(f"The owners were given time until {moment(ends)}: {left} are left.")
    return _one_of(("then", "now"), "Do it then, or now? ") == "now"


def _one_of(words: Sequence[str], prompt: str) -> str:
    while True:
        given = _read(prompt).strip().lower()
        if given in words:
            return given
        if given == "later":  # also where nobody types anything any more
            return words[0]


def _about_return(question: Question) -> Literal["done"] | None:
    console = standard_output()
    console.print(f"{question.node} is out of service. Is the work on it done?")
    console.print("done: it returns to service now (if switching it on is your part, it is on); later: leave it,")
    console.print(f"'downtime resume {question.node}' goes on another time.")
    while True:
        given = _read("done or later? ").strip().lower()
        if given == "done":
            return "done"
        if given == "later":
            return None


def _read(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return "later"
