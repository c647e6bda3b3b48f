"""What stays on a node is named, each with what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from cluster import eviction, planned, showing_workloads, staying_behind
from cluster.node import Object
from cluster.options import PlannedOptions
from cluster.showing_reports import plan_markdown
from tests.unit import planning_cases
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pod

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def ending(found: Object, at: str, finalizers: list[str] | None = None, **spec: Any) -> Object:
    metadata = {**found["metadata"], "deletionTimestamp": at, "finalizers": finalizers or []}
    return {**found, "metadata": metadata, "spec": {**found["spec"], **spec}}


def test_what_a_drain_leaves_is_named_beforehand_with_its_remedy() -> None:
    pods = [
        pod("etcd", "kube-system", annotations={"kubernetes.io/config.mirror": "x"}),
        pod("cni", "kube-system", top=owner("DaemonSet", "cni"), tolerations=[DRAIN_FOR_EVER]),
        pod("stubborn", tolerations=[DRAIN_FOR_EVER]),
        pod("over", phase="Succeeded", tolerations=[DRAIN_FOR_EVER]),
        pod("gpu-reservation-x", "runai-reservation", tolerations=[DRAIN_FOR_EVER]),
        pod("plain"),
        ending(pod("stuck"), "2026-11-24T11:00:00Z"),
        ending(pod("ending"), "2026-11-24T12:00:20Z"),
    ]
    held = pod("held")
    held["metadata"]["finalizers"] = ["example.org/keep", "batch.kubernetes.io/job-tracking"]
    job = pod("job")
    job["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    found = {one.pod.partition("/")[2]: one for one in staying_behind.beforehand([*pods, held, job], NOW)}
    assert {name: one.why for name, one in found.items()} == {
        "held": "finalizer",
        "stuck": "terminating",
        "stubborn": "tolerates",
        "cni": "daemon",
        "etcd": "static",
    }
    assert "once deleted, held by finalizer example.org/keep" in found["held"].detail
    assert "what belongs to example.org must take it off" in found["held"].remedy
    assert "3600 s over its grace period" in found["stuck"].detail
    assert "--allow-tolerating" in found["stubborn"].remedy
    assert all(found[name].remedy.startswith("nothing is to be done") for name in ("cni", "etcd"))


def test_finished_pods_that_the_drain_waits_for_are_named_beforehand() -> None:
    over = pod("over", phase="Succeeded")
    over["metadata"]["finalizers"] = ["kueue.x-k8s.io/managed"]
    stuck = ending(pod("stuck", phase="Failed"), "2026-11-24T11:00:00Z")
    daemon = pod("agent", phase="Succeeded", top=owner("DaemonSet", "agent"), tolerations=[DRAIN_FOR_EVER])
    first, second = staying_behind.beforehand([over, stuck, daemon, pod("plain", phase="Succeeded")], NOW)
    assert (first.pod, first.why) == ("runai-team-a/over", "finalizer")
    assert "Kueue (kueue-controller-manager) must take it off" in first.remedy
    assert (second.pod, second.why) == ("runai-team-a/stuck", "terminating")


FOR_A_DAY = {**DRAIN_FOR_EVER, "tolerationSeconds": 86400}


def test_a_pod_that_tolerates_the_drain_for_a_day_is_named_with_that_time() -> None:
    (one,) = staying_behind.beforehand([pod("patient", tolerations=[FOR_A_DAY])], NOW)
    assert one.why == "tolerates-for-a-time"
    assert one.detail.startswith("tolerates the drain for 1 d 0 h")
    assert "--eviction" in one.remedy
    assert staying_behind.beforehand([pod("patient", tolerations=[FOR_A_DAY])], NOW, evicts=True) == ()
    assert staying_behind.beforehand([ending(pod("w", tolerations=[FOR_A_DAY]), "2026-11-24T12:00:20Z")], NOW) == ()
    elsewhere = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "operator": "Exists"}
    assert staying_behind.beforehand([pod("usual", tolerations=[{**elsewhere, "tolerationSeconds": 300}])], NOW) == ()


def test_a_daemon_set_that_tolerates_the_drain_for_a_time_would_never_be_gone() -> None:
    agent = pod("agent", top=owner("DaemonSet", "agent"), tolerations=[FOR_A_DAY])
    (one,) = staying_behind.beforehand([agent], NOW, evicts=True)
    assert one.why == "tolerates-for-a-time"
    assert "its DaemonSet makes it anew" in one.remedy


def test_the_plan_says_until_when_the_drain_waits() -> None:
    def summary(step: str, *pods: Object, **options: Any) -> str:
        seen = planning_cases.observation(pods=pods)
        made = planned.plan(seen, PlannedOptions(**options), planning_cases.settings(), None)
        return next(one.summary for one in made.steps if one.name == step)

    patient = pod("patient", top=owner("Job", "patient"), tolerations=[FOR_A_DAY])
    assert "10 min 0 s at most, then names" in summary("see-gone", pod("plain"))
    assert "for 1 d 0 h at most (pods tolerate the taint for up to 1 d 0 h)" in summary("see-gone", patient)
    assert "for 20 min 0 s at most" in summary("see-gone", pod("plain"), eviction_minutes=20)
    assert "The deadline is after 10 min 0 s" in summary("evict", patient, eviction=True)
    assert "10 min 0 s at most, then names" in summary("see-gone", patient, eviction=True)


def test_a_deadline_need_not_hold_for_a_toleration_that_is_not_waited_for() -> None:
    def codes(**options: Any) -> list[str]:
        patient = pod("patient", top=owner("Job", "patient"), tolerations=[FOR_A_DAY])
        seen = planning_cases.observation(pods=(patient,))
        chosen = PlannedOptions(eviction_minutes=5, **options)
        return [one.code for one in planned.plan(seen, chosen, planning_cases.settings(), None).blockers]

    assert codes() == ["eviction-deadline"]
    assert codes(eviction=True) == []


def test_a_pod_held_by_a_finalizer_is_named_with_who_must_take_it_off() -> None:
    kueue = staying_behind.still_there(ending(pod("w"), "2026-11-24T11:00:00Z", ["kueue.x-k8s.io/managed"]), NOW)
    assert kueue.detail == "deleted, but held by finalizer kueue.x-k8s.io/managed"
    assert kueue.remedy.startswith("Kueue (kueue-controller-manager) must take it off")
    assert "edit pod w" in kueue.remedy
    both = ["batch.kubernetes.io/job-tracking", "foo"]
    two = staying_behind.still_there(ending(pod("w"), "2026-11-24T11:00:00Z", both), NOW)
    assert "the Job controller (kube-controller-manager) and what has set foo must" in two.remedy


def test_a_pod_that_does_not_end_points_at_the_kubelet_and_at_its_volume() -> None:
    volume = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    stuck = staying_behind.still_there(ending(pod("w"), "2026-11-24T11:59:00Z", volumes=volume), NOW)
    assert stuck.detail == "terminating, 60 s over its grace period: does the kubelet run?"
    assert "CSI node plugin" in stuck.remedy
    assert "CSI" not in staying_behind.still_there(ending(pod("w"), "2026-11-24T11:59:00Z"), NOW).remedy
    early = staying_behind.still_there(ending(pod("w"), "2026-11-24T12:00:30Z"), NOW)
    assert "30 s of its grace period left" in early.detail
    assert early.remedy.startswith("wait")


def test_when_a_node_is_drained_all_kinds_that_stayed_are_reported_with_what_to_do() -> None:
    class Cluster:
        """What an API server lists of one node."""

        def list(self, *_: Any, **__: Any) -> list[Object]:
            cni = [pod(f"cni-{n}", top=owner("DaemonSet", "cni"), tolerations=[DRAIN_FOR_EVER]) for n in range(6)]
            stubborn = pod("stubborn", tolerations=[DRAIN_FOR_EVER])
            return [*cni, stubborn, pod("over", phase="Succeeded", tolerations=[DRAIN_FOR_EVER])]

    class Drained:
        """A downtime whose node has nothing left that must go."""

        node = "gpu-1"
        api = Cluster()
        record = planning_cases.record()

    seen = eviction.SEE_GONE.observe(cast(Any, Drained()))
    assert seen is not None
    assert seen.proof.startswith("no pod left that must go; 8 stay: ")
    assert "runai-team-a/stubborn: tolerates the drain" in seen.proof
    assert "--allow-tolerating" in seen.proof
    assert "and 1 more: of a DaemonSet" in seen.proof
    assert "(nothing is to be done: it ends with the node, and comes up again with it)" in seen.proof
    assert "runai-team-a/over: over" in seen.proof
    assert len(seen.proof) < 1000


def test_a_pod_that_nobody_deletes_points_at_who_should_have() -> None:
    assert "kube-controller-manager" in staying_behind.still_there(pod("w"), NOW).remedy
    daemon = staying_behind.still_there(pod("w", top=owner("DaemonSet", "d")), NOW)
    assert "DaemonSet makes it anew" in daemon.remedy
    patient = pod("w", tolerations=[{**DRAIN_FOR_EVER, "tolerationSeconds": 900}])
    assert staying_behind.still_there(patient, NOW).detail == "tolerates the taint for 900 s"


def test_alike_ones_are_told_together_and_each_remedy_once() -> None:
    left = [staying_behind.still_there(pod(name), NOW) for name in ("a", "b")]
    assert staying_behind.remedies(left).startswith("runai-team-a/a, runai-team-a/b: see that")
    cni = [pod(f"cni-{n}", top=owner("DaemonSet", "cni"), tolerations=[DRAIN_FOR_EVER]) for n in range(7)]
    ((said, remedy),) = showing_workloads.stays(staying_behind.beforehand(cni, NOW))
    assert "and 2 more: of a DaemonSet" in said
    assert remedy == "nothing is to be done: it ends with the node, and comes up again with it"


def test_a_plan_that_is_shown_has_a_section_for_it() -> None:
    made = planned.plan(planning_cases.observation(), PlannedOptions(), planning_cases.settings(), None)
    assert "What stays" not in plan_markdown(made)
    held = pod("held")
    held["metadata"]["finalizers"] = ["example.org/keep"]
    text = plan_markdown(made.model_copy(update={"stays": staying_behind.beforehand([held], NOW)}))
    assert "## What stays on the node\n\n- runai-team-a/held: once deleted, held by" in text
    assert "must take it off" in text
