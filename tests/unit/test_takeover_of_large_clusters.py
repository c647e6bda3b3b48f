"""Of the pods of a whole cluster little is kept, and who can take over from a system node is judged as by all of it."""

from __future__ import annotations

import copy
import random
import tracemalloc
from collections import Counter
from typing import Any, cast

import pytest

from cluster import api as apis
from cluster import local_volumes, taking_over, workloads
from cluster import pods as pod_
from cluster.api import Api
from cluster.designation import rank
from cluster.node import Object
from cluster.owners import Owner
from cluster.placement import Place
from cluster.system_placement import must_move
from cluster.takeover_facts import TakeoverFacts
from cluster.takeover_pods import Kept, without_images
from tests.control_plane import small_cluster_pods
from tests.unit import pages_server
from tests.unit.places import GPU_WORKER, SYSTEM, apart_from, asking, node_affinity, place
from tests.unit.pod_objects import owner
from tests.unit.test_forecasting import Pages

AROUND = taking_over.Around(frozenset(), {})
PRIORITIES = {"train": 50, "build": 100, "forecast-urgent": 1000}
NOTED = "name: n\nuid: u\ngroup: run.ai\nversion: v2alpha1\nkind: InteractiveWorkload\n"


def dressed(pod: Object, chance: random.Random, tops: tuple[Owner | None, ...]) -> Object:
    """The pod with what an API server says besides, most of which no judgement goes by."""
    top = chance.choice(tops)
    metadata = {**pod["metadata"], "uid": f"uid-{pod['metadata']['name']}", "managedFields": [{"manager": "m"}]}
    notes = {"user": "ada", "kubectl.kubernetes.io/last-applied-configuration": "x" * 200}
    if chance.random() < 0.1:
        notes["kubernetes.io/config.mirror"] = "m"
    if chance.random() < 0.1:
        notes["run.ai/top-owner-metadata"] = NOTED
    if top is not None:
        reference = {"apiVersion": top.api_version, "kind": top.kind, "name": top.name, "uid": top.uid}
        metadata["ownerReferences"] = [{**reference, "controller": True, "blockOwnerDeletion": True}]
    if chance.random() < 0.1:
        metadata["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    spec = copy.deepcopy(pod["spec"])
    spec["containers"][0] |= {"env": [{"name": "A", "value": "b"}], "volumeMounts": [{"name": "v"}]}
    spec["terminationGracePeriodSeconds"] = chance.choice((0, 30, 600))
    spec["volumes"] = [{"name": "settings", "configMap": {"name": "s"}}]
    if chance.random() < 0.4:
        kind: Object = chance.choice(({"persistentVolumeClaim": {"claimName": "c"}}, {"ephemeral": {"x": {}}}))
        spec["volumes"].append({"name": "v", **kind})
    phase = chance.choice(("Running", "Running", "Running", "Pending", "Succeeded"))
    return {**pod, "metadata": {**metadata, "annotations": notes}, "spec": spec, "status": {"phase": phase}}


def cluster(seed: int) -> tuple[list[Object], list[Object], list[Object]]:
    """Nodes (the first is the one that goes down), pods, and volumes."""
    chance = random.Random(seed)
    count = chance.randint(1, 4)
    places = [place("system-1")]
    kept = [{"key": "kept", "effect": "NoSchedule"}]
    for at in range(2, chance.randint(2, 4)):
        places.append(place(f"system-{at}", cpu=str(chance.randint(2, 12)), taints=chance.choice(([], kept))))
    places += [place(f"gpu-{at}", role=GPU_WORKER, cpu="16", memory="64Gi", gpus="8") for at in range(count)]
    nodes = [{**one.node, "metadata": {**one.node["metadata"], "uid": one.name}} for one in places]
    pods = []
    service = (owner("StatefulSet", "db"), owner("ReplicaSet", "web"), owner("DaemonSet", "agent"), None)
    for at in range(chance.randint(1, 4)):
        more: Object = {"nodeSelector": {SYSTEM: "true"}} if chance.random() < 0.7 else {}
        more["tolerations"] = chance.choice(([], [{"key": "kept", "operator": "Exists"}]))
        more |= chance.choice(({}, {}, {"affinity": apart_from("one")}))
        where, asked = chance.choice(("runai-backend", "runai-backend", "monitoring")), str(chance.randint(1, 3))
        pod = asking(f"s-{at}", cpu=asked, namespace=where, nodeName="system-1", **more)
        pod["metadata"]["labels"] = {"app": chance.choice(("one", "other"))}
        pods.append(dressed(pod, chance, service))
    work = (owner("StatefulSet", "nb"), owner("Job", "t"), owner("RunaiJob", "r"), owner("DaemonSet", "d"), None)
    for at in range(chance.randint(0, 12)):
        pod = small_cluster_pods.draw("w", f"p-{at}", chance, pools=False)
        pod["spec"]["nodeSelector"] = {}
        pod["spec"]["nodeName"] = chance.choice(nodes)["metadata"]["name"]
        pods.append(dressed(pod, chance, work))
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["system-1"]}
    affinity = node_affinity(here)["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    local = {"nodeAffinity": {"required": affinity}, "claimRef": {"namespace": "runai-backend", "name": "c"}}
    return nodes, pods, [{"metadata": {"name": "pv"}, "spec": local}] if chance.random() < 0.9 else []


def whole(api: Api, nodes: list[Object], pods: list[Object]) -> TakeoverFacts:
    """The facts with all of each pod."""
    there: dict[str, list[Object]] = {}
    for pod in pods:
        there.setdefault(pod["spec"]["nodeName"], []).append(pod)
    facts = TakeoverFacts(nodes=tuple(nodes), pods={name: tuple(found) for name, found in there.items()})
    own = facts.place("system-1")
    assert own is not None
    return facts.model_copy(update={"bound": taking_over.bound_of(api, own, nodes)})


def judged(facts: TakeoverFacts, designate: str) -> tuple[Any, ...]:
    own = facts.place("system-1")
    assert own is not None
    around = AROUND._replace(designate=designate)
    return (
        taking_over.judge("system-1", facts, around, priorities=PRIORITIES),
        rank("system-1", facts.places, bound=facts.bound, priorities=PRIORITIES),
        [pod_.full_name(pod) for pod in must_move(own, facts.bound)],
        facts.bound,
    )


def known_of(pod: Object) -> tuple[Any, ...]:
    """What else those that use the facts ask of a pod."""
    work = [(one.kind, one.controller) for one in workloads.find([pod], {}, PRIORITIES)]
    chain, claims = workloads.chain_of(pod, {}), local_volumes.claims_of(pod)
    ends = pod_.is_terminating(pod), pod_.grace_seconds(pod)
    made_by = pod_.is_mirror(pod), pod_.is_daemon(pod), pod_.controller(pod).get("uid")
    return pod_.uid(pod), work, chain, claims, ends, made_by


def test_the_judgement_is_the_same_as_with_all_of_each_pod() -> None:
    codes: Counter[str] = Counter()
    ranked = interactive = bound = 0
    for seed in range(150):
        nodes, pods, volumes = cluster(seed)
        collections = {"/api/v1/nodes": nodes, "/api/v1/pods": pods, "/api/v1/persistentvolumes": volumes}
        api = cast(Api, Pages(collections))
        little, much = taking_over.gather(api, "system-1"), whole(api, nodes, pods)
        found = judged(little, "")
        assert found == judged(much, ""), seed
        assert judged(little, "gpu-0") == judged(much, "gpu-0"), seed
        codes.update(one.code for one in (*found[0], *judged(little, "gpu-0")[0]))
        ranked += any(one.room for one in found[1])
        interactive += any(one.interactive for one in found[1])
        bound += bool(little.bound)
        for name, there in much.pods.items():
            assert [known_of(pod) for pod in little.pods[name]] == [known_of(pod) for pod in there], seed
    # All that can be found was found: else to be the same would say nothing.
    assert {"last-system-node", "no-room-on-system-nodes"} <= set(codes)
    assert min(ranked, interactive, bound) > 10


@pytest.mark.parametrize(
    "pod",
    [
        {"metadata": {"name": "a", "namespace": "runai", "ownerReferences": None}, "spec": {"containers": None}},
        {"metadata": {"name": "a", "namespace": "runai"}, "spec": None, "status": None},
        {
            "metadata": {"name": "a", "namespace": "runai", "annotations": []},
            "spec": {"volumes": [3, {}], "tolerations": 3},
        },
    ],
)
def test_a_pod_of_another_shape_is_kept_as_one_that_must_move(pod: Object) -> None:
    kept = Kept().of(pod)
    node = place("system-1").node
    assert known_of(kept) == known_of(pod)
    assert [pod_.name(one) for one in must_move(Place(node, (kept,)))] == ["a"]


def test_of_a_node_its_images_are_left_out_and_its_state_is_not() -> None:
    one = place("n", gpus="2", labels={"zone": "a"}, taints=[{"key": "k", "effect": "NoSchedule"}])
    big = {**one.node, "status": {**one.node["status"], "images": [{"names": ["x"]}]}}
    big["metadata"] = {**big["metadata"], "managedFields": [{}], "annotations": {"a": "b"}}
    kept = without_images(big)
    assert ("images" in kept["status"], "managedFields" in kept["metadata"]) == (False, False)
    assert Place(kept).state == Place(big).state
    assert (Place(kept).free, kept["metadata"]["annotations"]) == (Place(big).free, {"a": "b"})


def test_the_pods_of_a_large_cluster_take_a_fraction_of_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis, "PAGE", 60)

    def peak(act: Any) -> tuple[Any, float]:
        tracemalloc.start()
        try:
            return act(), tracemalloc.get_traced_memory()[1] / (1 << 20)
        finally:
            tracemalloc.stop()

    with pages_server.serving(100, 1200) as (_, api):
        facts, kept = peak(lambda: taking_over.gather(api, "n0"))
        _, all_of_it = peak(lambda: api.list("/api/v1/pods"))
    assert sum(len(there) for there in facts.pods.values()) == 1200
    assert kept < all_of_it / 4, f"{kept:.0f} MiB of {all_of_it:.0f} MiB"
