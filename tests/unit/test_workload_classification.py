"""Every pod is in exactly one workload, or named as none by a rule; every workload has a kind and a fate."""

from __future__ import annotations

import copy
from collections import Counter
from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from cluster import elsewhere, staying_behind, workload_details, workload_kinds, workloads
from cluster.options import Interactive
from cluster.owners import Owner
from cluster.plan import Elsewhere, Fate, WorkloadKind
from cluster.workloads import Rule
from tests.unit.pod_objects import GROUPS, owner, pod
from tests.unit.test_pods import JSON, TOLERATIONS

KINDS, FATES, RULES = get_args(WorkloadKind), get_args(Fate), get_args(Rule)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOTES = st.dictionaries(
    st.sampled_from(
        [
            "run.ai/top-owner-metadata",
            "kai.scheduler/top-owner-metadata",
            "gpu-fraction",
            "gpu-memory",
            "gpu-fraction-num-devices",
            "pod-group-name",
            "user",
            "project",
            "kubernetes.io/config.mirror",
        ]
    ),
    st.text(max_size=12) | st.sampled_from(["kind: TrainingWorkload\nname: t\n", "0.5", "inf", "-1", "1e400"]) | JSON,
)
LABELS = st.dictionaries(
    st.sampled_from(["app", "release", "job-name", "workloadName", "runai-gpu-group", "priorityClassName"]),
    st.text(max_size=6) | st.sampled_from(["runai-reservation", "train", "a"]) | JSON,
)
OWNER = st.builds(
    owner,
    st.sampled_from([*GROUPS, "ExternalWorkload", "SomethingNew", ""]) | st.text(max_size=6),
    st.text(max_size=5),
    labels=st.dictionaries(st.just("priorityClassName"), st.text(max_size=5)),
    spec=st.dictionaries(st.sampled_from(["replicas", "parallelism", "backoffLimit"]), JSON),
)
CHAINS = st.lists(OWNER, max_size=4).map(tuple)
VOLUMES = st.lists(
    JSON | st.fixed_dictionaries({"name": JSON}, optional={"emptyDir": JSON, "hostPath": JSON}), max_size=2
)
PODS = st.one_of(
    st.fixed_dictionaries({}, optional={"metadata": JSON, "spec": JSON, "status": JSON}),
    st.builds(
        pod,
        st.sampled_from(["a-0", "a-1", "gpu-reservation-x"]),
        st.sampled_from(["runai-team-a", "default", "kube-system", "runai-reservation"]),
        top=st.none() | OWNER,
        tolerations=TOLERATIONS,
        phase=st.sampled_from(["Running", "Pending", "Succeeded", "Unknown"]),
        priorityClassName=st.none() | st.sampled_from(["train", "build", "system-node-critical"]) | JSON,
        labels=LABELS,
        annotations=NOTES,
        volumes=VOLUMES,
        terminationGracePeriodSeconds=JSON,
    ),
)


@given(PODS, CHAINS, st.dictionaries(st.text(max_size=5), st.integers(), max_size=3))
def test_whatever_the_pod_its_kind_is_one_of_the_kinds(
    found: dict[str, Any], chain: tuple[Owner, ...], priorities: dict[str, int]
) -> None:
    assert workload_kinds.of_pod(found, chain, priorities) in KINDS


@given(st.sampled_from(KINDS), st.none() | OWNER, st.sampled_from(["ask", "evict", "refuse"]), st.booleans())
def test_whatever_the_kind_and_the_owner_there_is_a_fate(
    kind: WorkloadKind, top: Owner | None, interactive: Interactive, stays: bool
) -> None:
    fate = workloads.fate(kind, top, interactive=interactive, stays=stays)
    assert fate in FATES
    if kind in ("interactive", "unknown") and interactive != "evict" and not stays:
        assert fate == "needs-approval"


@given(st.lists(PODS, max_size=6), CHAINS, st.sampled_from(["ask", "evict"]))
def test_every_pod_is_in_exactly_one_workload_or_none_by_a_rule(
    pods: list[dict[str, Any]], chain: tuple[Owner, ...], interactive: Interactive
) -> None:
    pods = [copy.deepcopy(one) for one in pods]  # none of them is another
    owners = {str(one["metadata"].get("uid", "")): chain for one in pods[::2] if isinstance(one.get("metadata"), dict)}
    grouped = workloads.groups(pods, owners)
    placed = Counter(id(one) for members in grouped.values() for one, _ in members)
    for one in pods:
        rule = workloads.no_workload(one)
        assert placed[id(one)] == (1 if rule is None else 0)
        assert rule is None or rule in RULES
    found = workloads.find(pods, owners, {}, interactive=interactive)
    assert sum(len(one.pods) for one in found) == sum(workloads.no_workload(one) is None for one in pods)
    assert {one.kind for one in found} <= set(KINDS)
    assert {one.fate for one in found} <= set(FATES)


@given(st.lists(PODS, max_size=4), CHAINS, st.none() | st.builds(Elsewhere, pods=st.integers(0, 9)))
def test_whatever_the_pods_their_details_can_be_told(
    pods: list[dict[str, Any]], chain: tuple[Owner, ...], others: Elsewhere | None
) -> None:
    owners = {str(one["metadata"].get("uid", "")): chain for one in pods if isinstance(one.get("metadata"), dict)}
    grouped = workloads.groups(pods, owners)
    for one in workloads.find(pods, owners, {}):
        members = grouped[one.namespace, one.controller, one.name]
        told = workload_details.told(one, members, elsewhere=others)
        assert told.grace_seconds >= 0
        assert told.key == one.key
    for query in elsewhere.queries(grouped):
        elsewhere.counted(query, grouped, pods)
    for stays in (*staying_behind.beforehand(pods, NOW), *(staying_behind.still_there(one, NOW) for one in pods)):
        assert stays.detail
