"""Power loss to Running elsewhere: ``downtime`` beside Kubernetes alone, on alike nodes, in one run.

Three nodes with the same workloads lose power in the same instant, and alike nodes have room for all of it. The first
one's recovery is started at once, as by somebody who knows (``--said-down``); the second one's when Kubernetes calls
it not ready, as an alert would; the third one is left to Kubernetes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from bench.following import Follower
from bench.ground import Ground, ground, lease_seconds, place, toleration_seconds
from bench.recovering import Recovery, recover, wait_not_ready
from bench.results import ALONE, Course, Result
from bench.volumes import Attacher
from bench.work import kind_of
from lab.errors import LabError
from lab.patience import until
from lab.power import power
from lab.progress import Progress

AT_ONCE, AT_NOT_READY = "downtime, said to be down at once", "downtime, started at NotReady"
COURSES = (AT_ONCE, AT_NOT_READY, ALONE)
PLACED_SECONDS = 120.0
WATCH_SECONDS = 600.0
STILL_SECONDS = 15.0
"""For how long the rest is watched after Kubernetes alone moved what it moves at all."""
SETTLE_SECONDS = 20.0
"""Two renewals of a lease: what is measured begins on nodes that were steadily alive."""


def measure(name: str, grace_seconds: int, progress: Progress, *, hosts: bool) -> Result:
    """Make a lab, measure, and take it down. Raises LabError when something in between does not work."""
    with ground(name, len(COURSES), progress, hosts=hosts) as here:
        attacher = Attacher(here.api)
        follower = Follower(here.api, here.nodes, lambda: attacher.attached)
        if not hosts:
            attacher.start()
        try:
            return _measure(here, attacher, follower, grace_seconds, progress)
        finally:
            follower.stop()
            attacher.stop()


def _measure(here: Ground, attacher: Attacher, follower: Follower, grace: int, progress: Progress) -> Result:
    placed = place(here, attacher)
    follower.start({name: volume for workloads in placed.values() for name, volume in workloads.items()})
    with progress.step("waiting until every workload runs on its node"):
        until(
            lambda: not _misplaced(placed, follower, attacher),
            seconds=PLACED_SECONDS,
            what=lambda: f"not on its node: {', '.join(_misplaced(placed, follower, attacher))}",
        )
    lease, tolerated = lease_seconds(here.api, here.nodes[0]), toleration_seconds(here.api, here.nodes[-1])
    with progress.step("letting the leases become steady"):
        time.sleep(SETTLE_SECONDS)
    follower.arrived.clear()
    cut = time.monotonic()
    with ThreadPoolExecutor(len(here.nodes)) as pool:
        list(pool.map(lambda node: power(here.lab, node, "off"), here.nodes))
        progress.say(f"power of {', '.join(here.nodes)} cut within {time.monotonic() - cut:.1f} s")
        first = recover(here.lab, here.nodes[0], grace, said_down=True)
        noticed = pool.submit(wait_not_ready, here.api, here.nodes[2])
        second = pool.submit(_when_not_ready, here, here.nodes[1], grace)
        try:
            _watch(placed, follower, cut, [first, second], progress)
        finally:
            first.end()
            second.result().end()
        watched = time.monotonic() - cut
        moved = {name: when - cut for name, when in follower.arrived.items()}
        courses = [
            Course(how, node, {name: moved.get(name) for name in placed[node]})
            for how, node in zip(COURSES, here.nodes, strict=True)
        ]
        return Result(here.described, grace, courses, watched, noticed.result() - cut, lease, tolerated)


def _when_not_ready(here: Ground, node: str, grace: int) -> Recovery:
    wait_not_ready(here.api, node)
    return recover(here.lab, node, grace, said_down=False)


def _misplaced(placed: Mapping[str, Mapping[str, str]], follower: Follower, attacher: Attacher) -> list[str]:
    return [
        name
        for node, workloads in placed.items()
        for name, volume in workloads.items()
        if follower.where(name) != node or (volume and attacher.attached.get(volume) != node)
    ]


def _watch(
    placed: Mapping[str, Mapping[str, str]],
    follower: Follower,
    cut: float,
    recoveries: list[Recovery | Future[Recovery]],
    progress: Progress,
) -> None:
    """Until all that moves has moved, and what never does was seen to stay for a while longer."""
    told: set[str] = set()
    alone, handled = (list(names) for names in _split(placed))
    still: float | None = None
    while time.monotonic() - cut < WATCH_SECONDS:
        for name, when in sorted(follower.arrived.items(), key=lambda item: item[1]):
            if name not in told:
                progress.say(f"{name} runs elsewhere, {when - cut:.1f} s after the power loss")
                told.add(name)
        for one in recoveries:
            if isinstance(one, Recovery):
                one.check()
            elif one.done():
                one.result().check()
        if still is None and told.issuperset(handled) and told.issuperset(alone):
            still = time.monotonic()
        if still is not None and time.monotonic() - still > STILL_SECONDS:
            return
        time.sleep(0.5)
    missing = sorted({*handled, *alone} - told)
    raise LabError(f"after {WATCH_SECONDS:.0f} s these do not run elsewhere: {', '.join(missing)}")


def _split(placed: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """What must move: of the node that nobody handles all but StatefulSets, of the others everything."""
    *others, last = placed.values()
    alone = [name for name in last if "StatefulSet" not in kind_of(name)]
    return alone, [name for workloads in others for name in workloads]
