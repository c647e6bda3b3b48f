"""Where the workloads of a drained node went. Reported, never a condition: a queue may be long for good reasons."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from cluster import forecast_held, pods, suspensions, workloads
from cluster.api import Api, Object
from cluster.errors import DowntimeError
from cluster.owners import Resolver
from cluster.plan import Whereabouts, Workload
from cluster.record import Record


def of_record(api: Api, record: Record) -> tuple[Whereabouts, ...]:
    """Where all that a downtime took away is: what was evicted, and what was suspended before. Never raises."""
    drained = {one.key: one for one in (*record.suspended, *record.workloads)}
    found = of(api, record.node, drained.values())
    return tuple(_suspended(record, key, one) for key, one in zip(drained, found, strict=True))


def of(api: Api, node: str, drained: Iterable[Workload]) -> tuple[Whereabouts, ...]:
    """Look for each workload's pods, a namespace at a time. What cannot be looked at is ``unknown``; never raises."""
    resolver = Resolver(api)
    known: dict[str, dict[str, list[Object]] | None] = {}
    found: list[Whereabouts] = []
    for workload in drained:
        if workload.namespace not in known:
            known[workload.namespace] = _by_title(api, resolver, workload.namespace)
        found.append(_of_one(node, workload, known[workload.namespace]))
    return tuple(found)


def _suspended(record: Record, key: str, one: Whereabouts) -> Whereabouts:
    ours = suspensions.of(record, key)
    if one.now not in ("deleted", "finished") or ours is None:
        return one
    given_up = not record.open or record.done(suspensions.STEP)
    perhaps = "" if ours.state == "made" else "perhaps (Run:ai has not said so): "
    detail = f"NOT resumed: {suspensions.why_left(record, key)}" if given_up else f"{perhaps}this downtime resumes it"
    return one.model_copy(update={"now": "suspended", "detail": detail})


def _by_title(api: Api, resolver: Resolver, namespace: str) -> dict[str, list[Object]] | None:
    titles: dict[str, list[Object]] = {}
    try:
        for pod in api.iterate(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"):
            chains = resolver.chains([pod])
            titles.setdefault(workloads.title_of(pod, chains), []).append(pod)
    except DowntimeError:
        return None
    return titles


def _of_one(node: str, workload: Workload, titles: dict[str, list[Object]] | None) -> Whereabouts:
    report = Whereabouts(
        workload=workload.name,
        namespace=workload.namespace,
        owner=workload.owner,
        kind=workload.kind,
        now="unknown",
        detail="its namespace could not be looked at",
        forecast=workload.forecast,
    )
    if titles is None:
        return report
    title = f"{workload.namespace}/{workload.controller or f'Pod/{workload.name}'}"
    found = titles.get(title, [])
    now, detail = _now(node, found)
    held = forecast_held.held(workload.forecast, found, len(workload.pods))
    return report.model_copy(update={"now": now, "detail": detail, "held": held})


def _now(node: str, found: list[Object]) -> tuple[str, str]:
    alive = [pod for pod in found if not pods.is_finished(pod)]
    # A pod that the drain must take away was taken: one of these that is here has come back.
    stayed = [pod for pod in alive if _where(pod) == node and not pods.must_go(pod)]
    if stayed and not all(pods.is_terminating(pod) for pod in stayed):
        return "still-here", ", ".join(pods.name(pod) for pod in stayed)
    settled = [pod for pod in alive if not pods.is_terminating(pod)]
    running = sorted(
        {_where(pod) for pod in settled if pods.mapping(pod.get("status")).get("phase") == "Running"} - {""}
    )
    if running:
        return "running", f"on {', '.join(running)}"
    if alive:
        return "waiting", _reason(alive[0])
    if found:
        return "finished", ", ".join(sorted({str(pods.mapping(pod.get("status")).get("phase")) for pod in found}))
    return "deleted", "it has no pod any more"


def _where(pod: Object) -> str:
    return str(pods.mapping(pod.get("spec")).get("nodeName") or "")


def _reason(pod: Object) -> str:
    if _where(pod):
        return f"on its way to {_where(pod)}"
    conditions = pods.objects(pods.mapping(pod.get("status")).get("conditions"))
    scheduled = next((one for one in conditions if one.get("type") == "PodScheduled"), {})
    return str(scheduled.get("message") or "not scheduled yet")[:300]
