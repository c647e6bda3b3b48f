"""Evicting workloads before the taint, through the API for evictions: the taint itself asks no PodDisruptionBudget.

All at once; one that is refused is asked for again, later and later, and no sooner than the server says. Pods of
DaemonSets are left to the taint: they would start again at once. What was evicted stays evicted, whatever follows.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cluster import evict_request, eviction, node, scheduling, staying_behind, volumes_in_use, workloads_first
from cluster import pods as pod_
from cluster.api import Object
from cluster.api_errors import Busy, Conflict, NamespaceEnds, NotFound
from cluster.downtime import Downtime
from cluster.errors import Failed, Unreachable
from cluster.options import PlannedOptions, RemoveOptions
from cluster.step import Seen, Step
from cluster.watching import until

# An eviction is asked for in milliseconds, and the pods end beside each other; the session keeps few connections.
_AT_ONCE = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_LOOK_SECONDS = 1.0
_LASTING_TIMES = 2

_End = Literal["gone", "left", "others"]


def to_evict(pods: list[Object]) -> list[Object]:
    """The pods that are to be evicted before the taint."""
    return [pod for pod in pods if not workloads_first.leaves_to_taint(pod)]


@dataclass(frozen=True)
class _Refusal:
    """How often an eviction was refused, in whose words, and when (monotonic) it is asked for again."""

    times: int
    said: str
    again: float


class Evictions:
    """The evictions of the pods that were looked at, until none of those is left.

    Args:
        agreed: the uids of those pods: another one that comes meanwhile is to be looked at first.
        force: those that stay refused are left to the taint.
    """

    def __init__(self, downtime: Downtime, agreed: frozenset[str], threads: ThreadPoolExecutor, *, force: bool) -> None:
        self._downtime = downtime
        self._agreed = agreed
        self._threads = threads
        self._force = force
        self._accepted: set[str] = set()
        self._told = ""
        self.refused: dict[str, _Refusal] = {}

    def judge(self, now: dict[str, Object]) -> _End | None:
        """Ask for what is to be asked for now; how it ended, if it did."""
        here = to_evict(list(now.values()))
        pods = [pod for pod in here if pod_.uid(pod) in self._agreed]
        list(self._threads.map(self._ask, [pod for pod in pods if self._due(pod)]))
        self._tell(pods)
        if not pods:
            return "others" if here else "gone"
        return "left" if self._force and all(self._stays(pod) for pod in pods) else None

    def _due(self, pod: Object) -> bool:
        refusal = self.refused.get(pod_.uid(pod))
        if pod_.is_terminating(pod) or pod_.uid(pod) in self._accepted:
            return False
        return refusal is None or time.monotonic() >= refusal.again

    def _refuses(self, pod: Object) -> bool:
        return pod_.uid(pod) in self.refused and not pod_.is_terminating(pod)

    def _stays(self, pod: Object) -> bool:
        """Whether it is refused for a reason that lasts, rather than by a server that is busy for a moment."""
        return self._refuses(pod) and self.refused[pod_.uid(pod)].times >= _LASTING_TIMES

    def _ask(self, pod: Object) -> None:
        uid = pod_.uid(pod)
        self._downtime.lock.check()
        try:
            evict_request.ask(self._downtime.api, pod)
        except NotFound:
            pass  # gone by itself
        except Busy as error:
            self._refuse(uid, error.said or error.message, error.retry_after)
            return
        except (Conflict, NamespaceEnds, Unreachable) as error:
            self._refuse(uid, error.message, 0)
            return
        self.refused.pop(uid, None)
        self._accepted.add(uid)

    def _refuse(self, uid: str, said: str, at_least: float) -> None:
        times = self.refused[uid].times + 1 if uid in self.refused else 1
        pause = max(at_least, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(times - 1, 10)))
        self.refused[uid] = _Refusal(times, said, time.monotonic() + pause)

    def _tell(self, pods: list[Object]) -> None:
        refusing = sorted(pod_.full_name(pod) for pod in pods if self._refuses(pod))
        blocked = f"; not allowed yet: {', '.join(refusing[:5])}" if refusing else ""
        more = f" and {len(refusing) - 5} more" if len(refusing) > 5 else ""
        count = f"{len(pods)} pod{'' if len(pods) == 1 else 's'}"
        text = f"{count} still to go before the taint{blocked}{more}" if pods else ""
        if text and text != self._told:
            self._told = text
            self._downtime.say(workloads_first.STEP, text)


def _nothing_to_evict(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if node.drained_by_taint(found):
        return Seen("nothing to evict before the taint: it stands already")
    if downtime.record.procedure == "remove" and not node.ready(found):
        return Seen("nothing is evicted from a node that is not Ready: nobody there would end it")
    pods = eviction.of_node(downtime)
    return None if to_evict(pods) or volumes_in_use.waited_for(downtime, pods) else _proof(pods)


def _proof(pods: list[Object]) -> Seen:
    daemons = sum(pod_.is_daemon(pod) and pod_.must_go(pod) for pod in pods)
    return Seen(f"no pod left that is evicted before the taint; {daemons} of DaemonSets go with it")


def _evict(downtime: Downtime) -> None:
    seconds = eviction.deadline_seconds(downtime, eviction.of_node(downtime), asked=True)
    end = time.monotonic() + seconds
    fields = f"spec.nodeName={downtime.node}"
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="evict") as threads:
        ended: _End | None = "others"
        while ended == "others":
            # What came since was not looked at, and nobody may have been asked about it.
            agreed = frozenset(pod_.uid(pod) for pod in scheduling.require_agreed(downtime).pods)
            evictions = Evictions(downtime, agreed, threads, force=_overridden(downtime))
            left = max(0.0, end - time.monotonic())
            ended = until(downtime.api, eviction.PODS, evictions.judge, left, fields=fields, every=_LOOK_SECONDS)
            if ended is None or (ended == "others" and time.monotonic() >= end):
                raise _still_there(downtime, seconds, evictions.refused)


def _see_evicted(downtime: Downtime) -> Seen:
    pods = eviction.of_node(downtime)
    left = to_evict(pods)
    if not left:
        seen = _proof(pods)
        return seen._replace(proof=f"{seen.proof}{volumes_in_use.see_unmounted(downtime, pods)}")
    if _overridden(downtime):
        named = ", ".join(pod_.full_name(pod) for pod in left[:10])
        return Seen(f"{len(left)} pods are left to the taint, as --override-pdb says: {named}")
    raise _still_there(downtime, 0, {})


def _overridden(downtime: Downtime) -> bool:
    options = downtime.options
    return isinstance(options, PlannedOptions | RemoveOptions) and bool(options.override_pdb)


def _still_there(downtime: Downtime, seconds: float, refused: dict[str, _Refusal]) -> Failed:
    left = to_evict(eviction.of_node(downtime))
    owners = {f"{one.namespace}/{name}": one.owner for one in downtime.record.workloads for name in one.pods}
    # Whom somebody can talk to first: what merely takes its time is no reason to wait any longer for the others.
    left.sort(key=lambda pod: (pod_.uid(pod) not in refused, pod_.full_name(pod)))
    named = "; ".join(_why(pod, owners.get(pod_.full_name(pod), ""), refused) for pod in left[:10])
    more = f" (and {len(left) - 10} more)" if len(left) > 10 else ""
    name = downtime.node
    ending = [staying_behind.still_there(pod, datetime.now(UTC)) for pod in left[:10] if pod_.is_terminating(pod)]
    also = f" ({staying_behind.remedies(ending)})" if ending else ""
    return Failed(
        "eviction-refused" if any(pod_.uid(pod) in refused for pod in left) else "pods-remain",
        f"After {seconds / 60:.1f} minutes {len(left)} pods are not evicted from {name}: {named}{more}. The taint was "
        "not set, nothing was force-deleted, and the machine was not shut down; what was evicted stays so",
        f"Start more replicas elsewhere, or see to these pods with their owners{also}; then 'downtime resume {name}' "
        f"asks again, or 'downtime abort {name}' takes the cordon off.",
    )


def _why(pod: Object, owner: str, refused: dict[str, _Refusal]) -> str:
    whose = f" (of {owner})" if owner else ""
    refusal = refused.get(pod_.uid(pod))
    if refusal is not None and not pod_.is_terminating(pod):
        return f"{pod_.full_name(pod)}{whose}: refused, {refusal.said}"
    return f"{pod_.full_name(pod)}{whose}: {staying_behind.why_in_words(pod)}"


EVICT = Step(workloads_first.STEP, _nothing_to_evict, _see_evicted, _evict, during="draining")
