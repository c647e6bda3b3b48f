"""A forecast says *fits now* only of what finds a place whatever else is placed first; and it always says something."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import placement
from cluster import pods as pod_
from cluster.attachable import Limits, limits_of
from cluster.forecast import Market
from cluster.node import Object
from cluster.placement import Place
from cluster.plan import Forecast
from cluster.room import Claimant, Room, Volumes, claimant, slim_node, volumes_of
from tests.unit.places import apart_from, asking, node_affinity, place

TAINT = {"key": "team", "value": "a", "effect": "NoSchedule"}


def room(place: Place, moving: list[Object] | None = None) -> Room:
    made = Room(slim_node(place.node))
    for pod in place.pods:
        made.add({**pod, "spec": {**pod["spec"], "nodeName": made.name}}, moving or [])
    return made


def says(
    pods: list[Object] | Object,
    *places: Place,
    others: tuple[Object, ...] = (),
    down: tuple[str, ...] = (),
    **more: Any,
) -> Forecast:
    """The forecast of these pods, which leave the node ``gone``, beside others that want room."""
    volumes = more.pop("volumes", Volumes())
    limits = more.pop("limits", None)
    going = more.pop("moving", pods if isinstance(pods, list) else [pods])
    moving = [claimant(one, volumes, moving=True, **more) for one in (pods if isinstance(pods, list) else [pods])]
    rivals = [claimant(one, volumes) for one in others]
    rooms = [room(one, going) for one in (place("gone"), *places)]
    return Market(rooms, "gone", down, [*moving, *rivals], limits).forecast(moving)


def gpu(name: str, count: int, **more: Any) -> Object:
    requests = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": str(count)}
    return asking(name, containers=[{"resources": {"requests": requests}}], **more)


def test_what_has_room_fits_now() -> None:
    assert says(asking("a"), place("n")) == Forecast(says="fits-now")


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (place("n", ready=False), "not Ready"),
        (place("n", cordoned=True), "cordoned"),
        (place("n", taints=[TAINT]), "team=a:NoSchedule"),
        (place("n", taints=[{"key": "runai-downtime/joining", "effect": "NoSchedule"}]), "joining"),
        (place("n", cpu="900m"), "less cpu free"),
        (place("n", pods="0"), "less pods free"),
        (place("n", asking("x", memory="7.5Gi")), "less memory free"),
        (place("n", asking("x", cpu="some")), "cannot be read"),
        (place("n", asking("x", labels={"app": "x"}, affinity=apart_from("a"))), "must not be together"),
    ],
)
def test_what_keeps_it_waiting(there: Place, why: str) -> None:
    found = says(asking("a", labels={"app": "a"}), there)
    assert found.says == "will-wait"
    assert why in found.why


def test_a_node_in_downtime_and_the_one_that_goes_down_are_no_places() -> None:
    assert says(asking("a"), place("n"), down=("n",)).why == "there is no other node"
    everything = [{"operator": "Exists"}]
    tainted = place("n", taints=[{"key": "runai", "value": "drain", "effect": "NoExecute"}])
    assert says(asking("a", tolerations=everything), tainted).says == "will-wait"


def test_labels_and_node_affinity() -> None:
    zone = node_affinity({"key": "zone", "operator": "In", "values": ["b"]})
    assert says(asking("a", affinity=zone), place("n", labels={"zone": "a"})).says == "will-wait"
    assert says(asking("a", affinity=zone), place("n", labels={"zone": "b"})).says == "fits-now"
    assert says(asking("a", nodeSelector={"x": "y"}), place("n")).says == "will-wait"


def test_two_that_need_the_same_room_both_wait_for_it() -> None:
    pods = [gpu("a", 4), gpu("b", 4)]
    assert says(pods[0], place("n", gpus="4"), others=(pods[1],)).says == "will-wait"
    assert says(pods, place("n", gpus="8")).says == "fits-now"
    assert says(pods, place("n", gpus="4"), place("m", gpus="4")).says == "fits-now"


def test_one_rival_takes_one_node_only() -> None:
    nodes = [place("n", gpus="1"), place("m", gpus="1")]
    assert says(gpu("a", 1), *nodes, others=(gpu("b", 1),)).says == "fits-now"
    assert says(gpu("a", 1), *nodes, others=(gpu("b", 1), gpu("c", 1))).says == "will-wait"


def test_small_pods_may_each_take_a_little_of_what_a_large_one_needs() -> None:
    nodes = [place("n", gpus="8"), place("m", gpus="8")]
    small = tuple(gpu(f"s{i}", 1) for i in range(2))
    assert says(gpu("large", 8), *nodes, others=small).says == "will-wait"
    assert says(gpu("large", 8), *nodes, others=small[:1]).says == "fits-now"


def test_a_rival_that_cannot_go_there_is_none() -> None:
    elsewhere = gpu("b", 1, nodeSelector={"x": "y"})
    assert says(gpu("a", 1), place("n", gpus="1"), others=(elsewhere,)).says == "fits-now"


def test_a_rival_of_higher_priority_that_finds_no_room_may_preempt() -> None:
    urgent = gpu("urgent", 8, priority=100)
    nodes = (place("n", gpu("old", 6, priority=0), gpus="8"), place("m", gpus="2"), place("o", gpus="2"))
    assert says(gpu("a", 1), *nodes, others=(urgent,)).says == "will-wait"
    assert says(gpu("a", 1, priority=100), *nodes[:1], others=(urgent,)).says == "will-wait"
    never = gpu("urgent", 8, priority=100, preemptionPolicy="Never", nodeSelector={"x": "y"})
    assert says(gpu("a", 1), *nodes, others=(never,)).says == "fits-now"


def test_what_waits_but_can_preempt_nobody_takes_no_place() -> None:
    """One that no node could hold, whoever were gone; or beside pods of its own priority alone."""
    huge = gpu("huge", 16, priority=100)
    assert says(gpu("a", 1), place("n", gpus="8"), others=(huge,)).says == "fits-now"
    urgent = gpu("urgent", 8, priority=100)
    full = place("n", gpu("old", 8, priority=100), gpus="8")
    other = place("m", gpus="1", labels={"zone": "b"})
    assert says(gpu("a", 1, nodeSelector={"zone": "b"}), full, other, others=(urgent,)).says == "fits-now"


def test_what_is_preempted_may_preempt_in_its_turn() -> None:
    """The urgent one takes the node of the middle one, which takes the place of the low one elsewhere."""
    urgent = gpu("urgent", 8, priority=100, nodeSelector={"kubernetes.io/hostname": "n"})
    middle = gpu("middle", 8, priority=50)
    mine = gpu("a", 2, priority=0, nodeSelector={"kubernetes.io/hostname": "m"})
    nodes = (place("n", middle, gpus="8"), place("m", gpus="16", cpu="16", memory="64Gi"))
    assert "higher priority" in says(mine, *nodes, others=(urgent,)).why
    assert says(replace_priority(mine, 50), *nodes, others=(urgent,)).says == "fits-now"


def test_a_pod_that_waits_beside_one_that_may_preempt_it_may_preempt_as_well() -> None:
    urgent = gpu("urgent", 8, priority=100, nodeSelector={"kubernetes.io/hostname": "n"})
    second = gpu("second", 1, priority=50)
    nodes = (place("n", gpu("old", 4, priority=0), gpus="8"), place("m", gpus="3"))
    found = says(gpu("a", 1, nodeSelector={"kubernetes.io/hostname": "m"}), *nodes, others=(urgent, second))
    assert found.says == "will-wait"


def replace_priority(pod: Object, priority: int) -> Object:
    return {**pod, "spec": {**pod["spec"], "priority": priority}}


def test_a_rival_that_fits_nowhere_takes_nothing() -> None:
    assert says(gpu("a", 2), place("n", gpus="4"), others=(gpu("large", 8),)).says == "fits-now"


def test_what_ends_or_is_promised_elsewhere_may_make_room_for_a_rival() -> None:
    """The rival does not fit beside what ends there now; when that has ended, it takes the whole node."""
    ending = gpu("ending", 4)
    ending["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    rival = gpu("rival", 8)
    assert says(gpu("a", 1), place("n", ending, gpus="8"), others=(rival,)).says == "will-wait"
    stays = gpu("stays", 4)
    assert says(gpu("a", 1), place("n", stays, gpus="8"), others=(rival,)).says == "fits-now"


def test_a_pod_that_goes_to_another_node_of_the_zone_keeps_others_from_all_of_it() -> None:
    """It can go to the one node only, and the pod to the other: but they are of one zone."""
    nodes = (place("n", labels={"zone": "a", "for": "it"}), place("m", labels={"zone": "a", "for": "me"}))
    rival = asking("it", nodeSelector={"for": "it"}, affinity=apart_from("me", "zone"))
    mine = asking("me", labels={"app": "me"}, nodeSelector={"for": "me"})
    assert "must not be together" in says(mine, *nodes, others=(rival,)).why
    apart = (nodes[0], place("m", labels={"zone": "b", "for": "me"}))
    assert says(mine, *apart, others=(rival,)).says == "fits-now"


def test_pods_apart_from_their_own_kind() -> None:
    """Each keeps the others from one node: as many nodes as pods are needed, and none of the kind there before."""
    mine = [asking(name, labels={"app": "a"}, affinity=apart_from("a")) for name in ("a-0", "a-1")]
    assert says(mine, place("n"), place("m")).says == "fits-now"
    assert says(mine, place("n")).says == "will-wait"
    there = asking("there", labels={"app": "a"})
    assert says(mine[0], place("n", there), moving=mine).says == "will-wait"
    assert says(mine[0], place("n", there), place("m"), moving=mine).says == "fits-now"


def test_a_port_of_the_node() -> None:
    ports = [{"ports": [{"hostPort": 80}]}]
    assert says(asking("a", containers=ports), place("n")).says == "fits-now"
    taken = place("n", asking("x", containers=ports))
    assert "port taken" in says(asking("a", containers=ports), taken).why
    assert says(asking("a", containers=ports), place("n"), others=(asking("b", containers=ports),)).says == "will-wait"
    udp = asking("b", containers=[{"ports": [{"hostPort": 80, "protocol": "UDP"}]}])
    assert says(asking("a", containers=ports), place("n"), others=(udp,)).says == "fits-now"


def test_what_is_preempted_wants_room_as_well() -> None:
    urgent = gpu("urgent", 8, priority=100, nodeSelector={"kubernetes.io/hostname": "n"})
    victims = tuple(gpu(f"old{i}", 4) for i in range(2))
    room_for_one = place("m", gpus="4", taints=[TAINT])
    mine = gpu("a", 4, tolerations=[{"operator": "Exists"}], nodeSelector={"kubernetes.io/hostname": "m"})
    assert says(mine, place("n", *victims, gpus="8"), room_for_one, others=(urgent,)).says == "will-wait"
    assert says(mine, place("n", *victims, gpus="8"), room_for_one).says == "fits-now"


@pytest.mark.parametrize(
    "spec",
    [
        {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "z"}]}}},
        {"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]},
        {"resourceClaims": [{"name": "x"}]},
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "mine"}}]},
        {"volumes": [{"name": "v", "ephemeral": {}}]},
        {"containers": [{"resources": {"requests": {"cpu": "some"}}}]},
    ],
)
def test_what_is_not_judged_waits(spec: Object) -> None:
    assert says(asking("a", **spec), place("n")).says == "will-wait"


def test_volumes_that_every_node_has_or_that_bind_to_some() -> None:
    pod = asking("a", namespace="t", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    volume: Object = {
        "metadata": {"name": "pv"},
        "spec": {"nfs": {}, "claimRef": {"namespace": "t", "name": "c"}},
        "status": {"phase": "Bound"},
    }
    assert says(pod, place("n"), volumes=volumes_of([volume])).says == "fits-now"
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["gone"]}]}
    local = {**volume["spec"], "local": {}, "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}
    found = says(pod, place("n"), volumes=volumes_of([{**volume, "spec": local}]))
    assert "volume cannot be reached" in found.why
    unknown = {"csi": {}, "claimRef": volume["spec"]["claimRef"]}
    assert says(pod, place("n"), volumes=volumes_of([{**volume, "spec": unknown}])).says == "will-wait"


def test_volumes_of_csi_drivers_are_judged_by_what_the_nodes_hold() -> None:
    pod = asking("a", namespace="t", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])
    spec = {"csi": {"driver": "disks"}, "claimRef": {"namespace": "t", "name": "c"}}
    volumes = volumes_of([{"metadata": {"name": "pv"}, "spec": spec, "status": {"phase": "Bound"}}])
    rival = asking("b", namespace="t", volumes=[{"name": "v", "ephemeral": {}}])
    there = asking("x", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "other"}}])

    def limits(count: int | None, attached: int = 0) -> Limits:
        driver = {"name": "disks", **({"allocatable": {"count": count}} if count is not None else {})}
        nodes = [{"metadata": {"name": "n"}, "spec": {"drivers": [driver]}}]
        return limits_of(nodes, [{"spec": {"nodeName": "n"}}] * attached)

    def found(held: Limits, *pods: Object, others: tuple[Object, ...] = ()) -> str:
        return says(pod, place("n", *pods), volumes=volumes, limits=held, others=others).says

    assert found(Limits()) == "will-wait", "the driver is not known to be there"
    assert found(limits(None)) == "fits-now"
    assert found(limits(1)) == "fits-now"
    assert found(limits(1, attached=1)) == "will-wait"
    assert found(limits(2), there) == "fits-now"
    assert found(limits(1), there) == "will-wait"
    assert found(limits(1), others=(rival,)) == "will-wait"
    assert found(limits(2), others=(rival,)) == "fits-now"


def test_a_pod_of_another_scheduler_stays_in_its_node_pool() -> None:
    pod = asking("a", schedulerName="runai-scheduler-default")
    pooled = place("n", labels={"runai/node-pool": "a100"})
    found = says(pod, pooled, pool="a100")
    assert found.says == "fits-now"
    assert "node pool h100" in says(pod, pooled, pool="h100").why


def test_a_share_of_a_gpu_asks_for_a_whole_one() -> None:
    pod = asking("a", annotations={"gpu-fraction": "0.5"})
    assert says(pod, place("n")).says == "will-wait"
    assert says(pod, place("n", gpus="1")).says == "fits-now"


def test_a_gpu_that_becomes_shared_is_held_by_a_pod_of_its_own() -> None:
    pod = asking("a", annotations={"gpu-fraction": "0.5"})
    assert "less pods free" in says(pod, place("n", gpus="1", pods="1")).why
    assert says(pod, place("n", gpus="1", pods="2")).says == "fits-now"
    two = asking("a", annotations={"gpu-fraction": "0.5", "gpu-fraction-num-devices": "2"})
    assert says(two, place("n", gpus="2", pods="2")).says == "will-wait"
    assert says(two, place("n", gpus="2", pods="3")).says == "fits-now"
    other = asking("b", annotations={"gpu-memory": "1000"})
    assert says(asking("c"), place("n", gpus="1", pods="2"), others=(other,)).says == "will-wait"
    assert says(asking("c"), place("n", gpus="1", pods="3"), others=(other,)).says == "fits-now"


def test_a_share_in_mebibytes_fits_no_gpu_that_is_smaller_or_not_known() -> None:
    pod = asking("a", annotations={"gpu-memory": "60000"})
    small, large = ({"nvidia.com/gpu.memory": size} for size in ("15360", "81559"))
    assert says(pod, place("n", gpus="4", labels=large)).says == "fits-now"
    said = says(pod, place("n", gpus="4", labels=small), place("m", gpus="4"))
    assert said.says == "will-wait"
    assert "2 whose GPUs are not known to have the 60000 MiB" in said.why


def test_a_rival_with_a_share_may_join_a_gpu_that_is_shared_already() -> None:
    """No whole GPU is free there, and yet it takes cores, memory and a place among the pods."""
    shares = [asking(f"y{i}", cpu="5", annotations={"gpu-fraction": "0.5"}) for i in range(2)]
    assert says(asking("x", cpu="5"), place("a", cpu="6"), others=(shares[0],)).says == "will-wait"
    nodes = (place("a", cpu="6"), place("b", cpu="6"))
    assert says(asking("x", cpu="5"), *nodes, others=(shares[0],)).says == "fits-now"
    assert says(asking("x", cpu="5"), *nodes, others=tuple(shares)).says == "will-wait"


def test_one_with_a_share_may_preempt_where_no_whole_gpu_can_be_had() -> None:
    share = asking("y", cpu="3", annotations={"gpu-fraction": "0.5"}, priority=100)
    mine = asking("x", cpu="3", nodeSelector={"kubernetes.io/hostname": "m"})
    victim = asking("old", cpu="3")
    assert says(mine, place("n", victim), place("m"), others=(share,)).says == "will-wait"
    tied = {**share, "spec": {**share["spec"], "nodeSelector": {"kubernetes.io/hostname": "n"}}}
    assert says(mine, place("n", victim), place("m"), others=(tied,)).says == "will-wait"
    assert says(mine, place("n"), place("m"), others=(tied,)).says == "fits-now"


def test_a_pod_that_is_being_made_smaller_still_has_what_it_had() -> None:
    resized = asking("x", cpu="1")
    resized["status"]["containerStatuses"] = [{"resources": {"requests": {"cpu": "4"}}}]
    assert says(asking("a"), place("n", resized)).says == "will-wait"


SIZES = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=4)


@settings(deadline=None)
@given(SIZES, st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=3), st.data())
def test_whatever_the_order_and_the_choice_of_nodes_what_fits_now_finds_a_place(
    pods: list[tuple[int, int]], rooms: list[tuple[int, int]], data: st.DataObject
) -> None:
    made = []
    for i, (gpus, cores) in enumerate(pods):
        requests = {"cpu": str(cores), **({"nvidia.com/gpu": str(gpus)} if gpus else {})}
        made.append(asking(f"p{i}", containers=[{"resources": {"requests": requests}}]))
    places = [place(f"n{i}", gpus=str(gpus), cpu=str(cores)) for i, (gpus, cores) in enumerate(rooms)]
    claimants = [claimant(one, Volumes()) for one in made]
    market = Market([room(one) for one in places], "gone", (), claimants)
    sure = {one.name for one in claimants if market.forecast([one]).says == "fits-now"}
    for order in itertools.permutations(made):
        now = {one.name: one for one in places}
        for pod in order:
            fitting = [name for name, there in now.items() if not placement.objection(pod, there)]
            if not fitting:
                assert pod_.full_name(pod) not in sure
                continue
            chosen = data.draw(st.sampled_from(fitting))
            now[chosen] = Place(now[chosen].node, (*now[chosen].pods, pod))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["", "1", "cpu", "x", "Exists", "1Gi"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "cpu", "values"]), inner),
    max_leaves=6,
)
SPEC = st.dictionaries(
    st.sampled_from(
        ["nodeSelector", "affinity", "tolerations", "containers", "priority", "volumes", "topologySpreadConstraints"]
    ),
    JSON,
)


@given(SPEC, SPEC)
def test_it_says_something_of_every_pod(mine: Object, other: Object) -> None:
    pods: list[Claimant] = [
        claimant({"metadata": {"name": name, "namespace": "t"}, "spec": spec}, Volumes())
        for name, spec in (("a", mine), ("b", other))
    ]
    found = Market([room(place("n"))], "gone", (), pods).forecast(pods[:1])
    assert found.says in ("fits-now", "will-wait")
    assert (found.says == "fits-now") or found.why
