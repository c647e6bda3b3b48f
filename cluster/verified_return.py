"""Before a node with GPUs gets work again: everything beyond how many can be allocated, and that it stays cordoned.

Each check has a name in section [checks] of the configuration, where it can be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping

from cluster import events, eviction, gpu_checks, gpu_daemons, host_gpus, mig_state, node, ownership, probing
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import DowntimeError
from cluster.gpu_checks import Check
from cluster.record import noted

_MOST_NAMED = 10


def labels_unfinished(downtime: Downtime, found: Object) -> str:
    """Why the node's GPUs are not sliced yet as they are to be; empty: they are."""
    if not downtime.settings.checks.mig:
        return ""
    return mig_state.unfinished(downtime.record.found.labels, found["metadata"].get("labels") or {})


def keep_cordoned(downtime: Downtime, found: Object) -> bool:
    """Set the own cordon again, if somebody took it off; whether it had to be.

    The GPU operator's driver manager uncordons nodes that it did not cordon: NVIDIA/k8s-driver-manager#212.
    """
    record = downtime.record
    ours = ownership.owns(found, record.id, "cordon")
    if not downtime.settings.checks.cordon or not ours or node.unschedulable(found):
        return False
    epoch = downtime.lock.epoch
    downtime.change_node(lambda old: ownership.cordoned(old, record.id, epoch))
    text = f"{downtime.node} was uncordoned by somebody else before its GPUs were seen: it was cordoned again"
    if text not in (moment.text for moment in record.timeline[-2:]):
        came = _came(downtime)
        said = f"{text}. {came}" if came else text
        downtime.write(lambda old: noted(noted(old, text), came) if came else noted(old, text))
        events.emit(downtime.api, downtime.node, record.node_uid, "CordonedAgain", text, warning=True)
        downtime.say("see-gpus", said)
    return True


def _came(downtime: Downtime) -> str:
    """What the scheduler placed in that moment, which nobody can prevent: it is named, and left where it is."""
    pods = [pod for pod in eviction.of_node(downtime) if pod_.must_go(pod) and not pod_.is_daemon(pod)]
    named = sorted(pod_.full_name(pod) for pod in pods if not pod_.is_finished(pod))
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return f"Work is on it, or came meanwhile: {', '.join(named[:_MOST_NAMED])}{more}" if named else ""


def of_daemons(downtime: Downtime, seconds: float) -> list[Check]:
    """Wait until the device plugin and what runs beside it are Ready, for at most ``seconds``."""
    before = downtime.record.found.daemons
    if not downtime.settings.checks.daemons or not before:
        return []

    def look() -> list[str]:
        return gpu_daemons.unready(downtime.api, downtime.node, before)

    if probing.probe(lambda: None if look() else True, max(0.0, seconds), first=0.5) is not None:
        return [Check("daemons", "passed", "the DaemonSets' pods beside the device plugin are Ready")]
    without = look()
    if not without:
        return [Check("daemons", "passed", "the DaemonSets' pods beside the device plugin are Ready")]
    return [Check("daemons", "failed", f"no Ready pod, although there was one: {', '.join(without)}")]


def of_host(downtime: Downtime, enough: Mapping[str, int]) -> list[Check]:
    """Look at the machine itself, if it is one that can be.

    Args:
        enough: GPU resources that must be there.
    """
    settings, record = downtime.settings, downtime.record
    if not host_gpus.possible(settings):
        why = "switched off" if settings.checks.host == "never" else "SSH is not configured"
        return [Check("host", "skipped", f"the machine itself was not looked at: {why}")]
    found = downtime.see_node()
    if record.aborted and node.boot_id(found) == record.found.boot_id:
        return [Check("host", "skipped", "the machine was not restarted: it was not looked at")]
    return _looked_at(downtime, found, enough, log=True)


def of_returned_host(downtime: Downtime) -> list[Check]:
    """Look at the machine of a node that failed and came back by itself, if it is one that can be.

    Where it is still the boot that failed, errors in its kernel log may be as old as that boot: it is not read.
    """
    recorded, found = downtime.record.found, downtime.see_node()
    if not any(recorded.gpus.values()) or not host_gpus.possible(downtime.settings):
        return []
    return _looked_at(downtime, found, recorded.gpus, log=node.boot_id(found) != recorded.boot_id)


def _looked_at(downtime: Downtime, found: Object, enough: Mapping[str, int], *, log: bool) -> list[Check]:
    settings, record = downtime.settings, downtime.record
    try:
        facts = host_gpus.look(downtime.api, settings, found, log=log)
    except DowntimeError as error:
        return [Check("host", "failed", f"the machine cannot be looked at: {error.message}. {error.remedy}")]
    return gpu_checks.judge(facts, record.found, enough, settings.checks)
