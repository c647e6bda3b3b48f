"""How a lab is asked for."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from lab.errors import LabError

GPUS_PER_SIMULATED_NODE = 8
GPUS_PER_HOST = 4
SIMULATED_BY_DEFAULT = 3


@dataclass(frozen=True)
class Spec:
    """The size and flavour of a lab.

    ``control_planes``, ``workers`` and ``systems`` are numbers of hosts (or, without hosts, ``control_planes`` and
    ``systems`` are numbers of simulated nodes); ``simulated`` is the number of simulated GPU nodes; ``saas`` leaves out
    Run:ai's own control plane; ``default_detection`` lets failures be noticed as late as Kubernetes does by default,
    for measurements; ``backup`` gives it a backup set that somebody else took; ``runai_api`` a stand-in of Run:ai's
    REST API, which its configuration names; without ``runai_kinds`` no kind of Run:ai's own is defined.
    """

    name: str = "lab"
    hosts: bool = True
    control_planes: int = 1
    workers: int = 2
    systems: int = 1
    simulated: int = 0
    saas: bool = False
    default_detection: bool = False
    backup: bool = True
    runai_api: bool = False
    runai_kinds: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", self.name):
            raise LabError(f"{self.name!r} can't name a lab: use at most 20 of a-z, 0-9 and, inside, '-'")
        for number, least, what in (
            (self.control_planes, 1, "--control-planes"),
            (self.workers, 0, "--workers"),
            (self.systems, 1, "--systems"),
            (self.simulated, 0, "--simulated"),
        ):
            if number < least:
                raise LabError(f"{what} {number}: at least {least}")

    def record(self) -> dict[str, Any]:
        """For the lab's state."""
        return asdict(self)
