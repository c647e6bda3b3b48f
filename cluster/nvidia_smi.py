"""What ``nvidia-smi`` says: which GPUs it sees, which it cannot read, and why it fails. Pure.

It is not promised that its output stays as it is, so that nothing is concluded from words that are not known: a line
that names no GPU by its UUID is never one, and a failure is passed on in its own words.

Source: https://docs.nvidia.com/deploy/nvidia-smi/index.html (options, exit codes).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

QUERY = ("--query-gpu=index,uuid,pci.bus_id,name", "--format=csv,noheader")
"""The arguments whose output :func:`parse` reads."""

_ROW = re.compile(r"\s*(?P<index>\d+)\s*,\s*(?P<uuid>GPU-[\w-]+)\s*,\s*(?P<pci>[0-9A-Fa-f:.]+)\s*(?:,\s*(?P<name>.*))?")
_UNREADABLE = re.compile(r"Unable to determine the device handle|GPU is lost|^\s*\d+\s*,")
_NONE = re.compile(r"No devices were found")
_MISMATCH = re.compile(r"Driver/library version mismatch", re.I)
_PLACE = re.compile(r"(?:[0-9a-f]*?(?P<domain>[0-9a-f]{4}):)?(?P<bus>[0-9a-f]{2}):(?P<slot>[0-9a-f]{2})(?:\.[0-7])?")
_LONGEST = 300
# Its own warning of a corrupted infoROM comes with a code of its own, below a whole listing.
_OF_USE = (0, 14)


class Device(BaseModel):
    """One GPU, as the driver numbers and names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    uuid: str
    pci: str
    name: str = ""

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.uuid}, PCI {self.pci})"


@dataclass(frozen=True)
class Listing:
    """What it printed.

    Attributes:
        devices: the GPUs that it reads.
        unreadable: what it says of GPUs that it cannot read.
        failure: why it printed nothing of use; empty: it did.
        remark: what else it says, beside what is of use.
        mismatch: it fails because the driver's library and its kernel module are of different versions.
    """

    devices: tuple[Device, ...] = ()
    unreadable: tuple[str, ...] = ()
    failure: str = ""
    mismatch: bool = False
    remark: str = ""


def parse(exit_code: int, stdout: str, stderr: str = "", shown: Callable[[str], str] = str) -> Listing:
    """Read what it printed for :data:`QUERY`.

    Args:
        shown: masks what a person is to see of it, before it is cut.
    """
    devices: list[Device] = []
    others: list[str] = []
    for line in (*stdout.splitlines(), *stderr.splitlines()):
        row = _ROW.fullmatch(line)
        if row is not None:
            found = row.groupdict(default="")
            devices.append(
                Device(index=int(row["index"]), uuid=row["uuid"], pci=row["pci"], name=shown(found["name"].strip()))
            )
        elif line.strip():
            others.append(" ".join(line.split()))
    unreadable = tuple(shown(one)[:_LONGEST] for one in others if _UNREADABLE.search(one))
    whole = " ".join(others)
    said = shown(whole)[:_LONGEST]
    excused = bool(unreadable) or bool(_NONE.search(whole))
    # Ended with 0 and without a line, it was some other program.
    failed = not excused and (exit_code not in _OF_USE or not devices)
    failure = (said or f"it printed nothing, and exited with {exit_code}") if failed else ""
    remark = "" if failed else said
    return Listing(tuple(devices), unreadable, failure, failed and bool(_MISMATCH.search(whole)), remark)


def lost(before: Iterable[Device], now: Iterable[Device]) -> list[Device]:
    """The GPUs that were there before and are not now. One in the same place as another was is its replacement."""
    there = list(now)
    uuids, places = {one.uuid for one in there}, {place(one.pci) for one in there}
    return [one for one in before if one.uuid not in uuids and place(one.pci) not in places]


def place(pci: str) -> str:
    """A PCI address as the kernel writes it: ``00000000:3B:00.0`` and ``0000:3b:00`` are one; empty: it is none."""
    match = _PLACE.fullmatch(pci.strip().lower())
    return f"{match['domain'] or '0000'}:{match['bus']}:{match['slot']}" if match else ""
