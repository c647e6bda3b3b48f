"""The machine behind the node: shut down, seen off, switched on, seen back.

Nothing is done to a machine that was not proven to be the node: the boot id that it tells over SSH must be the one
that the node's kubelet reported. And a machine counts as back only with another boot id than the one it was shut down
with: a node that went down is still Ready for a while, and again just after it was switched on.
"""

from __future__ import annotations

import time

from cluster import admission, etcd_consent, etcd_quorum, eviction, limits, node, nodes, reach
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.power import wait_for_status
from cluster.record import change_is
from cluster.step import Made, Seen, Step
from cluster.watching import until

_OFF_TIMEOUT = 30.0
# Two renewals seen with our own eyes: one could have been on its way when the machine went down.
_RENEWALS = 2
# A machine that goes down refuses connections for a moment before it is silent.
_SETTLING = 10.0


def _needs_no_shutdown(downtime: Downtime) -> Seen | None:
    sent = downtime.record.shut_down_boot
    if _controller_says_off(downtime):
        # Whoever switched it off: it is back with another boot than this one only.
        boot = sent or node.boot_id(downtime.see_node())
        made = Made("shutdown", boot, "made") if boot else None
        return Seen("the power controller says that it is off already", made)
    # It is not known whether the shutdown that was intended was sent. A machine that goes on answering is told again,
    # even with another boot: that one may have come by itself, and somebody will be told that the machine is off.
    if sent and reach.see_silent(downtime, _SETTLING):
        return Seen("it was told to shut down, and does not answer any more", Made("shutdown", sent, "made"))
    return None


def _controller_says_off(downtime: Downtime) -> bool:
    """Whether the power controller says off. That is believed only of a machine that does not answer.

    Raises:
        Blocked: an SSH server answers where the machine is reached: one of the two is another machine's.
    """
    where = reach.host(downtime)
    if reach.power(downtime).status(where).state != "off":
        return False
    # A machine that is off is silent, and that is waited for each time: a server that is there greets soon.
    if reach.answers(downtime, at_most=2) and not reach.see_silent(downtime, _SETTLING):
        raise Blocked(
            "power-mismatch",
            f"The power controller says that {downtime.node} is off, but an SSH server answers at {where.address}: "
            "one of the two is another machine's. Nobody should work on the machine",
            "Look at the machine; correct the power controller or the address in the configuration; then "
            f"'downtime resume {downtime.node}'.",
        )
    return True


def _rebooted(downtime: Downtime, sent: str) -> bool:
    try:
        return reach.boot_id(downtime) != sent
    except DowntimeError:
        return False


def _shut_down(downtime: Downtime) -> None:
    allowed = limits.judge_of(downtime.api, downtime.node, downtime.settings.limits, downtime.options, recorded=True)
    admission.check_again(downtime.api, downtime.node, allowed)
    etcd_consent.feasible(downtime)
    eviction.require_still_drained(downtime)
    boot = require_identity(downtime)
    etcd_consent.require(downtime)
    perhaps_sent = bool(downtime.record.shut_down_boot)
    downtime.write(lambda old: change_is(old, "shutdown", boot, "intended"))
    try:
        _tell_to_shut_down(downtime, boot)
    except Blocked:
        # Refused before anything was sent, whatever the reason: an abort has no shutdown to wait for.
        if not perhaps_sent:
            downtime.write(lambda old: change_is(old, "shutdown", boot, "undone"))
        raise


def _tell_to_shut_down(downtime: Downtime, boot: str) -> None:
    if reach.power(downtime).off_kind == "command":
        where = reach.host(downtime)
        with downtime.lock.for_at_least(downtime.settings.power.command.timeout):
            reach.power(downtime).off_command(where)
        return
    # Connected first: what the lease must outlast is the command alone.
    with reach.ssh(downtime) as ssh, downtime.lock.for_at_least(_OFF_TIMEOUT * 2):
        ssh.power_off(boot, _OFF_TIMEOUT)


