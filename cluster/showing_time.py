"""Durations and moments, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def duration(seconds: float) -> str:
    """A duration in its two largest units: ``2 d 3 h``, ``1 h 4 min``, ``3 min 20 s``, ``12 s``."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(when: datetime) -> str:
    """A moment, in UTC, to the minute."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def clock(when: datetime) -> str:
    """The time of day, in UTC, to the second."""
    return f"{when.astimezone(UTC):%H:%M:%S}"


def span(time: timedelta) -> str:
    """A length of time, cut to minutes: ``3 d 4 h``, ``2 h 05 min``, ``7 min``."""
    minutes = max(0, int(time.total_seconds() // 60))
    hours = minutes // 60
    if hours >= 72:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min"
