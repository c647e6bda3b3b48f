"""Seeing the pods gone: by watch, until none is bound to the node that the drain must take away.

Accepted is not gone: a pod counts until its object has left the API, finished pods as well. Nothing is force-deleted:
a pod that does not go is named, with the reason, and the machine is not shut down.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from cluster import drain_deadline, pods, showing_workloads, staying_behind, whereabouts
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.node import drained_by_taint
from cluster.record import noted
from cluster.step import Seen, Step
from cluster.watching import until

PODS = "/api/v1/pods"


def remaining(found: list[Object]) -> list[Object]:
    """The pods that the drain must still take away."""
    return [pod for pod in found if pods.must_go(pod)]


def of_node(downtime: Downtime) -> list[Object]:
    """All pods that are bound to the node, selected on the server."""
    return downtime.api.list(PODS, fields=f"spec.nodeName={downtime.node}")


def deadline_seconds(downtime: Downtime, found: list[Object], *, asked: bool = False) -> float:
    """How long the pods may take; ``asked``: by themselves, before the taint and whether or not they tolerate it."""
    return drain_deadline.seconds(found, downtime.options, downtime.settings.drain, asked=asked)


def _gone(downtime: Downtime) -> Seen | None:
    found = of_node(downtime)
    if downtime.record.procedure == "remove" and remaining(found):
        # Imported here: a removal is about more than pods, and builds on this module.
        from cluster import removal

        return removal.dead_pods(downtime)
    return None if remaining(found) else _with_whereabouts(downtime, _proof(found))


def _see_gone(downtime: Downtime) -> Seen:
    told: set[str] = set()

    def judge(now: dict[str, Object]) -> Seen | None:
        left = remaining(list(now.values()))
        names = {pods.full_name(pod) for pod in left}
        if names != told:
            told.clear()
            told.update(names)
            downtime.say("see-gone", f"{len(left)} pods still on the node" if left else "no pod left that must go")
        return None if left else _proof(list(now.values()))

    seconds = deadline_seconds(downtime, of_node(downtime))
    seen = until(downtime.api, PODS, judge, seconds, fields=f"spec.nodeName={downtime.node}")
    if seen is None:
        raise _still_there(downtime, seconds)
    return _with_whereabouts(downtime, seen)


def require_still_drained(downtime: Downtime) -> None:
    """Be sure, right before the machine goes down, that the node is what was drained. Hours may have passed since.

    Raises:
        Blocked: the taint does not stand any more, or the Node is another one.
        Failed: pods came that do not go.
    """
    name = downtime.node
    found = downtime.see_node()
    if found["metadata"]["uid"] != downtime.record.node_uid:
        raise Blocked(
            "node-recreated",
            f"The Node {name} was deleted and made anew since it was drained: what runs on it now was not asked about. "
            "The machine was not shut down",
            f"'downtime abort {name}' closes this downtime; then start again.",
        )
    if not drained_by_taint(found):
        raise Blocked(
            "taint-changed",
            f"Somebody took the taint runai=drain:NoExecute off {name} since it was drained: work may have come back. "
            "The machine was not shut down",
            f"'downtime abort {name}' backs out. To go on nevertheless, set it again ('kubectl taint nodes {name} "
            f"runai=drain:NoExecute', which evicts what is there), then 'downtime resume {name}'.",
        )
    _see_gone(downtime)
    # Imported here: the service is about more than the pods of one node, and builds on this module's.
    from cluster import service_elsewhere

    service_elsewhere.require(downtime)


SEE_GONE = Step("see-gone", _gone, _see_gone, during="draining", after="drained")


def _proof(found: list[Object]) -> Seen:
    stay = [pod for pod in found if not pods.must_go(pod)]
    known = staying_behind.beforehand(stay, datetime.now(UTC))
    others = sorted({pods.full_name(pod) for pod in stay} - {one.pod for one in known})
    said = [f"{what} ({remedy})" for what, remedy in showing_workloads.stays(known)]
    if others:
        said.append(
            f"{', '.join(others[:5])}{' and others' if len(others) > 5 else ''}: over, or holds a GPU for others"
        )
    return Seen(f"no pod left that must go; {len(stay)} stay{': ' if said else ''}{'; '.join(said)}")


def _with_whereabouts(downtime: Downtime, seen: Seen) -> Seen:
    """Report where each workload went, once, while it is news: hours later they may be anywhere."""
    record = downtime.record
    if (record.workloads or record.suspended) and not record.went:
        went = whereabouts.of_record(downtime.api, record)
        downtime.write(lambda old: old.model_copy(update={"went": went}))
        for one in went:
            downtime.say("see-gone", f"{one.namespace}/{one.workload} ({one.owner}): {one.now}, {one.detail}")
    return seen


def _still_there(downtime: Downtime, seconds: float) -> Failed:
    left = remaining(of_node(downtime))
    found = [staying_behind.still_there(pod, datetime.now(UTC)) for pod in left]
    remedies = staying_behind.remedies(found[:10])
    named = "; ".join(f"{one.pod}: {one.detail}" for one in found[:10])
    more = f" (and {len(left) - 10} more)" if len(left) > 10 else ""
    with contextlib.suppress(DowntimeError):  # for the status of the node; what is wrong is told anyway
        said = f"the time for the drain is up, and pods are still there: {named}{more}. {remedies}"
        downtime.write(lambda old: noted(old, said))
    return Failed(
        "pods-remain",
        f"After {seconds / 60:.0f} minutes {len(left)} pods are still on {downtime.node}: {named}{more}. "
        "The taint stays, nothing was force-deleted, and the machine was not shut down",
        f"See to these pods with their owners ({remedies}); then 'downtime resume "
        f"{downtime.node}' waits again, or 'downtime abort {downtime.node}' takes the taint off.",
    )
