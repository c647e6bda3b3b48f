"""What a person is asked before or in the middle of a procedure, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from cluster.plan import Candidate, Loss, Workload
from cluster.record import Asked, Subject

TYPED: frozenset[Subject] = frozenset({"power-off", "removal", "rejoin", "outage", "lost-tolerance"})
"""The subjects whose answer is the node's name, typed: what a slip of the hand must not say."""

Decision = Literal["evict", "wait", "suspend"]
"""What a person decides about one workload: it is evicted with the drain; its owner stops it; it is suspended."""
Given = Literal[
    "evict",
    "wait",
    "suspend",
    "refuse",
    "done",
    "off",
    "confirmed",
    "leave",
    "restart",
    "shut-down",
    "accept",
    "designate",
]


class Answer(NamedTuple):
    """What a person answered, and who it was.

    Attributes:
        given: ``refuse`` also where a name was to be typed, and another one was.
        at: when it was given; None: just now.
        named: the node that was chosen, where one was to be.
        each: by the keys of workloads, what was decided about them, where that is not the same for all.
        now: although the notice period is not over.
        shown: the digest and the items of the question that was answered; None: the one that was asked.
    """

    given: Given
    who: str
    at: datetime | None = None
    named: str = ""
    each: Mapping[str, str] = {}
    now: bool = False
    shown: Asked | None = None


@dataclass(frozen=True)
class Question:
    """What a person is asked.

    Attributes:
        digest: of what it is about; an answer holds for exactly that.
        losses: what is lost with the node.
        found: why it is asked: what was found, in a sentence.
        pods: what it is about, if that is pods: namespace/name.
        patience_seconds: how long a form waits for its answer.
        candidates: who could stand in for the node, the best first.
        choices: what can be decided about each workload.
        notice_ends: of the notice period, if there is one: an answer can cut it short.
        said: what a person should know who decides: who was told, what was tried before.
        hindered: whether what was decided before could not be done; the reason is among what is said.
        earlier: what was asked before, and may have been answered: about other workloads than there are now.
    """

    subject: Subject
    node: str
    digest: str
    workloads: tuple[Workload, ...] = ()
    losses: tuple[Loss, ...] = ()
    found: str = ""
    patience_seconds: int = 72 * 3600
    pods: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    choices: tuple[Decision, ...] = ("evict", "wait")
    notice_ends: datetime | None = None
    said: tuple[str, ...] = ()
    hindered: bool = False
    earlier: Asked | None = None

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of those of the candidates that have room."""
        return tuple(one.name for one in self.candidates if one.room)

    @property
    def items(self) -> tuple[str, ...]:
        """The keys of the workloads, or the names of the losses or pods, that it is about."""
        losses = tuple(f"{one.what} {one.name}" for one in self.losses)
        return (*(one.key for one in self.workloads), *losses, *self.pods)
