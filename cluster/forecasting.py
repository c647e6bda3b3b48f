"""Making the forecast of a plan: every node and pod is read once, a page at a time, and only sums are kept of most."""

from __future__ import annotations

from collections.abc import Sequence

from cluster import nodes
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.errors import DowntimeError
from cluster.forecast import Market
from cluster.node import pool
from cluster.observation import Observation
from cluster.plan import Forecast, Plan, Workload
from cluster.room import Claimant, Room, Volumes, claimant, slim_node, volumes_of

_PODS = "/api/v1/pods"
_VOLUMES = "/api/v1/persistentvolumes"
_NOT_OVER = "status.phase!=Succeeded,status.phase!=Failed"


def of(api: Api, seen: Observation, made: Plan) -> Plan:
    """The plan with a forecast for each workload that moves. A cluster that cannot be read gives *unknown*."""
    if not any(one.fate == "moves" for one in made.workloads):
        return made
    try:
        found = _forecasts(api, seen, made.workloads)
    except DowntimeError as error:
        unknown = Forecast(says="unknown", why=f"the other nodes could not be looked at: {error.message}")
        found = {one.key: unknown for one in made.workloads if one.fate == "moves"}
    told = tuple(one.model_copy(update={"forecast": found.get(one.key)}) for one in made.workloads)
    return made.model_copy(update={"workloads": told})


def _forecasts(api: Api, seen: Observation, workloads: Sequence[Workload]) -> dict[str, Forecast]:
    volumes = volumes_of(api.iterate(_VOLUMES))
    rooms, waiting = gather(api, volumes)
    here = pool(seen.node) if seen.node is not None else ""
    moving = {pod_.full_name(pod): claimant(pod, volumes, here) for pod in seen.pods if moves(pod)}
    market = Market(rooms, seen.node_name, seen.down, [*moving.values(), *waiting])
    found: dict[str, Forecast] = {}
    for one in workloads:
        pods = [moving[key] for name in one.pods if (key := f"{one.namespace}/{name}") in moving]
        if one.fate == "moves":
            found[one.key] = market.forecast(pods) if pods else Forecast(says="unknown", why="none of its pods moves")
    return found


def moves(pod: Object) -> bool:
    """Whether the drain takes the pod away, and another may be started in its place elsewhere."""
    return pod_.must_go(pod) and not pod_.is_daemon(pod) and not pod_.is_finished(pod)


def gather(api: Api, volumes: Volumes) -> tuple[list[Room], list[Claimant]]:
    """Every node with what is used of it, and the pods that are bound to none."""
    rooms = {one.name: one for one in (Room(slim_node(found)) for found in nodes.every(api))}
    waiting: list[Claimant] = []
    for pod in api.iterate(_PODS, fields=_NOT_OVER):
        where = str(pod_.mapping(pod.get("spec")).get("nodeName") or "")
        if where:
            if where in rooms:
                rooms[where].add(pod)
            continue
        waiting.append(claimant(pod, volumes))
        # Room was promised to it, for which others are being preempted: it counts there, and as one that waits.
        promised = str(pod_.mapping(pod.get("status")).get("nominatedNodeName") or "")
        if promised in rooms:
            rooms[promised].add(pod)
    return list(rooms.values()), waiting
