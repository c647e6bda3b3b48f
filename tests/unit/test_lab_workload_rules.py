"""What the lab's workload controller does is what Run:ai is known to do."""

from __future__ import annotations

from typing import Any

from lab.runai.controller import rules
from lab.runai.custom_workloads import SUSPENDED, Kind, custom, runaijob
from lab.runai.workloads import Work

JSON = dict[str, Any]


def stored(body: JSON, status: JSON | None = None, uid: str = "u") -> JSON:
    return {**body, "metadata": {**body["metadata"], "uid": uid}, "status": status or {}}


def running(made: JSON, phase: str = "Running", *, ending: bool = False) -> JSON:
    ends = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if ending else {}
    return {**made, "metadata": {**made["metadata"], **ends}, "status": {"phase": phase}}


def job(kind: Kind, status: JSON | None = None, limit: int = 6) -> JSON:
    return stored(runaijob("w", Work(), kind=kind, backoff_limit=limit), status)


def test_training_is_made_anew_up_to_its_backoff_limit() -> None:
    status: JSON = {}
    names = []
    for _ in range(4):
        todo = rules.single(job("training", status, limit=2), [], halted=False)
        status = todo.status or {}
        names += [pod["metadata"]["name"] for pod in todo.make]
    assert names == ["w-0-0", "w-1-0", "w-2-0"]
    assert status["phase"] == "Failed"


def test_interactive_work_is_made_once() -> None:
    first = rules.single(job("interactive"), [], halted=False)
    assert len(first.make) == 1
    assert rules.single(job("interactive", first.status), [running(first.make[0])], halted=False).make == ()
    gone = rules.single(job("interactive", first.status), [], halted=False)
    assert (gone.make, gone.status) == ((), {"phase": "Failed", "made": 1})


def test_suspended_work_ends_and_begins_again_once_its_old_pod_is_gone() -> None:
    body = job("interactive", {"made": 1})
    pod = running(rules.single(job("interactive"), [], halted=False).make[0])
    halted = rules.single(body, [pod], halted=True)
    assert halted.delete == ("w-0-0",)
    assert (halted.status or {})["phase"] == "Stopping"
    stopped = rules.single(job("interactive", halted.status), [], halted=True)
    assert (stopped.status or {})["phase"] == "Stopped"
    early = rules.single(job("interactive", stopped.status), [running(pod, ending=True)], halted=False)
    assert early.make == ()
    again = rules.single(job("interactive", {**(stopped.status or {}), **(early.status or {})}), [], halted=False)
    assert [one["metadata"]["name"] for one in again.make] == ["w-0-0"]
    marked = {**body, "metadata": {**body["metadata"], "annotations": {SUSPENDED: "true"}}}
    assert rules.suspended({"metadata": {}}, marked)
    assert not rules.suspended(body)


def test_a_gang_that_lacks_members_for_too_long_is_evicted_and_started_anew() -> None:
    def body(status: JSON) -> JSON:
        return stored(custom("distributed", "d", Work(), workers=3, stale_after=5), status)

    first = rules.gang(body({}), [], now=0, halted=False)
    assert [pod["metadata"]["name"] for pod in first.make] == ["d-worker-0", "d-worker-1", "d-worker-2"]
    pods = [running(pod) for pod in first.make]
    whole = rules.gang(body(first.status or {}), pods, now=1, halted=False)
    assert (whole.status or {})["phase"] == "Running"
    lacking = rules.gang(body(whole.status or {}), pods[:2], now=2, halted=False)
    assert [pod["metadata"]["name"] for pod in lacking.make] == ["d-worker-2"]
    waiting = [*pods[:2], running(lacking.make[0], "Pending")]
    assert rules.gang(body(lacking.status or {}), waiting, now=6, halted=False).delete == ()
    evicted = rules.gang(body(lacking.status or {}), waiting, now=7, halted=False)
    assert evicted.delete == ("d-worker-0", "d-worker-1", "d-worker-2")
    anew = rules.gang(body(evicted.status or {}), [], now=8, halted=False)
    assert len(anew.make) == 3
    given_up = rules.gang(body({"evicted": 7}), pods, now=9, halted=False)
    assert (len(given_up.delete), (given_up.status or {})["phase"]) == (3, "Failed")


def test_objects_say_what_they_were_made_for() -> None:
    body = stored(custom("training", "t", Work(user="ada")))
    made = rules.job_of(body)
    assert made["metadata"]["ownerReferences"][0]["kind"] == "TrainingWorkload"
    assert made["metadata"]["annotations"]["user"] == "ada"
    assert body["spec"]["gpu"] == {"value": "1"}
    gang = stored(custom("distributed", "d", Work(), workers=2))
    pod = rules.gang(gang, [], now=0, halted=False).make[0]
    assert pod["metadata"]["annotations"]["pod-group-name"] == rules.pod_group(gang)["metadata"]["name"]
    assert "kind: DistributedWorkload" in pod["metadata"]["annotations"]["run.ai/top-owner-metadata"]
    served = stored(custom("inference", "i", Work(), workers=2))
    assert rules.deployment_of(served)["spec"]["replicas"] == 2
    served["metadata"]["annotations"][SUSPENDED] = "true"
    assert rules.deployment_of(served)["spec"]["replicas"] == 0
