"""Power resets of a node that failed: at most so many in an hour, each written down before it is sent.

A reset counts even if the process ends before it is sent: rather one too few than a machine that is reset for ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster import dead_kubelet, etcd_consent, outage, probing, procedures, reach
from cluster import node as node_
from cluster.downtime import Downtime
from cluster.errors import Blocked, Failed
from cluster.options import UnplannedOptions
from cluster.out_of_service import require_in_service
from cluster.record import Record, noted
from cluster.records import Records
from cluster.signs_of_life import back, unless_back
from cluster.step import Seen, Step

WINDOW = timedelta(hours=1)


def left(record: Record, earlier: tuple[Record, ...], allowed: int, now: datetime) -> int:
    """How many resets may still be tried, those of earlier recoveries within the hour counted. Pure."""
    sent = [when for one in (record, *earlier) for when in one.resets]
    return max(0, allowed - sum(now - when < WINDOW for when in sent))


def _left(downtime: Downtime) -> int:
    options = downtime.options
    allowed = options.resets if isinstance(options, UnplannedOptions) else 0
    earlier = tuple(Records(downtime.api).closed_of(downtime.node))
    return left(downtime.record, earlier, allowed, datetime.now(UTC))


def stops(downtime: Downtime) -> bool:
    """Whether the power of the machine is going to be reset next."""
    is_next = "reset" in procedures.left(downtime.record)[:1]
    return is_next and bool(_left(downtime)) and back(downtime) is None


def _used_up(downtime: Downtime) -> Seen | None:
    if _left(downtime):
        return None
    return Seen(f"{len(downtime.record.resets)} power resets were tried in this downtime; now a person is needed")


def _reset(downtime: Downtime) -> None:
    while _left(downtime):
        _require_gate(downtime)
        require_in_service(downtime)
        _require_not_another(downtime)
        etcd_consent.settle(downtime)
        etcd_consent.require(downtime)
        _reset_once(downtime)
        seconds = downtime.settings.drain.back_minutes * 60
        if probing.probe(lambda: back(downtime), seconds, first=1.0) is not None:
            return


def _reset_once(downtime: Downtime) -> None:
    power, where = reach.power(downtime), reach.host(downtime)
    status, before = power.status(where).state, downtime.record.gone_boot
    now = datetime.now(UTC)
    number = len(downtime.record.resets) + 1
    downtime.write(lambda old: noted(old.model_copy(update={"resets": (*old.resets, now)[:number]}), f"reset {number}"))
    dead_kubelet.ended(downtime, node_.boot_id(downtime.see_node()))
    downtime.say("reset", f"power reset {number}")
    try:
        with downtime.lock.for_at_least(downtime.settings.power.command.timeout):
            if status == "off" and power.on_kind != "person":
                power.on(where)
            else:
                power.reset(where)
    except Failed as error:
        if error.code == "power-command-failed":
            downtime.write(lambda old: old.model_copy(update={"gone_boot": before}))
        raise


def _require_gate(downtime: Downtime) -> None:
    gate, options = downtime.record.gate, downtime.options
    overridden = isinstance(options, UnplannedOptions) and options.override_recovery_gate.strip()
    if (gate is None or gate.blocks) and not overridden:
        raise Blocked(
            "recovery-gate",
            f"The power of {downtime.node} is not reset: the disaster-recovery check did not pass when this downtime "
            "began, and the machine may still run something",
            f"'downtime abort {downtime.node}', then start again without --resets, or with --override-recovery-gate.",
        )


def _require_not_another(downtime: Downtime) -> None:
    """A machine that answers must prove to be the node. One that is silent cannot: its power controller is believed.

    Raises:
        Blocked: it is another machine, or the power controller says nothing about it.
    """
    if outage.ssh_state(downtime) == "answers":
        with reach.ssh(downtime) as ssh:
            dead_kubelet.require_identity(downtime, ssh)
        return
    status = reach.power(downtime).status(reach.host(downtime))
    if status.state == "unknown":
        raise Blocked(
            "power-status-unknown",
            f"The power controller does not say whether {downtime.node} is on ({status.reason}): it was not reset",
            "See what the status command under [power.command] prints: it must be 'on' or 'off'.",
        )


def _seen(downtime: Downtime) -> Seen:
    return back(downtime) or _used_up(downtime) or Seen("reset")


RESET = unless_back(Step("reset", _used_up, _seen, _reset))
