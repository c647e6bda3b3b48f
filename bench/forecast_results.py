"""What was measured of forecasts, and the ratios of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

TARGET = 0.2
MOST_MIB = 150.0
KUBECTL = "kubectl get pods -A -o json"
FORECAST = "the forecast"
PLAN = "downtime plan planned NODE"
SYSTEM_PLAN = "the same of a system node"


@dataclass(frozen=True)
class Run:
    """One measurement: of what, seconds, and the peak memory of that program alone."""

    how: str
    seconds: float
    peak_mib: float


@dataclass(frozen=True)
class ForecastResult:
    """A whole measurement of a cluster of so many nodes and pods."""

    nodes: int
    pods: int
    pods_mib: float
    runs: Sequence[Run]

    def seconds(self, how: str) -> float:
        """The median."""
        return median(one.seconds for one in self.runs if one.how == how)

    def peak(self, how: str) -> float:
        """The highest."""
        return max(one.peak_mib for one in self.runs if one.how == how)

    def ratio(self, how: str) -> float:
        """Time beside kubectl's."""
        return self.seconds(how) / self.seconds(KUBECTL)

    @property
    def good(self) -> bool:
        """Whether the target is met: time, and memory."""
        return self.ratio(FORECAST) <= TARGET and self.peak(FORECAST) <= MOST_MIB

    @property
    def kinds(self) -> list[str]:
        """Those that were measured, in order."""
        return list(dict.fromkeys(one.how for one in self.runs))

    def document(self) -> dict[str, object]:
        """For programs."""
        return {
            "nodes": self.nodes,
            "pods": self.pods,
            "pods_mib": round(self.pods_mib, 1),
            "target_ratio": TARGET,
            "target_mib": MOST_MIB,
            "seconds": {how: [round(one.seconds, 2) for one in self.runs if one.how == how] for how in self.kinds},
            "ratios": {how: round(self.ratio(how), 3) for how in self.kinds},
            "peak_mib": {how: round(self.peak(how), 1) for how in self.kinds},
        }

    def text(self) -> str:
        """For people."""
        rows = [["", "seconds (median)", "ratio", "peak memory, MiB"]]
        rows += [
            [how, f"{self.seconds(how):.1f}", f"{self.ratio(how):.2f}", f"{self.peak(how):.0f}"] for how in self.kinds
        ]
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        told = f"{self.nodes} nodes, {self.pods} pods, {self.pods_mib:.0f} MiB of JSON as kubectl prints it."
        return "\n".join([*lines, "", told, f"Target of {FORECAST}: {TARGET}, and at most {MOST_MIB:.0f} MiB."])
