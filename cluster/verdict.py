"""What the recovery gate says: lines with reasons, and the verdict that follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster.errors import Misused
from cluster.showing import shown

BLOCKER_CODE = "recovery-gate"

Level = Literal["PASS", "WARN", "FAILED"]
Outcome = Literal["passed", "blocked", "not-applicable", "overridden"]


class Line(BaseModel):
    """One thing that was checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    check: str = Field(description="What was checked, in a word or two.")
    reason: str = Field(description="What was found.")
    remedy: str = Field(default="", description="What to do about it; every FAILED line says it.")

    def __str__(self) -> str:
        return f"{self.level:6} {self.check}: {self.reason}"


class Verdict(BaseModel):
    """The gate's answer: any FAILED line makes it ``blocked``; only ``overridden`` keeps such lines and goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Outcome
    set: str | None = Field(default=None, description="The backup set that the verdict is about.")
    lines: tuple[Line, ...] = ()
    judged_at: AwareDatetime

    @property
    def blocks(self) -> bool:
        """Whether a node may not be taken down."""
        return self.verdict == "blocked"

    @property
    def failed(self) -> tuple[Line, ...]:
        """The lines that speak against taking a node down."""
        return tuple(line for line in self.lines if line.level == "FAILED")

    def blocker_message(self) -> str:
        """One sentence for the plan's blocker: the first reason, and how many more there are."""
        if not self.failed:
            return "The recovery gate has nothing against it"
        more = f" (and {len(self.failed) - 1} more)" if len(self.failed) > 1 else ""
        about = f" for the backup set {self.set}" if self.set else ""
        return f"The disaster-recovery check failed{about}: {self.failed[0].check}: {self.failed[0].reason}{more}"

    def remedy(self) -> str:
        """What to do about all that failed, and the one way around it."""
        if not self.failed:
            return ""
        remedies = dict.fromkeys(line.remedy for line in self.failed)
        return " ".join(
            [*remedies, 'Only if losing that data is accepted: --override-recovery-gate "reason", which is recorded.']
        )


def conclude(lines: Iterable[Line], judged_at: datetime, set_id: str | None = None) -> Verdict:
    """The verdict that follows from the lines of a check that applies: passed, if no line failed."""
    kept = tuple(lines)
    # No line at all means that nothing was checked: that is no pass.
    passed = bool(kept) and all(line.level != "FAILED" for line in kept)
    return Verdict(verdict="passed" if passed else "blocked", set=set_id, lines=kept, judged_at=judged_at)


def overridden(verdict: Verdict, reason: str) -> Verdict:
    """The verdict with a person's decision to go on in spite of it; the lines stay, and one WARN line is added.

    A verdict that does not block needs no override and stays what it is: the line then says that there was no need.

    Raises:
        Misused: no reason was given.
    """
    text = shown(reason, 500)
    if not text:
        raise Misused(
            "override-without-reason",
            "The recovery gate cannot be overridden without a reason",
            'Say why: --override-recovery-gate "reason". It is kept in the record and the report.',
        )
    if verdict.blocks:
        line = Line(level="WARN", check="override", reason=f"overridden by a person: {text}")
        return verdict.model_copy(update={"verdict": "overridden", "lines": (*verdict.lines, line)})
    line = Line(level="WARN", check="override", reason=f"an override was given, but not needed: {text}")
    return verdict.model_copy(update={"lines": (*verdict.lines, line)})
