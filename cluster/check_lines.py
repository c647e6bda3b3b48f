"""Lines of the recovery check, in the three ways in which one can end."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.verdict import Line

NEW_SET = "Take a new backup set and run again."


def passed(check: str, reason: str) -> Line:
    """Nothing speaks against it."""
    return Line(level="PASS", check=check, reason=reason)


def warning(check: str, reason: str, remedy: str = "") -> Line:
    """It can be restored, and somebody has to look at it."""
    return Line(level="WARN", check=check, reason=reason, remedy=remedy)


def failed(check: str, reason: str, remedy: str = NEW_SET) -> Line:
    """It cannot be relied on."""
    return Line(level="FAILED", check=check, reason=reason, remedy=remedy)


def good(lines: Iterable[Line]) -> bool:
    """Whether a set with these lines can be relied on: none failed."""
    return all(line.level != "FAILED" for line in lines)
