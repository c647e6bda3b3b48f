"""Keeping new pods off a node, and taking away those that are there: the cordon and Run:ai's drain taint.

Each is set in one update of the Node together with the note that it is ours, and taken off only if it is ours.
"""

from __future__ import annotations

from cluster import approving, etcd_consent, forecasting, node, ownership, verified_return, waiting
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked
from cluster.observation import Observation
from cluster.plan import Workload
from cluster.record import Record
from cluster.step import Made, Seen, Step

# A ConfigMap holds 1 MiB, and a node at most a few hundred pods.
_MOST_WORKLOADS = 500
_DRAIN = "runai=drain:NoExecute"


def _cordon_stands(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if not node.unschedulable(found):
        return None
    if ownership.owns(found, downtime.record.id, "cordon"):
        return Seen("cordoned by this downtime", Made("cordon", "", "made"))
    return Seen("cordoned already by somebody else: it stays")


def _set_cordon(downtime: Downtime) -> None:
    downtime.change_node(lambda old: ownership.cordoned(old, downtime.record.id, downtime.lock.epoch))


def _cordon_seen(downtime: Downtime) -> Seen:
    return _cordon_stands(downtime) or _raise_undone(downtime, "cordon", "uncordoned")


CORDON = Step("cordon", _cordon_stands, _cordon_seen, _set_cordon, intends=(("cordon", ""),))


def _taint_stands(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if not node.drained_by_taint(found):
        return None
    if ownership.owns(found, downtime.record.id, "taint"):
        return Seen(f"{_DRAIN} set by this downtime", Made("taint", _DRAIN, "made"))
    if downtime.options.adopt_taint:
        return None
    return Seen(f"{_DRAIN} was set by somebody else: it stays")


def require_agreed(downtime: Downtime) -> Observation:
    """Look once more at what the drain takes away, before the first of it goes, and write down what there is.

    Raises:
        Blocked: something forbids it, or there is work that nobody was asked about.
        Waiting: there is nobody to ask about etcd's lost tolerance.
    """
    found, plan = etcd_consent.feasible(downtime)
    _require_accepted(downtime, found)
    asking = approving.unsettled(downtime, found, plan)
    if asking:
        downtime.write(waiting.ask_again)
        names_of = ", ".join(f"{one.namespace}/{one.name}" for one in asking[:10])
        raise Blocked(
            "new-interactive-work",
            f"Interactive work on {downtime.node} that nobody was asked about, or whose owner still has time: "
            f"{names_of}; the node was not drained",
            f"'downtime resume {downtime.node}' asks about it, and waits.",
        )
    if not downtime.record.workloads:
        told = forecasting.as_the_drain_begins(downtime.api, found, plan)
        downtime.write(lambda old: _with_workloads(old, told))
    return found


def _set_taint(downtime: Downtime) -> None:
    require_agreed(downtime)
    adopt = downtime.options.adopt_taint
    downtime.change_node(lambda old: ownership.tainted(old, downtime.record.id, downtime.lock.epoch, adopt=adopt))


def _require_accepted(downtime: Downtime, found: Observation) -> None:
    outage = waiting.unaccepted(downtime, found)
    if outage:
        downtime.write(waiting.ask_again)
        raise Blocked(
            "new-outage",
            f"System pods on a volume of {downtime.node} itself that nobody was asked about: {', '.join(outage[:10])}; "
            "the node was not drained",
            f"'downtime resume {downtime.node}' asks about them.",
        )


def _with_workloads(old: Record, workloads: tuple[Workload, ...]) -> Record:
    return old.model_copy(update={"workloads": workloads[:_MOST_WORKLOADS]})


def _taint_seen(downtime: Downtime) -> Seen:
    return _taint_stands(downtime) or _raise_undone(downtime, "taint", "untainted")


TAINT = Step("taint", _taint_stands, _taint_seen, _set_taint, intends=(("taint", _DRAIN),), during="draining")


def _taint_is_gone(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if ownership.owns(found, downtime.record.id, "taint"):
        return None
    if node.drained_by_taint(found):
        return Seen(f"{_DRAIN} is somebody else's: it stays")
    return Seen(f"{_DRAIN} does not stand", _undone_if_made(downtime, "taint", _DRAIN))


def _take_taint_off(downtime: Downtime) -> None:
    # Days may have passed: whoever took the cordon off meanwhile did not know what was to be seen first.
    verified_return.before_untainting(downtime)
    downtime.change_node(lambda old: ownership.untainted(old, downtime.record.id, downtime.lock.epoch))


def _taint_seen_gone(downtime: Downtime) -> Seen:
    seen = _taint_is_gone(downtime) or _raise_undone(downtime, "taint", "tainted again")
    how = "still cordoned" if node.unschedulable(downtime.see_node()) else "and not cordoned any more"
    return seen._replace(proof=f"{_DRAIN} taken off, {how}")


UNTAINT = Step("untaint", _taint_is_gone, _taint_seen_gone, _take_taint_off, during="returning")


def _cordon_is_gone(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if ownership.owns(found, downtime.record.id, "cordon"):
        return None
    if node.unschedulable(found):
        return Seen("the cordon is somebody else's: it stays", _undone_if_made(downtime, "cordon", ""))
    return Seen("not cordoned", _undone_if_made(downtime, "cordon", ""))


def _take_cordon_off(downtime: Downtime) -> None:
    downtime.change_node(lambda old: ownership.uncordoned(old, downtime.record.id, downtime.lock.epoch))


def _cordon_seen_gone(downtime: Downtime) -> Seen:
    seen = _cordon_is_gone(downtime) or _raise_undone(downtime, "cordon", "cordoned again")
    return seen._replace(proof="cordon taken off")


UNCORDON = Step("uncordon", _cordon_is_gone, _cordon_seen_gone, _take_cordon_off, during="returning")


def _undone_if_made(downtime: Downtime, what: str, value: str) -> Made | None:
    known = any(change.what == what for change in downtime.record.changes)
    return Made(what, value, "undone") if known else None


def _raise_undone(downtime: Downtime, what: str, how: str) -> Seen:
    raise Blocked(
        f"{what}-changed",
        f"{downtime.node} was {how} by somebody else while this step was under way",
        f"Find out who changes it, then 'downtime resume {downtime.node}'.",
    )


def mark_is_gone(found: Object, record: str) -> bool:
    """Whether the Node carries nothing of this downtime any more."""
    mark = ownership.read(found)
    return mark is None or mark.record != record
