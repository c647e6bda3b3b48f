"""Whether a machine's GPUs are as they were: each check by its name, as in section [checks]. Pure.

A check that is switched off is not made, and not mentioned. One that cannot be made does not pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cluster import nvidia_smi, xid_errors
from cluster.config import ChecksSettings
from cluster.nvidia_smi import Device, Listing
from cluster.record import Found
from cluster.xid_errors import KernelLog

_WHOLE = "nvidia.com/gpu"
_MOST_NAMED = 16
# What switches off a check that is no yes or no.
_OFF = {"host": '"never"', "smoke_pod": '""'}


@dataclass(frozen=True)
class GpuFacts:
    """What a machine tells of its GPUs.

    Attributes:
        listing: what ``nvidia-smi`` said; None: there is none on the machine.
        log: its kernel log; None: it was not read.
    """

    listing: Listing | None
    log: KernelLog | None = None


class Check(NamedTuple):
    """One check, made or left out: what it is called in the configuration, how it went, and what was seen."""

    name: str
    state: Literal["passed", "failed", "skipped"]
    text: str


def failed(checks: Iterable[Check]) -> list[Check]:
    """Those that did not pass."""
    return [one for one in checks if one.state == "failed"]


def said(checks: Iterable[Check]) -> str:
    """Checks in words, for one sentence."""
    return "; ".join(f"{one.text} [{one.name}]" if one.state == "failed" else one.text for one in checks)


def switches(found: Iterable[Check]) -> str:
    """How checks that do not fit a cluster are switched off, in a sentence."""
    named = ", ".join(f"{one.name} = {_OFF.get(one.name, 'false')}" for one in found)
    return f"A check that does not fit this cluster can be switched off: {named} under [checks] in the configuration."


def judge(facts: GpuFacts, found: Found, enough: Mapping[str, int], settings: ChecksSettings) -> list[Check]:
    """All checks of a machine.

    Args:
        facts: what it told.
        found: the node before the downtime.
        enough: GPU resources that must be there now.
    """
    listing = facts.listing
    if listing is None:
        if settings.host == "always" or found.devices:
            more = " any more" if found.devices else ""
            return [Check("host", "failed", f"there is no {settings.nvidia_smi[0]} on the machine{more}")]
        text = f"there is no {settings.nvidia_smi[0]} on the machine: it was not looked at"
        # A driver in a container writes into the same kernel log.
        told = facts.log if settings.xid and facts.log is not None and (facts.log.xids or facts.log.whole) else None
        return [Check("host", "skipped", text), *([_xid(told, settings.xid_ignored, ())] if told else [])]
    made = [_driver(listing)] if settings.driver else []
    if settings.gpu_count and not listing.failure:
        made.append(_count(listing, found, enough))
    elif settings.gpu_count and not settings.driver:
        made.append(Check("gpu_count", "failed", f"the GPUs cannot be counted: nvidia-smi says: {listing.failure}"))
    if settings.xid and facts.log is not None:
        made.append(_xid(facts.log, settings.xid_ignored, (*found.devices, *listing.devices)))
    return made


def wanted(found: Found, enough: Mapping[str, int]) -> int | None:
    """How many GPUs the machine must have; None: that is not known, as they are sliced or shared.

    Args:
        found: the node before the downtime.
        enough: GPU resources that must be there now: as many as were found, unless a person gave some up.
    """
    given_up = sum(count - enough.get(name, count) for name, count in found.gpus.items())
    if found.devices and not given_up:
        return len(found.devices)
    if _divided(found):
        return None
    return len(found.devices) - given_up if found.devices else enough.get(_WHOLE)


def _divided(found: Found) -> bool:
    """Whether a GPU resource may be less, or more, than one GPU: labels are those of GPU feature discovery."""
    labels = found.labels
    sliced = any(count for name, count in found.gpus.items() if name != _WHOLE)
    configured = labels.get("nvidia.com/mig.config", "all-disabled") not in ("", "all-disabled")
    shared = labels.get("nvidia.com/gpu.sharing-strategy", "none") not in ("", "none")
    return sliced or configured or shared or labels.get("nvidia.com/gpu.replicas", "1") not in ("", "0", "1")


def _driver(listing: Listing) -> Check:
    if not listing.failure:
        return Check("driver", "passed", f"nvidia-smi works{f'; it says: {listing.remark}' if listing.remark else ''}")
    why = "the driver's library and its kernel module differ: " if listing.mismatch else ""
    return Check("driver", "failed", f"{why}nvidia-smi says: {listing.failure}")


def _count(listing: Listing, found: Found, enough: Mapping[str, int]) -> Check:
    count, must = len(listing.devices), wanted(found, enough)
    if must is None and (listing.unreadable or (not count and any(enough.values()))):
        return Check("gpu_count", "failed", f"nvidia-smi lists {count} GPUs{_which(listing, found.devices)}")
    if must is None:
        return Check("gpu_count", "skipped", f"nvidia-smi lists {count} GPUs; how many there were is not recorded")
    if count >= must:
        more = f" (recorded were {must})" if count > must else ""
        return Check("gpu_count", "passed", f"nvidia-smi lists {count} GPUs{more}")
    return Check("gpu_count", "failed", f"nvidia-smi lists {count} of {must} GPUs{_which(listing, found.devices)}")


def _which(listing: Listing, before: Iterable[Device]) -> str:
    missing = nvidia_smi.lost(before, listing.devices)
    named = f"; missing: {', '.join(str(one) for one in missing[:_MOST_NAMED])}" if missing else ""
    words = f"; it says: {' '.join(listing.unreadable)[:400]}" if listing.unreadable else ""
    if named or words or not listing.devices:
        return named + words
    there = ", ".join(f"{one.index} (PCI {one.pci})" for one in listing.devices[:_MOST_NAMED])
    return f"; which one is missing was not recorded, there are {there}"


def _xid(log: KernelLog, ignored: Iterable[int], devices: Iterable[Device]) -> Check:
    if log.failure:
        return Check("xid", "failed", f"the kernel log cannot be read: {log.failure}")
    telling = xid_errors.telling(log.xids, set(ignored), devices)
    if telling:
        return Check(
            "xid", "failed", f"in the kernel log since the machine's start: {'; '.join(telling[:_MOST_NAMED])}"
        )
    if not log.whole:
        text = "the kernel log does not reach back to when the driver was loaded: an Xid error may have been in it"
        return Check("xid", "failed", text)
    return Check("xid", "passed", "no Xid error since the machine's start")
