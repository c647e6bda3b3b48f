"""A system node goes down only when what it runs fits on the others, counted with it gone."""

from __future__ import annotations

from typing import Any

from cluster import designation, takeover
from cluster.placement import Place
from cluster.system_placement import LABEL, label_like, must_move
from tests.unit.places import GPU_WORKER, SYSTEM, asking, node_affinity, place
from tests.unit.pod_objects import owner, pod

ON_SYSTEM: dict[str, Any] = {"nodeSelector": {SYSTEM: "true"}}
BACKEND = asking("backend-0", cpu="3", namespace="runai-backend", **ON_SYSTEM)
MASTER = place("master-1", role="node-role.kubernetes.io/control-plane", cpu="64")
GPU = place("gpu-1", role=GPU_WORKER, gpus="8", cpu="64")


def _codes(places: list[Place], *down: str, designate: str = "") -> list[str]:
    return [one.code for one in takeover.judge("system-1", places, down, designate=designate)]


def test_another_ready_system_node_with_room() -> None:
    assert _codes([place("system-1", BACKEND), place("system-2"), MASTER, GPU]) == []


def test_another_node_is_no_concern_of_this() -> None:
    assert takeover.judge("gpu-1", [GPU, MASTER]) == []
    assert takeover.judge("gone", [place("system-1")]) == []


def test_the_last_one_and_one_beside_others_that_cannot() -> None:
    own = place("system-1", BACKEND)
    assert _codes([own, GPU, MASTER]) == ["last-system-node"]
    assert _codes([own, place("system-2", ready=False)]) == ["last-system-node"]
    assert _codes([own, place("system-2", cordoned=True)]) == ["last-system-node"]
    assert _codes([own, place("system-2")], "system-2") == ["last-system-node"]
    assert _codes([place("system-1"), GPU]) == ["last-system-node"]


def test_others_that_are_full_are_no_others() -> None:
    full = place("system-2", asking("own", cpu="2"))
    (found,) = takeover.judge("system-1", [place("system-1", BACKEND), full, GPU, MASTER])
    assert found.code == "no-room-on-system-nodes"
    assert "runai-backend/backend-0: system-2 has 2 cpu free, and it asks for 3" in found.message
    assert "gpu-1 (room for all system pods; 8 GPUs; no interactive work)" in found.remedy
    assert "master-1" not in found.remedy


def test_room_on_two_others_together() -> None:
    pods = [asking(f"p{i}", cpu="3", **ON_SYSTEM) for i in range(2)]
    others = [place("system-2"), place("system-3")]
    assert _codes([place("system-1", *pods), *others]) == []
    assert _codes([place("system-1", *pods), *others], "system-3") == ["no-room-on-system-nodes"]


def test_a_taint_that_system_pods_do_not_tolerate() -> None:
    tainted = place("system-2", taints=[{"key": "team", "effect": "NoSchedule"}])
    assert _codes([place("system-1", BACKEND), tainted]) == ["no-room-on-system-nodes"]


def test_which_pods_must_move() -> None:
    picky = node_affinity(
        {"key": SYSTEM, "operator": "Exists"}, {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    )
    there = place(
        "system-1",
        BACKEND,
        asking("prometheus-0", namespace="monitoring", affinity=picky),
        asking("postgres-0", namespace="runai-backend"),
        asking("coredns", namespace="kube-system"),
        asking("train-0", namespace="runai-team-a"),
        asking("done", phase="Succeeded"),
        pod("agent", "runai", top=owner("DaemonSet", "agent")),
        pod("static", "runai", annotations={"kubernetes.io/config.mirror": "x"}),
        labels={"kubernetes.io/os": "linux"},
    )
    moving = must_move(there, {"runai-backend/postgres-0"})
    assert [one["metadata"]["name"] for one in moving] == ["backend-0", "prometheus-0"]


def test_a_pod_that_never_relied_on_a_system_node_may_go_elsewhere() -> None:
    scaler = asking("scaler", cpu="3", nodeSelector={GPU_WORKER: "true"})
    own = place("system-1", scaler, labels={GPU_WORKER: "true"})
    full = place("system-2", asking("x", cpu="4"))
    assert _codes([own, full, GPU]) == []
    assert _codes([own, full]) == ["no-room-on-system-nodes"]


def test_a_pod_on_a_local_volume_is_named_and_not_placed() -> None:
    own = place("system-1", asking("postgres-0", cpu="4", namespace="runai-backend"))
    other = place("system-2", asking("x", cpu="1"))
    assert _codes([own, other]) == ["no-room-on-system-nodes"]
    bound = {"runai-backend/postgres-0"}
    assert takeover.judge("system-1", [own, other], bound=bound) == []
    (found,) = takeover.outage("system-1", bound)
    assert found.code == "local-volume-outage"
    assert "runai-backend/postgres-0 is bound" in found.message
    assert takeover.outage("system-1", ()) == []


def test_a_designated_node_counts_as_a_system_node() -> None:
    own = place("system-1", BACKEND)
    assert _codes([own, GPU, MASTER], designate="gpu-1") == []
    small = place("gpu-2", role=GPU_WORKER, cpu="1")
    assert _codes([own, small], designate="gpu-2") == ["no-room-on-system-nodes"]


def test_who_can_never_be_designated() -> None:
    own = place("system-1", BACKEND)
    places = [own, place("system-2", ready=False), MASTER, GPU, place("gpu-2", role=GPU_WORKER, cordoned=True)]
    for chosen in ("master-1", "system-1", "system-2", "gpu-2", "nobody"):
        assert _codes(places, designate=chosen) == ["cannot-designate"], chosen
    assert _codes(places, "gpu-1", designate="gpu-1") == ["cannot-designate"]
    assert [one.name for one in designation.rank("system-1", places)] == ["gpu-1"]


def test_candidates_are_ranked_by_room_then_gpus_then_interactive_work_then_memory() -> None:
    notebook = pod("nb-0", "runai-team-a", top=owner("InteractiveWorkload", "nb"))
    training = pod("job-0", "runai-team-a", top=owner("Job", "job"))
    places = [
        place("system-1", BACKEND),
        MASTER,
        place("tiny", role="", cpu="1"),
        place("gpu-8", training, role=GPU_WORKER, gpus="8"),
        place("cpu-busy", notebook, role="", memory="64Gi"),
        place("cpu-small", role=""),
        place("cpu-large", training, role="", memory="32Gi"),
        place("gpu-2", role=GPU_WORKER, gpus="2"),
    ]
    found = designation.rank("system-1", places)
    assert [one.name for one in found] == ["cpu-large", "cpu-small", "cpu-busy", "gpu-2", "gpu-8", "tiny"]
    assert [one.room for one in found] == [True] * 5 + [False]
    assert found[2].interactive == 1
    assert "no room for runai-backend/backend-0" in found[-1].reasons[0]


def test_a_candidate_gets_the_label_as_the_others_have_it_since_selectors_compare_it() -> None:
    assert label_like(place("s").node) == {LABEL: "true"}
    own = place("system-1", asking("b", nodeSelector={SYSTEM: ""}), labels={SYSTEM: ""})
    assert label_like(own.node) == {LABEL: ""}
    assert _codes([own, GPU], designate="gpu-1") == []


def test_nobody_can_be_designated_is_said() -> None:
    (found,) = takeover.judge("system-1", [place("system-1", BACKEND), MASTER])
    assert "no other node could be designated" in found.remedy
