"""Making the forecast of a plan: every node and pod is read once, a page at a time, and only sums are kept of most."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from cluster import node as node_
from cluster import nodes, pod_pages, taints
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.attachable import Limits, limits_of
from cluster.errors import Blocked, DowntimeError
from cluster.forecast import Market
from cluster.node import pool
from cluster.observation import Observation
from cluster.plan import Finding, Forecast, Plan, Workload
from cluster.room import Claimant, Room, Sizes, Volumes, anti_affinity, claimant, scheduler, slim, slim_node, volumes_of

_PODS = "/api/v1/pods"
_VOLUMES = "/api/v1/persistentvolumes"
_CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
_ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
_NOT_OVER = "status.phase!=Succeeded,status.phase!=Failed"


def of(api: Api, seen: Observation, made: Plan) -> Plan:
    """The plan with a forecast for each workload that moves. A cluster that cannot be read gives *unknown*."""
    if not any(one.fate == "moves" for one in made.workloads):
        return made
    unjudged: tuple[Finding, ...] = ()
    try:
        found = _forecasts(api, seen, made.workloads)
        unjudged = _unjudged(seen)
    except DowntimeError as error:
        unknown = Forecast(says="unknown", why=f"the other nodes could not be looked at: {error.message}")
        found = {one.key: unknown for one in made.workloads if one.fate == "moves"}
    told = tuple(one.model_copy(update={"forecast": found.get(one.key)}) for one in made.workloads)
    return made.model_copy(update={"workloads": told, "warnings": (*made.warnings, *unjudged)})


def _unjudged(seen: Observation) -> tuple[Finding, ...]:
    """Said once, and not of each workload: what another scheduler than Kubernetes' own goes by is not known."""
    names = {scheduler(pod) for pod in seen.pods if moves(pod)} - {""}
    if not names:
        return ()
    return (
        Finding(
            code="forecast-by-room",
            message="The forecast of what moves goes by room alone: Run:ai's own quotas and gangs are not "
            f"judged ({', '.join(sorted(names))} places some of these pods)",
            remedy="What is said to fit may still wait for its project's quota, or for the other pods of its job.",
        ),
    )


def as_the_drain_begins(api: Api, seen: Observation, made: Plan) -> tuple[Workload, ...]:
    """The workloads with a forecast of this moment: what happens from now on is held against it."""
    now = datetime.now(UTC)
    return tuple(
        one.model_copy(update={"forecast": one.forecast.model_copy(update={"at": now})}) if one.forecast else one
        for one in of(api, seen, made).workloads
    )


def _forecasts(api: Api, seen: Observation, workloads: Sequence[Workload]) -> dict[str, Forecast]:
    volumes = volumes_of(api.iterate(_VOLUMES))
    here = pool(seen.node) if seen.node is not None else ""
    going = [pod for pod in seen.pods if moves(pod)]
    rooms, waiting = gather(api, volumes, going, seen.down)
    moving = {pod_.full_name(pod): claimant(pod, volumes, here, moving=True) for pod in going}
    limits = _limits(api) if any(one.attaches for one in moving.values()) else Limits()
    market = Market(rooms, seen.node_name, seen.down, [*moving.values(), *waiting], limits)
    found: dict[str, Forecast] = {}
    for one in workloads:
        pods = [moving[key] for name in one.pods if (key := f"{one.namespace}/{name}") in moving]
        if one.fate == "moves":
            found[one.key] = market.forecast(pods) if pods else Forecast(says="unknown", why="none of its pods moves")
    return found


def _limits(api: Api) -> Limits:
    """What the nodes say of volumes; what may not be read counts as a limit that is reached."""
    try:
        return limits_of(api.iterate(_CSI_NODES), api.iterate(_ATTACHMENTS))
    except Blocked:
        return Limits()


def moves(pod: Object) -> bool:
    """Whether the drain takes the pod away, and another may be started in its place elsewhere."""
    return pod_.must_go(pod) and not pod_.is_daemon(pod) and not pod_.is_finished(pod)


def gather(
    api: Api, volumes: Volumes, going: Sequence[Object], down: Collection[str] = ()
) -> tuple[list[Room], list[Claimant]]:
    """Every node with what is used of it, and the pods that want room: bound to none, or on a node that loses its pods.

    Args:
        going: the pods that move: they are counted nowhere.
        down: nodes in downtime: what has not left them yet wants the same room.
    """
    rooms = {one.name: one for one in (Room(slim_node(found)) for found in nodes.every(api))}
    choosy = [slim(pod) for pod in going if anti_affinity(pod)]
    gone = {pod_.uid(pod) for pod in going}
    waiting: list[Claimant] = []
    sizes = Sizes()
    emptying = {room.name for room in rooms.values() if room.name in down or _loses_pods(room.node)}
    for pod in api.iterate(_PODS, fields=_NOT_OVER, read=pod_pages.read):
        if pod_.uid(pod) in gone:
            continue
        where = str(pod_.mapping(pod.get("spec")).get("nodeName") or "")
        if where:
            if where in rooms:
                rooms[where].add(pod, choosy, sizes)
                if where in emptying and moves(pod):
                    waiting.append(claimant(pod, volumes, pool(rooms[where].node)))
            continue
        waiting.append(claimant(pod, volumes))
        # Room was promised to it, for which others are being preempted: it counts there, and as one that waits.
        promised = str(pod_.mapping(pod.get("status")).get("nominatedNodeName") or "")
        if promised in rooms:
            rooms[promised].add(pod, choosy, sizes)
    return list(rooms.values()), waiting


def _loses_pods(node: Object) -> bool:
    """Whether what runs there is being driven out, whoever decided that."""
    found = node_.taints(node)
    return not node_.ready(node) or any(taints.is_drain(one) or node_.is_out_of_service(one) for one in found)
