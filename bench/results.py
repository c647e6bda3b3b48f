"""What was measured, and the ratios of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.work import KINDS, kind_of

TARGET = 0.25
ALONE = "Kubernetes alone"


@dataclass(frozen=True)
class Course:
    """One node that lost power: who handled it, and when each of its workloads ran elsewhere.

    ``moved``: workload to seconds since the power loss; None: not until the watching ended.
    """

    how: str
    node: str
    moved: Mapping[str, float | None]

    def of_kind(self, kind: str) -> float | None:
        """When the last workload of a kind ran elsewhere; None: not all did."""
        return _last([when for name, when in self.moved.items() if kind_of(name) == kind])

    @property
    def all_of_it(self) -> float | None:
        """When every workload ran elsewhere; None: not all did."""
        return _last(list(self.moved.values()))

    @property
    def what_moved(self) -> float | None:
        """When the last of those that moved at all ran elsewhere; None: none did."""
        return max((when for when in self.moved.values() if when is not None), default=None)


@dataclass(frozen=True)
class Result:
    """A whole run.

    Attributes:
        watched: seconds from the power loss to the end of the watching.
        not_ready: seconds from the power loss until Kubernetes called the node of the last course not ready.
        lease_seconds, toleration_seconds: as seen on the node's Lease and its pods.
    """

    lab: str
    grace_seconds: int
    courses: Sequence[Course]
    watched: float
    not_ready: float | None
    lease_seconds: int
    toleration_seconds: int

    @property
    def alone(self) -> Course:
        """The node that nobody handled."""
        return next(one for one in self.courses if one.how == ALONE)

    @property
    def handled(self) -> list[Course]:
        """The nodes that ``downtime`` handled."""
        return [one for one in self.courses if one.how != ALONE]

    def ratio(self, course: Course) -> float | None:
        """Everything elsewhere, by what Kubernetes alone takes for what it moves at all: it flatters nobody but it."""
        own, other = course.all_of_it, self.alone.what_moved
        return None if own is None or other is None else own / other

    @property
    def good(self) -> bool:
        """Whether each handled node is within the target, and Kubernetes alone was seen to move something."""
        ratios = [self.ratio(one) for one in self.handled]
        return bool(ratios) and all(one is not None and one <= TARGET for one in ratios)

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "lab": self.lab,
            "grace_seconds": self.grace_seconds,
            "target_ratio": TARGET,
            "ratios": {one.how: _rounded(self.ratio(one), 3) for one in self.handled},
            "seconds": {one.how: _seconds(one) for one in self.courses},
            "watched_seconds": _rounded(self.watched),
            "not_ready_after_seconds": _rounded(self.not_ready),
            "lease_seconds": self.lease_seconds,
            "toleration_seconds": self.toleration_seconds,
        }

    def text(self) -> str:
        """For people."""
        kinds = [kind for kind in KINDS if any(kind_of(name) == kind for name in self.alone.moved)]
        rows = [["seconds from power loss to Running elsewhere", *(one.how for one in self.courses)]]
        rows += [[kind, *(self._cell(one.of_kind(kind)) for one in self.courses)] for kind in kinds]
        rows.append(["all of it", *(self._cell(one.all_of_it) for one in self.courses)])
        rows.append(["ratio", *(self._ratio_cell(one) for one in self.courses)])
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, "", *self._notes()])

    def _cell(self, when: float | None) -> str:
        return f"{when:.1f}" if when is not None else f"never (watched {self.watched:.0f} s)"

    def _ratio_cell(self, course: Course) -> str:
        if course.how == ALONE:
            return "1"
        ratio = self.ratio(course)
        return f"{ratio:.2f}" if ratio is not None else "none"

    def _notes(self) -> list[str]:
        moved = self.alone.what_moved
        alone = f"{moved:.1f} s" if moved is not None else "time (never)"
        noticed = f"{self.not_ready:.0f} s" if self.not_ready is not None else "never"
        return [
            f"Grace {self.grace_seconds} s since the last renewal of the lease. Ratio: all of it, by the "
            f"{alone} that Kubernetes alone took for what it moves; target: at most {TARGET}.",
            f"Lab {self.lab}. Kubernetes' defaults: leases of {self.lease_seconds} s, tolerations of "
            f"{self.toleration_seconds} s; NotReady was seen {noticed} after the power loss.",
            "A StatefulSet's pod never moves under Kubernetes alone: its name is held until the node is back or gone.",
        ]


def _last(times: Sequence[float | None]) -> float | None:
    known = [one for one in times if one is not None]
    return max(known) if known and len(known) == len(times) else None


def _seconds(course: Course) -> dict[str, float | None]:
    kinds = {kind_of(name) for name in course.moved}
    found = {kind: _rounded(course.of_kind(kind)) for kind in KINDS if kind in kinds}
    return {**found, "all": _rounded(course.all_of_it)}


def _rounded(number: float | None, digits: int = 1) -> float | None:
    return None if number is None else round(number, digits)
