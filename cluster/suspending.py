"""Suspending workloads of a node through Run:ai's REST API, before it is drained: they stop, and are resumed later.

All are looked at before the first is touched. For each, the intent is written, then it is asked for, and recorded as
made once it is seen stopped and its pods have left the node. Whoever goes on after a crash finds the intent: what it
names and is stopped is taken for ours (decision 014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from cluster import pods as pod_
from cluster import runai_api, suspensions
from cluster.api import Object
from cluster.config import Settings
from cluster.downtime import Downtime
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.plan import Workload
from cluster.record import Change
from cluster.runai_api import RunaiApi
from cluster.runai_errors import RunaiError
from cluster.runai_workloads import OVER, STOPPED, STOPPING, RestPod, RestWorkload, candidates, collection, is_it
from cluster.watching import until

_PODS = "/api/v1/pods"
_STEP = "suspend"
_LOOK_SECONDS = 2.0
_MARGIN_SECONDS = 30.0


How = Literal["suspended", "stopped-already", "over", "gone"]


class Suspended(NamedTuple):
    """What came of one workload.

    Attributes:
        key: as ``Workload.key``.
        how: ``suspended``: by this downtime, and resumed by it; ``stopped-already``: by somebody else, and left so;
            ``over``: it has ended, or is being deleted; ``gone``: its pods have left the node by themselves.
    """

    key: str
    how: How


class _Found(NamedTuple):
    wanted: Workload
    rest: RestWorkload
    value: str


def available(settings: Settings) -> bool:
    """Whether workloads can be suspended: Run:ai's REST API is configured."""
    return settings.runai is not None


def possible(downtime: Downtime) -> bool:
    """Whether this downtime can: the API is configured, and was when it was opened, so that it has the step that
    resumes, which is still to come.
    """
    return available(downtime.settings) and suspensions.STEP in downtime.steps and not _resumed(downtime)


def suspend(downtime: Downtime, workloads: Iterable[Workload], who: str) -> tuple[Suspended, ...]:
    """Suspend these workloads, and see them stopped and their pods gone from the node.

    Those that this downtime has suspended already are only seen. What was done of a part of them before it fails
    stands in the record, and is resumed with the others.

    Args:
        who: the person that decided so.

    Raises:
        RunaiError: the API refuses, in its words, or is not reached.
        Blocked: nothing was asked for: the API is not configured, or a workload is not found there for sure.
        Failed: it did not stop in time.
        LockLost: somebody else goes on with this downtime.
    """
    wanted = tuple(workloads)
    try:
        _require_possible(downtime)
        with runai_api.opened(downtime.api, downtime.settings) as rest:
            settle(downtime, rest, [one.key for one in wanted])
            found, gone = _look(downtime, rest, wanted)
            _require_suspendable(downtime, found)
            how = [_ask(downtime, rest, one, who) for one in found]
            _see_stopped(downtime, rest, [one for one, did in zip(found, how, strict=True) if did.how != "over"])
            return (*(_seen(downtime, one) for one in how), *(Suspended(one.key, "gone") for one in gone))
    except DowntimeError as error:
        error.changed = error.changed or downtime.record.standing()
        raise


def _seen(downtime: Downtime, one: Suspended) -> Suspended:
    over = one.how == "suspended" and suspensions.of(downtime.record, one.key) is None
    return one._replace(how="over") if over else one


def settle(downtime: Downtime, rest: RunaiApi, but: Iterable[str] = ()) -> None:
    """Find out what became of suspensions that a process intended before it died: they stand, or never happened.

    One that runs on may still be stopped by a request whose answer was lost: its intent stands until it would have
    stopped long ago, or until the step that resumes judges it.

    Args:
        but: keys that are not looked at.
    """
    for one in suspensions.left(downtime.record):
        key = suspensions.key_of(one)
        if one.state != "intended" or key in but:
            continue
        now = rest.workload(suspensions.target(one)[1])
        if now is not None and now.phase == STOPPED:
            _write(downtime, key, one.value, "made", f"{key} was suspended: it is stopped")
        elif now is None or (now.phase != STOPPING and datetime.now(UTC) > settled_at(downtime, one)):
            said = f"phase {now.phase}" if now is not None else "it was deleted"
            _write(downtime, key, one.value, "undone", f"{key} was not suspended: {said}")


def settled_at(downtime: Downtime, one: Change) -> datetime:
    """When what was asked for under this intent would have been done: what runs on then was not suspended."""
    runai = downtime.settings.runai
    asked = runai.patience if runai is not None else 0.0
    return one.at + timedelta(seconds=asked + _seconds(downtime, []))


