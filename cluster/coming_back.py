"""A node that failed, back: with another boot if it was off, steadily Ready, and not for the fourth time in an hour."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cluster import consent, etcd_quorum, flapping, nodes, outage, proven_off
from cluster import node as node_
from cluster import record as records_of
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Failed, Misused, Waiting
from cluster.flapping import Sighting
from cluster.machine import lease_seconds
from cluster.record import Approval, Record
from cluster.records import Records
from cluster.signs_of_life import sees_renewals, unless_back
from cluster.step import Made, Seen, Step
from cluster.waiting import APPROVE_RETURN
from cluster.watching import until

APPROVE_RETURN_OF_FAILED = unless_back(APPROVE_RETURN)


def _never_seen_back(_: Downtime) -> Seen | None:
    # "Back" is only what is watched for: renewals that come in now.
    return None


def _see_back(downtime: Downtime) -> Seen:
    seconds = downtime.settings.drain.back_minutes * 60
    gone = downtime.record.gone_boot

    def judge(now: dict[str, Object]) -> str | None:
        found: Object = next(iter(now.values()), {"metadata": {}})
        boot = node_.boot_id(found)
        return boot if node_.ready(found) and boot and boot != gone else None

    boot = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={downtime.node}")
    if boot is None:
        raise _not_back(downtime, seconds, _why(downtime.see_node(), gone))
    wait = max(60.0, 3 * lease_seconds(downtime))
    if not sees_renewals(downtime, wait):
        raise _not_back(downtime, wait, "it is called Ready, but its kubelet does not renew the node's lease")
    proven_off.void(downtime)
    etcd = etcd_quorum.see_member_back(downtime)
    sent = next((one for one in downtime.record.changes if one.what == "shutdown"), None)
    proof = f"Ready, with boot {boot}{' (new)' if gone else ''}, and its lease is being renewed{etcd}"
    return Seen(proof, Made("shutdown", sent.value, "undone") if sent is not None else None)


def _why(found: Object, gone: str) -> str:
    if gone and node_.boot_id(found) == gone:
        return "the node still reports the boot that was proven to have ended"
    ready = node_.condition(found, "Ready")
    return f"the node is not Ready: {ready.get('message') or ready.get('reason') or 'no reason given'}"


def _not_back(downtime: Downtime, seconds: float, why: str) -> Failed:
    return Failed(
        "not-back",
        f"{downtime.node} is not back after {seconds / 60:.0f} minutes: {why}. It stays out of service",
        f"Look at its console and its kubelet; then 'downtime resume {downtime.node}' waits again.",
    )


SEE_BACK_OF_FAILED = Step("see-back", _never_seen_back, _see_back, during="starting", after="returning")


def flapping_accepted(record: Record) -> bool:
    """Whether a person lets the node return although it keeps failing: said of this return, not of another. Pure."""
    back = outage.came_back_at(record)
    said = [one for one in record.approvals if one.subject == "flapping"]
    return back is not None and any(one.at >= back for one in said)


def accept_flapping(downtime: Downtime, typed: str, who: str) -> None:
    """Write down that a person lets the node return although it keeps failing.

    Args:
        typed: the node's name, as the person typed it.

    Raises:
        Misused: it is another name, or nobody asks that: nothing was written.
    """
    name, record = downtime.node, downtime.record
    consent.require_typed(name, typed, "not-confirmed", f"let {name} return although it keeps failing")
    if record.procedure != "unplanned" or outage.came_back_at(record) is None or record.done("stable"):
        raise Misused(
            "nothing-to-decide",
            f"The {record.procedure} downtime of {name} does not ask whether it may return although it keeps failing",
            f"'downtime status {name}' shows what it waits for.",
        )
    given = Approval(
        subject="flapping",
        digest=consent.digest_of([record.id]),
        items=(name,),
        answer="accept",
        who=who,
        at=datetime.now(UTC),
    )
    downtime.write(lambda old: old if given in old.approvals else records_of.approved(old, given))


def _require_not_flapping(downtime: Downtime) -> None:
    now = datetime.now(UTC)
    earlier = outage.returns_of(Records(downtime.api).closed_of(downtime.node))
    this = outage.came_back_at(downtime.record) or now
    objections = flapping.judge(downtime.node, [*earlier, this], now)
    if objections and not flapping_accepted(downtime.record):
        first = objections[0]
        raise Waiting(first.code, first.message, first.remedy)


def _see_stable(downtime: Downtime) -> Seen:
    _require_not_flapping(downtime)
    wanted = downtime.settings.drain.stable_seconds
    lease = lease_seconds(downtime)
    sightings: list[Sighting] = []

    def judge(now: dict[str, Object]) -> float | None:
        found = next(iter(now.values()), None)
        if found is None:
            return None
        held = outage.renewal(downtime.api.get(f"{nodes.LEASES}/{downtime.node}"))
        at = time.monotonic()
        renewed = held.isoformat() if held is not None else ""
        sightings.append(Sighting(at, node_.ready(found), node_.boot_id(found), renewed))
        steady = flapping.steady_seconds(sightings, at, lease)
        return steady if steady >= wanted else None

    seconds = max(downtime.settings.drain.back_minutes * 60, 2 * wanted)
    fields = f"metadata.name={downtime.node}"
    steady = until(downtime.api, nodes.NODES, judge, seconds, fields=fields, every=max(1.0, lease / 8))
    if steady is None:
        raise Failed(
            "not-steady",
            f"{downtime.node} was not Ready for {wanted:.0f} s without a break within {seconds / 60:.0f} minutes. It "
            "stays out of service",
            f"Look at its kubelet; then 'downtime resume {downtime.node}' waits again.",
        )
    return Seen(f"steadily Ready for {steady:.0f} s")


STABLE = Step("stable", _never_seen_back, _see_stable, during="returning")
