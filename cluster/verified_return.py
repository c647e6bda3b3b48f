"""Before a node with GPUs gets work again: everything beyond how many can be allocated, and that it stays cordoned.

Each check has a name in section [checks] of the configuration, where it can be switched off.
"""

from __future__ import annotations

from collections.abc import Mapping

from cluster import (
    accepted_gpus,
    events,
    eviction,
    gpu_checks,
    gpu_daemons,
    host_gpus,
    mig_state,
    node,
    ownership,
    probing,
)
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import DowntimeError
from cluster.gpu_checks import Check
from cluster.record import change_is, noted

_MOST_NAMED = 10
_DAEMONS_READY = Check("daemons", "passed", "the pods of Run:ai's DaemonSets and beside the device plugin are Ready")


def labels_unfinished(downtime: Downtime, found: Object) -> str:
    """Why the node's GPUs are not sliced yet as they are to be; empty: they are."""
    if not downtime.settings.checks.mig:
        return ""
    return mig_state.unfinished(downtime.record.found.labels, found["metadata"].get("labels") or {})


def keep_cordoned(downtime: Downtime, found: Object) -> bool:
    """Cordon the node again, if somebody took its cordon off, whoever had set that; whether it had to be.

    The GPU operator's driver manager uncordons nodes that it did not cordon: NVIDIA/k8s-driver-manager#212. What is
    set here is this downtime's own, also in the place of somebody else's cordon: ``uncordon`` takes it off.

    Raises:
        LockLost: somebody else goes on with this downtime.
    """
    if not downtime.settings.checks.cordon or node.unschedulable(found):
        return False
    ours, epoch = ownership.owns(found, downtime.record.id, "cordon"), downtime.lock.epoch
    if not ours:
        downtime.write(lambda old: change_is(old, "cordon", "", "intended"))
    changed = downtime.change_node(lambda old: ownership.cordoned(old, downtime.record.id, epoch))
    made = ownership.owns(changed, downtime.record.id, "cordon")
    if not ours:
        downtime.write(lambda old: change_is(old, "cordon", "", "made" if made else "undone"))
    if made:
        _say_so(downtime, ours=ours)
    return made


def _say_so(downtime: Downtime, *, ours: bool) -> None:
    text = f"{downtime.node} was uncordoned by somebody else before its GPUs were seen: it was cordoned again"
    if not ours:
        text += ". The cordon before was not of this downtime; this one is, and comes off once the GPUs were seen"
    if text in (moment.text for moment in downtime.record.timeline[-2:]):
        return
    came = _came(downtime)
    downtime.write(lambda old: noted(noted(old, text), came) if came else noted(old, text))
    events.emit(downtime.api, downtime.node, downtime.record.node_uid, "CordonedAgain", text, warning=True)
    downtime.say("see-gpus", f"{text}. {came}" if came else text)


def before_untainting(downtime: Downtime) -> None:
    """Cordon a node whose GPUs are to be seen, if nothing else keeps work away once the drain taint is off."""
    if "see-gpus" in downtime.steps and any(accepted_gpus.expected(downtime.record).values()):
        keep_cordoned(downtime, downtime.see_node())


def out_of_service(downtime: Downtime) -> str:
    """Whether the node stays out of service, in a sentence: looked at now, and cordoned again where it must be.

    Raises:
        DowntimeError: the Node cannot be read, or not be changed.
    """
    keep_cordoned(downtime, downtime.see_node())
    if node.unschedulable(downtime.see_node()):
        return "It stays cordoned"
    off = "" if downtime.settings.checks.cordon else ", and 'cordon = false' under [checks] leaves it so"
    return (
        f"It is NOT cordoned: somebody took the cordon off{off}. Work may start on it until "
        f"'kubectl cordon {downtime.node}'"
    )


def _came(downtime: Downtime) -> str:
    """What the scheduler placed in that moment, which nobody can prevent: it is named, and left where it is."""
    pods = [pod for pod in eviction.of_node(downtime) if pod_.must_go(pod) and not pod_.is_daemon(pod)]
    named = sorted(pod_.full_name(pod) for pod in pods if not pod_.is_finished(pod))
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return f"Work is on it, or came meanwhile: {', '.join(named[:_MOST_NAMED])}{more}" if named else ""


def of_daemons(downtime: Downtime, seconds: float) -> list[Check]:
    """Wait until the device plugin, and what GPUs need with it, are Ready where they were, for at most ``seconds``."""
    before = downtime.record.found.daemons
    if not downtime.settings.checks.daemons or not before:
        return []

    def look() -> gpu_daemons.Lacking:
        found, also = downtime.see_node(), downtime.settings.checks.daemons_also
        keep_cordoned(downtime, found)
        return gpu_daemons.unready(downtime.api, found, before, also)

    def none_is_missing() -> gpu_daemons.Lacking | None:
        now = look()
        return None if now.missing else now

    lacks = probing.probe(none_is_missing, max(0.0, seconds), first=0.5) or look()
    if lacks.missing:
        text = f"no Ready pod, although there was one: {', '.join(lacks.missing)}"
        return [Check("daemons", "failed", text)]
    if lacks.kept_away:
        text = f"not waited for, as taints keep them away: {', '.join(lacks.kept_away)}"
        return [_DAEMONS_READY, Check("daemons", "skipped", text)]
    return [_DAEMONS_READY]


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