def fenced(downtime: Downtime) -> Callable[[], AbstractContextManager[None]]:
    """What each try of a request that changes something is made inside of: it cannot be fenced by the API."""
    runai = downtime.settings.runai
    # Connecting has its own timeout, and so has the answer.
    seconds = 2 * runai.timeout if runai is not None else 0.0
    return lambda: downtime.lock.for_at_least(seconds)


def _resumed(downtime: Downtime) -> bool:
    return downtime.record.done(suspensions.STEP)


def _require_possible(downtime: Downtime) -> None:
    if available(downtime.settings) and not possible(downtime):
        resumed = _resumed(downtime)
        why = "it has resumed its workloads already" if resumed else "it was opened before [runai] was configured"
        raise Blocked(
            "cannot-suspend",
            f"The downtime of {downtime.node} would not resume what it suspends: {why}. Nothing was suspended",
            "Evict the workloads, or wait for their owners; or 'downtime abort' and begin again.",
        )


def _look(downtime: Downtime, rest: RunaiApi, wanted: tuple[Workload, ...]) -> tuple[list[_Found], list[Workload]]:
    """Each of them as the API knows it; and those of which nothing is left on the node."""
    pods: tuple[RestPod, ...] | None = None
    found, gone = list[_Found](), list[Workload]()
    here = downtime.api.list(_PODS, fields=f"spec.nodeName={downtime.node}")
    for one in wanted:
        known = suspensions.of(downtime.record, one.key)
        if known is not None:
            now = rest.workload(suspensions.target(known)[1])
            if now is not None:
                found.append(_Found(one, now, known.value))
                continue
        if not _pods_of(one, here):
            gone.append(one)
            continue
        pods = rest.pods_on(downtime.node) if pods is None else pods
        found.append(_identified(downtime, rest, one, pods))
    return found, gone


def _identified(downtime: Downtime, rest: RunaiApi, wanted: Workload, pods: tuple[RestPod, ...]) -> _Found:
    details = [rest.workload(id_) for id_ in candidates(wanted, pods)]
    same = [one for one in details if one is not None and is_it(wanted, one)]
    if not same:
        raise Blocked(
            "runai-unknown-workload",
            f"Run:ai's API at {rest.url} knows no workload of the pods {', '.join(wanted.pods[:5])} on "
            f"{downtime.node}: {wanted.key} was not submitted through it, or has just begun. Nothing was suspended",
            f"Evict {wanted.namespace}/{wanted.name} or wait for its owner; or try again in a minute.",
        )
    if len(same) > 1:
        raise Blocked(
            "runai-ambiguous-workload",
            f"Run:ai's API at {rest.url} knows several workloads that may be {wanted.key}: "
            f"{' and '.join(one.title for one in same)}. Nothing was suspended",
            "Suspend the right one in the Run:ai UI; where the control plane serves several clusters, set cluster_id "
            "under [runai].",
        )
    where = collection(wanted, same[0])
    if where is None:
        raise Blocked(
            "runai-not-suspendable",
            f"Run:ai's API has no suspension for {wanted.key} ({same[0].title}), which is of type "
            f"{same[0].type or 'unknown'}. Nothing was suspended",
            f"Evict {wanted.namespace}/{wanted.name}, or wait for its owner.",
        )
    return _Found(wanted, same[0], f"{where}/{same[0].id}")


def _require_suspendable(downtime: Downtime, found: list[_Found]) -> None:
    for one in found:
        ends = one.rest.phase in (STOPPED, STOPPING) or one.rest.phase in OVER
        if one.rest.actions.suspend is False and not ends and suspensions.of(downtime.record, one.wanted.key) is None:
            raise Blocked(
                "runai-not-suspendable",
                f"Run:ai's API says that {one.wanted.key} ({one.rest.title}) cannot be suspended. Nothing was "
                "suspended",
                f"Evict {one.wanted.namespace}/{one.wanted.name}, or wait for its owner.",
            )


