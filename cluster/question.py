"""What a person is asked before or in the middle of a procedure, and what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from cluster.plan import Candidate, Loss, Workload
from cluster.record import Subject

TYPED: frozenset[Subject] = frozenset({"power-off", "removal", "rejoin", "outage", "lost-tolerance"})
"""The subjects whose answer is the node's name, typed: what a slip of the hand must not say."""

Given = Literal["evict", "refuse", "done", "off", "confirmed", "leave", "restart", "shut-down", "accept", "designate"]


class Answer(NamedTuple):
    """What a person answered, and who it was.

    Attributes:
        given: ``refuse`` also where a name was to be typed, and another one was.
        at: when it was given; None: just now.
        named: the node that was chosen, where one was to be.
    """

    given: Given
    who: str
    at: datetime | None = None
    named: str = ""


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

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of those of the candidates that have room."""
        return tuple(one.name for one in self.candidates if one.room)

    @property
    def items(self) -> tuple[str, ...]:
        """The keys of the workloads, or the names of the losses or pods, that it is about."""
        losses = tuple(f"{one.what} {one.name}" for one in self.losses)
        return (*(one.key for one in self.workloads), *losses, *self.pods)