def require_identity(downtime: Downtime) -> str:
    """Prove that the machine at the configured address is the node; its boot id.

    Raises:
        Blocked: the boot ids differ, or the machine does not tell its own.
    """
    reported = node.boot_id(downtime.see_node())
    told = reach.boot_id(downtime)
    if told != reported:
        raise Blocked(
            "host-identity",
            f"The machine at {reach.host(downtime).address} is not {downtime.node}: it runs boot {told}, the node "
            f"reported {reported or 'none'}. It was left alone",
            f"Correct the address of {downtime.node} in [hosts.addresses]; if the machine restarted just now, "
            f"'downtime resume {downtime.node}' once the node is Ready.",
        )
    return told


def _shutdown_sent(downtime: Downtime) -> Seen:
    return Seen("the machine accepted the shutdown", Made("shutdown", downtime.record.shut_down_boot, "made"))


SHUT_DOWN = Step("shut-down", _needs_no_shutdown, _shutdown_sent, _shut_down, during="stopping")


def _is_off(downtime: Downtime) -> Seen | None:
    if _controller_says_off(downtime):
        return Seen("the power controller says off")
    sent = downtime.record.shut_down_boot
    if sent and node.boot_id(downtime.see_node()) not in ("", sent):
        return Seen("it was off, and RUNS again: the node reports another boot since")
    return None


def _see_off(downtime: Downtime) -> Seen:
    try:
        return _await_off(downtime)
    except Failed as error:
        sent = downtime.record.shut_down_boot
        if error.code != "still-on" or not downtime.record.aborted or not _never_went_down(downtime, sent):
            raise
        return Seen(f"it never went down, and runs boot {sent} still", Made("shutdown", sent, "undone"))


def _never_went_down(downtime: Downtime, sent: str) -> bool:
    """Whether the machine is in full service with the boot that it was to be shut down with: nothing came of it."""
    found = downtime.see_node()
    if not sent or node.boot_id(found) != sent or not node.ready(found) or not reach.answers(downtime):
        return False
    renewed = lease_renewals(downtime, max(60.0, 3 * lease_seconds(downtime)))
    return renewed >= _RENEWALS and not _rebooted(downtime, sent)


def _await_off(downtime: Downtime) -> Seen:
    seconds = downtime.settings.drain.off_minutes * 60
    power = reach.power(downtime)
    if power.status_kind == "none":
        return _presume_off(downtime, seconds)
    status = wait_for_status(power, reach.host(downtime), "off", seconds)
    seen = _is_off(downtime)
    if seen is not None:
        return seen
    raise _still_on(downtime, seconds, f"the power controller says {status.state} {status.reason}".strip())


def _presume_off(downtime: Downtime, seconds: float) -> Seen:
    """Without a power controller: SSH is silent, and the lease stood still for its whole duration. Proof of nothing."""
    end = time.monotonic() + seconds
    duration = lease_seconds(downtime)
    while True:
        if not reach.see_silent(downtime, max(0.0, end - time.monotonic())):
            raise _still_on(downtime, seconds, "SSH still answers")
        # SSH ends early in a shutdown; the kubelet goes on until the pods that stay have ended.
        still = lease_stands_still(downtime, duration)
        if still and reach.see_silent(downtime, 0):
            return Seen(f"presumed off: SSH is silent, and the lease was not renewed for {duration:.0f} s")
        if time.monotonic() >= end:
            why = "SSH answers again" if still else "the node's lease is renewed, or there is none"
            raise _still_on(downtime, seconds, why)


SEE_OFF = Step("see-off", _is_off, _see_off, during="stopping", after="off")


def _still_on(downtime: Downtime, seconds: float, why: str) -> Failed:
    return Failed(
        "still-on",
        f"{downtime.node} was told to shut down, but is not off after {seconds / 60:.0f} minutes: {why}",
        f"Look at its console. Once it is off, or up again, 'downtime resume {downtime.node}' goes on.",
    )


def _is_on(downtime: Downtime) -> Seen | None:
    if reach.power(downtime).status(reach.host(downtime)).state == "on":
        return Seen("the power controller says on")
    sent = downtime.record.shut_down_boot
    if sent and reach.answers(downtime) and _rebooted(downtime, sent):
        return Seen("it answers, with another boot")
    return None


def _switch_on(downtime: Downtime) -> None:
    with downtime.lock.for_at_least(downtime.settings.power.command.timeout):
        reach.power(downtime).on(reach.host(downtime))


