"""What goes wrong in the lab, said so that a person can act on it."""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 15


class LabError(Exception):
    """A lab could not be made, changed or removed. The message is for the person who asked; no traceback is shown."""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented, below its name; empty when there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    last = text.splitlines()[-lines:]
    return "\n".join([f"last lines of {log}:", *(f"    {line[:400]}" for line in last)])
