"""Whether a machine can be asked of its GPUs, as it is after a downtime. What it has now is not judged."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import host_gpus, node
from cluster.api import Object
from cluster.config import Settings
from cluster.ssh import Ssh
from cluster.verdict import Line


def lines(ssh: Ssh, settings: Settings, found: Object) -> Iterator[Line]:
    """A line for the machine of a node with GPUs; none for one without.

    Raises:
        DowntimeError: the connection broke.
    """
    if not any(node.gpus(found).values()) or not host_gpus.possible(settings):
        return
    check = f"{node.name(found)} gpus"
    facts = host_gpus.ask(ssh, settings.checks)
    if facts.listing is None:
        must = settings.checks.host == "always"
        reason = f"there is no {settings.checks.nvidia_smi[0]} on the machine"
        yield Line(
            level="FAILED" if must else "PASS",
            check=check,
            reason=reason if must else f"{reason}: after a downtime, only what can be allocated is looked at",
            remedy='Correct nvidia_smi under [checks], or set host = "auto" there.' if must else "",
        )
        return
    wrong = [one for one in (facts.listing.failure, facts.log.failure if facts.log is not None else "") if one]
    if wrong:
        yield Line(
            level="FAILED",
            check=check,
            reason="; ".join(wrong),
            remedy="See to it, or the node stays out of service after its next downtime; checks that do not fit this "
            "cluster can be switched off under [checks].",
        )
        return
    log = ", and its kernel log can be read" if facts.log is not None else ""
    yield Line(level="PASS", check=check, reason=f"nvidia-smi lists {len(facts.listing.devices)}{log}")
