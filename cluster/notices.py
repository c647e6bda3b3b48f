"""Telling the owners of interactive work that its node goes down: once about each workload of a downtime.

That it is going to be told is written into the record before: a run that goes on after a crash tells nobody twice, and
says that it does not know. A way that fails is written there too, and never stops the downtime.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cluster import consent, events, node, notice, notice_text, notifiers
from cluster import pods as pod_
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.notice import Notice
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.plan import Plan, Workload
from cluster.record import Record

_STEP = "approve-workloads"


def period(downtime: Downtime) -> timedelta:
    """How long interactive work is left to its owners once they were told."""
    options, settings = downtime.options, downtime.settings
    chosen = options.notice_minutes if isinstance(options, PlannedOptions | RemoveOptions) else 0
    return timedelta(
        minutes=notice.minutes(chosen, settings.drain.notice_minutes, notifies=settings.notify.any),
    )


def untold(downtime: Downtime, seen: Observation, plan: Plan) -> tuple[Workload, ...]:
    """The interactive work whose owners are still to be told; none where nobody is told and no time is given.

    Nobody is told to save work that cannot be reached: of a dead node that is removed.
    """
    if not (downtime.settings.notify.any or period(downtime)):
        return ()
    if downtime.record.procedure == "remove" and seen.node is not None and not node.ready(seen.node):
        return ()
    return notice.untold(consent.interactive_work(plan.workloads), downtime.record.notices)


def tell(downtime: Downtime, seen: Observation, plan: Plan) -> None:
    """Tell the owners of work that was not told of yet, by all ways that are configured."""
    hurried = consent.agreed(downtime.record, "interactive", consent.EVICT_NOW, consent.SUSPEND_NOW)
    workloads = untold(downtime, seen, plan)
    # Nobody is promised time for what somebody decided is done at once.
    at_once = tuple(one for one in workloads if one.key in hurried)
    _tell(downtime, seen, at_once, timedelta())
    _tell(downtime, seen, tuple(one for one in workloads if one not in at_once), period(downtime))


def _tell(downtime: Downtime, seen: Observation, workloads: tuple[Workload, ...], time: timedelta) -> None:
    if not workloads:
        return
    at = datetime.now(UTC)
    intended = Notice(at=at, until=at + time, items=tuple(one.key for one in workloads))
    downtime.write(lambda old: _with(old, intended))
    ways, failed = notifiers.of(downtime.api, downtime.settings.notify)
    subject = notice_text.subject(downtime.record)
    body = notice_text.body(downtime.record, workloads, at, intended.until)
    outcome = notifiers.send_all(ways, subject, body, downtime.settings.notify.send_seconds)
    if downtime.settings.notify.events:
        _write_events(downtime, seen, workloads, intended)
    sent = intended.model_copy(
        update={"state": "sent", "told": outcome.told, "failed": (*failed, *outcome.failed)},
    )
    downtime.write(lambda old: _with(old, sent))
    for line in notice.said([sent]):
        downtime.say(_STEP, line)


def _with(old: Record, one: Notice) -> Record:
    """The record with a notice, in place of the same one as it was before."""
    if one in old.notices:
        return old
    kept = tuple(other for other in old.notices if (other.at, other.items) != (one.at, one.items))
    new = old.model_copy(update={"notices": (*kept, one)})
    said = notice.said([one]) if one.state == "sent" else [f"telling the owners of {', '.join(one.items)}"]
    return records_of.noted(new, "; ".join(said)[:1000])


def _write_events(downtime: Downtime, seen: Observation, workloads: tuple[Workload, ...], one: Notice) -> None:
    text = notice_text.event(downtime.record, one.until, one.at)
    named = {(workload.namespace, name) for workload in workloads for name in workload.pods}
    for pod in seen.pods:
        if (pod_.namespace(pod), pod_.name(pod)) in named and not events.about_pod(
            downtime.api, pod, "NodeGoesDown", text
        ):
            return
