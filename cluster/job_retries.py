"""Whether a Job ends when the drain deletes its pods: each counts as a failed one, and it allows so many. Pure.

A pod failure policy that ignores disruptions leaves them uncounted. What makes such a Job anew when it has failed (a
JobSet, a TrainJob, a RayJob have retries of their own) is not judged by it.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cluster import pods as pod_
from cluster.node import Object
from cluster.owners import Owner
from cluster.workload_kinds import STANDS_FOR_OTHERS

# A CronJob makes another Job at its next time, and a TrainingWorkload has no other one.
_WITHOUT_RETRIES = frozenset({"Job", "CronJob", "TrainingWorkload"})


def ends(members: Iterable[tuple[Object, tuple[Owner, ...]]]) -> bool:
    """Whether a Job of these pods (each with its owners, the nearest first) fails for good when all are deleted."""
    lost: Counter[str] = Counter()
    jobs: dict[str, Owner] = {}
    for pod, chain in members:
        if pod_.is_finished(pod):
            continue
        job = next((one for one in chain if (one.kind, one.group) == ("Job", "batch")), None)
        makers = [one for one in chain if one.kind not in STANDS_FOR_OTHERS]
        if job is not None and makers[-1].kind in _WITHOUT_RETRIES:
            jobs[job.uid or job.name] = job
            lost[job.uid or job.name] += 1
    return any(_fails(one, lost[key]) for key, one in jobs.items())


def _fails(job: Owner, more: int) -> bool:
    if job.spec.get("ignoresDisruption"):
        return False
    if "backoffLimitPerIndex" in job.spec:
        # How often each index failed is not among what is read: only the strictest is known to be hit.
        return pod_.number(job.spec["backoffLimitPerIndex"]) == 0
    if "backoffLimit" not in job.spec:
        return False
    return pod_.number(job.spec.get("failed")) + more > pod_.number(job.spec["backoffLimit"])
