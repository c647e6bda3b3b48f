"""What the owners of interactive work were told, and until when it is left to them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cluster.plan import Workload
from cluster.showing_time import moment

DEFAULT_MINUTES = 15.0
"""The notice period where somebody is told and nothing else is configured."""

WAITS = "waits "
"""So begins what the record says of the step while nothing is asked, and time or an owner is waited for."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Notice(_Model):
    """One message about some workloads. ``intended`` stays where a process died while it was being sent."""

    at: datetime
    until: datetime = Field(description="The end of the notice period, as it was told.")
    items: tuple[str, ...] = Field(description="Keys of the workloads.")
    state: Literal["intended", "sent"] = "intended"
    told: tuple[str, ...] = Field(default=(), description="Through what it was told.")
    failed: tuple[str, ...] = Field(default=(), description="Through what it was not told, and why.")


class Obstacle(_Model):
    """Why what a person decided about a workload could not be done, in the words of who refused it."""

    at: datetime
    item: str
    said: str
    given: datetime | None = Field(default=None, description="When what it keeps from being done was decided.")

    def hinders(self, item: str, given: datetime) -> bool:
        """Whether it is in the way of what was decided about this workload at that time.

        Times of two machines are not compared: one that decides may be behind the one that tried.
        """
        return self.item == item and (self.given == given if self.given is not None else self.at >= given)


def minutes(chosen: int | None, configured: float | None, *, notifies: bool) -> float:
    """How long the notice period is: as chosen at the start, else as configured, else by whether somebody is told."""
    if chosen is not None:
        return float(chosen)
    if configured is not None:
        return configured
    return DEFAULT_MINUTES if notifies else 0.0


def untold(workloads: Iterable[Workload], notices: Iterable[Notice]) -> tuple[Workload, ...]:
    """Those that no notice was about, not even one of which it is not known whether it was sent."""
    known = {item for one in notices for item in one.items}
    return tuple(one for one in workloads if one.key not in known)


def until(key: str, notices: Iterable[Notice]) -> datetime | None:
    """When the notice period of a workload ends; None: it has none."""
    found = [one.until for one in notices if key in one.items]
    return max(found) if found else None


def said(notices: Iterable[Notice], keys: Iterable[str] | None = None) -> list[str]:
    """Whether the owners of these workloads were told, by which way, and which ways failed; for people."""
    wanted = None if keys is None else frozenset(keys)
    lines: list[str] = []
    for one in notices:
        items = [item for item in one.items if wanted is None or item in wanted]
        if items:
            lines += _lines(one, ", ".join(items))
    return lines


def _lines(one: Notice, items: str) -> list[str]:
    ends = f"; the notice period ends at {moment(one.until)}" if one.until > one.at else ""
    if one.state == "intended":
        return [
            f"It is not known whether the owners of {items} were told: the process that was telling them at "
            f"{moment(one.at)} died, and nobody is told twice{ends}"
        ]
    lines = [f"Told at {moment(one.at)} through {', '.join(one.told)}: {items}{ends}"] if one.told else []
    if one.failed:
        which = "owners were NOT told" if not one.told else "owners were NOT told through all ways"
        lines.append(f"{which}: {items}: {'; '.join(one.failed)}{'' if one.told else ends}")
    if not one.told and not one.failed:
        lines.append(f"owners were NOT told: {items}: no way to tell them is configured under [notify]{ends}")
    return lines
