"""Xid errors: what NVIDIA's driver wrote into the kernel log since the machine was started. Pure.

A number tells what happened; some only tell that a program did something wrong, which says nothing of the GPU.
Source: https://docs.nvidia.com/deploy/xid-errors/index.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cluster.nvidia_smi import Device, place

JOURNAL = (
    *("journalctl", "--dmesg", "--boot", "--no-pager", "--quiet", "--output=cat"),
    "--grep=NVRM: (Xid|loading NVIDIA)",
)
"""Prints the driver's own first line and every Xid error of this boot. No line at all: exit code 1."""

OF_PROGRAMS = (13, 31, 43, 45)
"""Numbers that programs cause on a sound GPU."""

_XID = re.compile(r"NVRM: Xid \((?:PCI:)?(?P<pci>[0-9a-fA-F:.]+)[^)]*\): (?P<number>\d+)(?:, *(?P<text>.*))?")
_LOADED = re.compile(r"NVRM: loading NVIDIA")
_PROCESS = re.compile(r"(pid|name|Ch)=('[^']*'|<[^>]*>|[^,]*), *")
_LONGEST = 120


@dataclass(frozen=True)
class Xid:
    """One line of the log."""

    number: int
    pci: str
    text: str


@dataclass(frozen=True)
class KernelLog:
    """What the kernel log tells.

    Attributes:
        xids: every Xid error, in order.
        whole: it reaches back to when the driver was loaded: an error that is not in it did not happen.
        failure: why it could not be read; empty: it was.
    """

    xids: tuple[Xid, ...] = ()
    whole: bool = True
    failure: str = ""


def parse(exit_code: int, stdout: str, stderr: str = "") -> KernelLog:
    """Read what :data:`JOURNAL` printed.

    journalctl ends with 1 where nothing matches (systemd/systemd#12581) as well as where it fails: then it says why.
    """
    said = " ".join(stderr.split())[:300]
    if exit_code not in (0, 1) or (said and not stdout.strip()):
        return KernelLog(whole=False, failure=said or f"journalctl exited with {exit_code}")
    lines = stdout.splitlines()
    xids = [
        Xid(int(match["number"]), place(match["pci"]) or match["pci"], _PROCESS.sub("", match["text"] or "").strip())
        for match in map(_XID.search, lines)
        if match is not None
    ]
    return KernelLog(tuple(xids), any(_LOADED.search(line) for line in lines))


def telling(xids: Iterable[Xid], ignored: Collection[int], devices: Iterable[Device] = ()) -> list[str]:
    """The errors that count, in words: each number of each GPU once.

    Args:
        ignored: numbers that do not count.
        devices: to name a GPU by more than its place.
    """
    known = {place(one.pci): one for one in devices}
    seen: dict[tuple[int, str], list[Xid]] = {}
    for one in xids:
        if one.number not in ignored:
            seen.setdefault((one.number, one.pci), []).append(one)
    return [_words(those, known.get(pci)) for (_, pci), those in sorted(seen.items())]


def _words(those: list[Xid], device: Device | None) -> str:
    first = those[0]
    often = f", {len(those)} times" if len(those) > 1 else ""
    text = f" ({first.text[:_LONGEST]})" if first.text else ""
    return f"Xid {first.number}{text}{often} of {device or f'the GPU at PCI {first.pci}'}"
