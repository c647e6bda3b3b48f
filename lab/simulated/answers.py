"""What a command on a simulated host leaves."""

from __future__ import annotations

from dataclasses import dataclass

from lab.simulated.host import Host


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended.

    ``power`` is what it does to the machine (off, reset, or nothing); ``changed``: it changed something else of it;
    ``also``: other hosts of which it changed something.
    """

    status: int = 0
    output: str = ""
    error: str = ""
    power: str = ""
    changed: bool = False
    also: tuple[Host, ...] = ()
