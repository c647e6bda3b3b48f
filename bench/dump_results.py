"""What was measured of dumps, and the ratios of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

TARGET = 1.2
# What one program may need more for a dump that is hundreds of times as large, and still be called flat.
FLAT_MIB = 32.0
KUBECTL = "kubectl exec … pg_dump > file"
HASHED = "downtime, hashed"
ENCRYPTED = "downtime, hashed and encrypted"


@dataclass(frozen=True)
class Run:
    """One dump: who made it, seconds, peak memory of that program alone, bytes of the dump in the clear."""

    how: str
    seconds: float
    peak_mib: float
    dumped: int


@dataclass(frozen=True)
class DumpResult:
    """A whole measurement.

    Attributes:
        database_mib: size of the database on disk.
        runs: of the large database, in turns.
        small: one of each of a small database, for the memory alone.
    """

    database_mib: float
    runs: Sequence[Run]
    small: Sequence[Run]

    def seconds(self, how: str) -> float:
        """The median."""
        return median(one.seconds for one in self.runs if one.how == how)

    def peak(self, how: str) -> float:
        """The highest."""
        return max(one.peak_mib for one in self.runs if one.how == how)

    def growth(self, how: str) -> float:
        """How much more memory the large dump took than the small one."""
        return self.peak(how) - max(one.peak_mib for one in self.small if one.how == how)

    def ratio(self, how: str) -> float:
        """Time beside kubectl's."""
        return self.seconds(how) / self.seconds(KUBECTL)

    @property
    def good(self) -> bool:
        """Whether the target is met: time, and memory that does not grow with the dump."""
        return self.ratio(ENCRYPTED) <= TARGET and self.growth(ENCRYPTED) <= FLAT_MIB

    @property
    def kinds(self) -> list[str]:
        """Those that were measured, in order."""
        return list(dict.fromkeys(one.how for one in self.runs))

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "database_mib": round(self.database_mib),
            "dump_mib": round(max(one.dumped for one in self.runs) / (1 << 20), 1),
            "target_ratio": TARGET,
            "seconds": {how: [round(one.seconds, 2) for one in self.runs if one.how == how] for how in self.kinds},
            "ratios": {how: round(self.ratio(how), 3) for how in self.kinds},
            "peak_mib": {how: round(self.peak(how), 1) for how in self.kinds},
            "growth_mib": {how: round(self.growth(how), 1) for how in self.kinds},
        }

    def text(self) -> str:
        """For people."""
        rows = [["", "seconds (median)", "ratio", "peak memory, MiB", "more than for a small dump, MiB"]]
        rows += [
            [how, *(f"{one:.{digits}f}" for one, digits in zip(self._numbers(how), (1, 2, 0, 0), strict=True))]
            for how in self.kinds
        ]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        told = f"A database of {self.database_mib:.0f} MiB, a dump of {self.document()['dump_mib']} MiB."
        return "\n".join([*lines, "", told, f"Target: {TARGET} with hashing and encryption; flat memory."])

    def _numbers(self, how: str) -> tuple[float, float, float, float]:
        return self.seconds(how), self.ratio(how), self.peak(how), self.growth(how)
