"""What is known of workloads, and what stays on a node, in few words for tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cluster.plan import StaysBehind, Workload
from cluster.showing_time import duration
from cluster.workloads import project_told_apart

# What Kubernetes gives by default needs no words.
_ORDINARY_GRACE_SECONDS = 30.0
_MOST_NAMED = 5


def gpus(one: Workload) -> str:
    """GPUs of a workload: whole ones by number, slices and shares in words."""
    if not (one.whole_gpus or one.shared_gpus):
        return f"{one.gpus:g}" if one.gpus else ""
    return ", ".join([*([str(one.whole_gpus)] if one.whole_gpus else []), *one.shared_gpus])


def pods(one: Workload) -> str:
    """How many pods it has on the node, and elsewhere."""
    others = one.elsewhere.pods if one.elsewhere is not None else 0
    return f"{len(one.pods)} (+{others} elsewhere)" if others else str(len(one.pods))


def facts(one: Workload, now: datetime | None = None) -> str:
    """What to know of it besides, in a line; empty: nothing is known."""
    moment = datetime.now(UTC) if now is None else now
    project = project_told_apart(one)
    said = [f"project {project}"] if project else []
    if one.since is not None:
        said.append(f"runs for {duration((moment - one.since).total_seconds())}")
    if one.priority_class:
        said.append(f"priority {one.priority_class}")
    if one.grace_seconds > _ORDINARY_GRACE_SECONDS:
        said.append(f"may take {duration(one.grace_seconds)} to end")
    if one.budgets:
        said.append(f"disruption budget {_listed(one.budgets)}")
    if one.local_data:
        said.append(f"data that stays here or is lost: {_listed(one.local_data)}")
    if one.disturbs:
        said.append(one.disturbs)
    return "; ".join(said)


def stays(found: Iterable[StaysBehind]) -> list[tuple[str, str]]:
    """What stays on the node: the pods with why, and what to do about them; those that are alike together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in found:
        alike.setdefault((one.detail, one.remedy), []).append(one.pod)
    return [(f"{_listed(names)}: {detail}", remedy) for (detail, remedy), names in alike.items()]


def _listed(items: Iterable[str]) -> str:
    names = list(items)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