def _ask(downtime: Downtime, rest: RunaiApi, one: _Found, who: str) -> Suspended:
    key, phase = one.wanted.key, one.rest.phase
    ours = suspensions.of(downtime.record, key)
    if phase in OVER:
        return Suspended(key, "over")
    if phase in (STOPPED, STOPPING):
        if ours is not None:
            return Suspended(key, "suspended")
        # Whoever stopped it starts it again: it is none of ours.
        downtime.say(_STEP, f"{key} was stopped by somebody else already")
        return Suspended(key, "stopped-already")
    downtime.write(
        lambda old: suspensions.with_workload(
            suspensions.with_state(old, key, one.value, "intended", f"{who} suspends {key}"), one.wanted
        )
    )
    downtime.say(_STEP, f"{key} is to stop, as {who} decided")
    try:
        rest.suspend(*suspensions.target_of(one.value), fenced(downtime))
    except RunaiError as error:
        _after_refusal(downtime, rest, one, error)
    return Suspended(key, "suspended")


def _after_refusal(downtime: Downtime, rest: RunaiApi, one: _Found, error: RunaiError) -> None:
    """A request that was sent twice, since the answer to the first was lost, may be refused the second time; and so
    may be one for what was deleted since it was looked at, whose pods are still to be seen gone.
    """
    if not error.certain:
        raise error
    now = rest.workload(one.rest.id)
    if now is None or now.phase in (STOPPED, STOPPING):
        return
    _write(downtime, one.wanted.key, one.value, "undone", f"{one.wanted.key} was not suspended: {error.message}")
    raise error


def _see_stopped(downtime: Downtime, rest: RunaiApi, found: list[_Found]) -> None:
    waiting = {one.wanted.key: one for one in found}
    if not waiting:
        return
    phases = {one.wanted.key: one.rest.phase for one in found}

    def judge(now: dict[str, Object]) -> bool | None:
        here = list(now.values())
        for key, one in list(waiting.items()):
            if _pods_of(one.wanted, here):
                continue
            rest_now = rest.workload(one.rest.id)
            phases[key] = rest_now.phase if rest_now is not None else "deleted"
            if rest_now is None or rest_now.phase in OVER or rest_now.phase == STOPPED:
                del waiting[key]
                _stopped(downtime, one, phases[key])
        return None if waiting else True

    fields = f"spec.nodeName={downtime.node}"
    before = downtime.api.list(_PODS, fields=fields)
    seconds = _seconds(downtime, [pod for one in found for pod in _pods_of(one.wanted, before)])
    if until(downtime.api, _PODS, judge, seconds, fields=fields, every=_LOOK_SECONDS) is None:
        raise _still_there(downtime, waiting, phases, seconds)


def _stopped(downtime: Downtime, one: _Found, phase: str) -> None:
    key = one.wanted.key
    downtime.say(_STEP, f"{key}: {phase}, and its pods are gone from {downtime.node}")
    if suspensions.of(downtime.record, key) is None:
        return
    if phase == STOPPED:
        _write(downtime, key, one.value, "made", f"{key} is suspended: stopped, and its pods are gone")
    else:
        _write(downtime, key, one.value, "undone", f"{key} ended by itself meanwhile: {phase}")


def _seconds(downtime: Downtime, pods: list[Object]) -> float:
    minutes = downtime.settings.runai.stop_minutes if downtime.settings.runai is not None else 0.0
    grace = max((pod_.grace_seconds(pod) for pod in pods), default=0.0)
    return max(minutes * 60, grace + _MARGIN_SECONDS if minutes >= 1 else 0.0)


def _pods_of(wanted: Workload, pods: list[Object]) -> list[Object]:
    return [pod for pod in pods if pod_.namespace(pod) == wanted.namespace and pod_.name(pod) in wanted.pods]


def _still_there(downtime: Downtime, waiting: dict[str, _Found], phases: dict[str, str], seconds: float) -> Failed:
    here = downtime.api.list(_PODS, fields=f"spec.nodeName={downtime.node}")
    named = []
    for key, one in waiting.items():
        pods = [pod_.name(pod) for pod in _pods_of(one.wanted, here)]
        still = f"pods {', '.join(pods[:5])} still on {downtime.node}" if pods else f"phase {phases[key]}"
        named.append(f"{key}: {still}")
    return Failed(
        "not-suspended",
        f"After {seconds:.0f} s these workloads have not stopped, although Run:ai accepted that: {'; '.join(named)}. "
        "Nothing was evicted",
        f"See to them in the Run:ai UI, with their owners. 'downtime resume {downtime.node}' looks again; 'downtime "
        f"abort {downtime.node}' backs out, and resumes what it suspended.",
    )


def _write(downtime: Downtime, key: str, value: str, state: Literal["intended", "made", "undone"], note: str) -> None:
    downtime.write(lambda old: suspensions.with_state(old, key, value, state, note))