def _see_on(downtime: Downtime) -> Seen:
    power = reach.power(downtime)
    if power.status_kind == "none":
        return Seen("switched on")
    seconds = downtime.settings.drain.off_minutes * 60
    status = wait_for_status(power, reach.host(downtime), "on", seconds)
    if status.state == "on":
        return Seen("the power controller says on")
    raise Failed(
        "still-off",
        f"{downtime.node} was switched on, but after {seconds / 60:.0f} minutes the power controller says "
        f"{status.state} {status.reason}".strip(),
        f"Look at the machine and its power controller; then 'downtime resume {downtime.node}'.",
    )


POWER_ON = Step("power-on", _is_on, _see_on, _switch_on, during="starting")


def _never_seen_back(_: Downtime) -> Seen | None:
    # There is nothing to change here, and "back" is only what is watched for: renewals that come in now.
    return None


def _see_back(downtime: Downtime) -> Seen:
    seconds = downtime.settings.drain.back_minutes * 60
    sent = downtime.record.shut_down_boot
    last: dict[str, Object] = {}

    def judge(now: dict[str, Object]) -> str | None:
        found = next(iter(now.values()), None)
        if found is None:
            return None
        last["node"] = found
        boot = node.boot_id(found)
        return boot if node.ready(found) and boot and boot != sent else None

    boot = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={downtime.node}")
    if boot is None:
        raise _not_back(downtime, seconds, _why_not_back(last.get("node"), sent))
    wait = max(60.0, 3 * lease_seconds(downtime))
    if lease_renewals(downtime, wait) < _RENEWALS:
        raise _not_back(downtime, wait, "it is called Ready, but its kubelet does not renew the node's lease")
    etcd = etcd_quorum.see_member_back(downtime)
    proof = f"Ready, with boot {boot}{' (new)' if sent else ''}, and its lease is being renewed{etcd}"
    return Seen(proof, Made("shutdown", sent, "undone") if sent else None)


SEE_BACK = Step("see-back", _never_seen_back, _see_back, during="starting", after="returning")


def _why_not_back(found: Object | None, sent: str) -> str:
    if found is None:
        return "there is no such node in the cluster any more"
    if sent and node.boot_id(found) == sent:
        return "the node still reports the boot that was shut down"
    ready = node.condition(found, "Ready")
    return f"the node is not Ready: {ready.get('message') or ready.get('reason') or 'no reason given'}"


def _not_back(downtime: Downtime, seconds: float, why: str) -> Failed:
    return Failed(
        "not-back",
        f"{downtime.node} is not back after {seconds / 60:.0f} minutes: {why}. It stays out of service",
        f"Look at its console and its kubelet; then 'downtime resume {downtime.node}' waits again.",
    )


def lease_seconds(downtime: Downtime) -> float:
    """How long the node's own lease lives without renewal (40 s by default)."""
    lease = downtime.api.get(f"{nodes.LEASES}/{downtime.node}")
    return float((lease or {}).get("spec", {}).get("leaseDurationSeconds") or 40)


def lease_renewals(downtime: Downtime, seconds: float) -> int:
    """How many renewals of the node's lease come in, counted until there are two or the time is over."""
    times: list[str] = []

    def judge(now: dict[str, Object]) -> int | None:
        lease = next(iter(now.values()), None)
        renewed = str((lease or {}).get("spec", {}).get("renewTime") or "")
        if renewed and renewed not in times:
            times.append(renewed)
        return _RENEWALS if len(times) > _RENEWALS else None

    until(downtime.api, nodes.LEASES, judge, seconds, fields=f"metadata.name={downtime.node}")
    return max(0, len(times) - 1)


def lease_stands_still(downtime: Downtime, seconds: float) -> bool:
    """Whether there is a lease, and no renewal of it comes in for so long."""
    first: list[str] = []

    def judge(now: dict[str, Object]) -> bool | None:
        lease = next(iter(now.values()), None)
        renewed = str((lease or {}).get("spec", {}).get("renewTime") or "")
        if not first:
            first.append(renewed)
        # Without a lease there is nothing that could stand still.
        return True if not renewed or renewed != first[0] else None

    moved = until(downtime.api, nodes.LEASES, judge, seconds, fields=f"metadata.name={downtime.node}")
    return moved is None
