"""What a person is asked in the middle of a procedure, and what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from cluster.plan import Workload
from cluster.record import Subject


class Answer(NamedTuple):
    """What a person answered, and who it was."""

    given: Literal["evict", "refuse", "done", "off", "accept"]
    who: str


@dataclass(frozen=True)
class Question:
    """What a person is asked.

    Attributes:
        digest: of what it is about; an answer holds for exactly that.
        pods: what it is about, if that is pods: namespace/name.
        patience_seconds: how long a form waits for its answer.
    """

    subject: Subject
    node: str
    digest: str
    workloads: tuple[Workload, ...] = ()
    patience_seconds: int = 72 * 3600
    pods: tuple[str, ...] = ()

    @property
    def items(self) -> tuple[str, ...]:
        """The keys of the workloads, or the names of the pods, that it is about."""
        return self.pods or tuple(one.key for one in self.workloads)
