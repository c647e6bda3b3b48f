"""Which disruption budgets a drain would violate, as the taint will ask none of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import disruption
from cluster.node import Object
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pdb, pod
from tests.unit.test_pods import JSON

WEB = {"matchLabels": {"app": "web"}}


def test_more_ready_pods_than_it_allows_violate_a_budget() -> None:
    pods = [pod(f"web-{number}", "team", labels={"app": "web"}, top=owner("Deployment", "web")) for number in (1, 2)]
    (found,) = disruption.violations([pdb(WEB, allowed=1)], pods, {})
    assert (found.pdb, found.allowed, found.pods) == ("team/budget", 1, ("web-1", "web-2"))
    assert str(found).endswith("(pods web-1, web-2)")
    assert found.owners == ("team/Deployment/web",)
    assert not disruption.violations([pdb(WEB, allowed=2)], pods, {})


def test_whose_pods_a_budget_covers_is_told_with_the_researchers_name() -> None:
    ada = pod("web-1", "team", labels={"app": "web"}, annotations={"user": "ada"}, top=owner("Deployment", "web"))
    bens = owner("InferenceWorkload", "serve", annotations={"user": "ben"})
    ben = pod("web-2", "team", labels={"app": "web"})
    (found,) = disruption.violations([pdb(WEB, allowed=1)], [ada, ben], {ben["metadata"]["uid"]: (bens,)})
    assert "team/Deployment/web (of ada), team/InferenceWorkload/serve (of ben)" in str(found)


@pytest.mark.parametrize(
    "harmless",
    [
        pod("a", "team", labels={"app": "web"}, ready=False),
        pod("a", "team", labels={"app": "web"}, tolerations=[DRAIN_FOR_EVER]),
        pod("a", "team", labels={"app": "web"}, annotations={"kubernetes.io/config.mirror": "x"}),
        pod("a", "team", labels={"app": "other"}),
        pod("a", "elsewhere", labels={"app": "web"}),
    ],
)
def test_pods_that_are_not_disrupted_or_not_covered_do_not_count(harmless: Object) -> None:
    assert not disruption.violations([pdb(WEB, allowed=0)], [harmless], {})


def test_a_pod_that_is_being_deleted_counts_no_more() -> None:
    dying = pod("a", "team", labels={"app": "web"})
    dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not disruption.violations([pdb(WEB, allowed=0)], [dying], {})


def test_a_budget_whose_status_is_missing_or_old_allows_nothing() -> None:
    pods = [pod("a", "team", labels={"app": "web"})]
    old = pdb(WEB, allowed=5)
    old["metadata"]["generation"] = 2
    missing = pdb(WEB, allowed=5)
    del missing["status"]
    assert disruption.violations([old], pods, {})
    assert disruption.violations([missing], pods, {})


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, True),
        ({"matchLabels": {"app": "web", "tier": "back"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "In", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "none", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "none", "operator": "Exists"}]}, False),
    ],
)
def test_selectors_select_as_kubernetes_says(selector: Object, selected: bool) -> None:
    assert disruption.selects(selector, {"app": "web", "tier": "front"}) is selected


def test_an_empty_selector_covers_the_namespace_and_a_missing_one_nothing() -> None:
    pods = [pod("a", "team")]
    assert disruption.violations([pdb({}, allowed=0)], pods, {})
    assert not disruption.violations([pdb(None, allowed=0)], pods, {})


@given(st.fixed_dictionaries({}, optional={"metadata": JSON, "spec": JSON, "status": JSON}), st.lists(JSON, max_size=2))
def test_no_budget_however_broken_raises(broken: Object, expressions: list[object]) -> None:
    assert disruption.violations([broken], [pod("a", "team")], {}) is not None
    whole = pdb({"matchExpressions": expressions}, allowed=0)
    assert disruption.violations([whole], [pod("a", "team")], {}) is not None
