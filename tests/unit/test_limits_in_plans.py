"""``max_unavailable`` in a plan: of the cluster, of a kind of node, of a node pool; nodes down for any reason count."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import planned, remove
from cluster.config import LimitsSettings, Settings
from cluster.inventory import NodeSummary, summary
from cluster.options import PlannedOptions, RemoveOptions
from tests.unit import planning_cases as cases


def _limited(**limits: Any) -> Settings:
    return cases.settings().model_copy(update={"limits": LimitsSettings.model_validate(limits)})


def _blocked(settings: Settings, *others: NodeSummary, down: frozenset[str] = frozenset()) -> set[str]:
    own = cases.node()
    own["metadata"]["labels"]["runai/node-pool"] = "a100"
    keep = NodeSummary(name="system-9", kind="system")
    seen = cases.observation(own, nodes=(summary(own), keep, *others), down=down)
    plans = (
        planned.plan(seen, PlannedOptions(interactive="evict"), settings, None),
        remove.plan(seen, RemoveOptions(interactive="evict"), settings, None),
    )
    first, second = ({one.code for one in plan.blockers} for plan in plans)
    assert first == second, "the same limits hold for every procedure"
    return first


@pytest.mark.parametrize(
    "other",
    [
        NodeSummary(name="gpu-2", kind="gpu-worker", pool="a100", ready=False),
        NodeSummary(name="gpu-2", kind="gpu-worker", pool="a100", drained_by_taint=True),
        NodeSummary(name="gpu-2", kind="gpu-worker", pool="a100"),
    ],
)
@pytest.mark.parametrize(
    "limits", [{"max_unavailable": 1}, {"roles": {"gpu-worker": "50%"}}, {"pools": {"a100": 1}}, {"pools": {"*": 1}}]
)
def test_one_more_than_allowed_is_blocked(limits: dict[str, Any], other: NodeSummary) -> None:
    down = frozenset({"gpu-2"}) if other.can_take_over else frozenset[str]()
    assert _blocked(_limited(**limits), other, down=down) == {"max-unavailable"}


@pytest.mark.parametrize("limits", [{}, {"max_unavailable": 2}, {"roles": {"cpu-worker": 1}}, {"pools": {"h100": 0}}])
def test_what_is_not_limited_goes_ahead(limits: dict[str, Any]) -> None:
    assert _blocked(_limited(**limits), NodeSummary(name="gpu-2", kind="gpu-worker", pool="a100", ready=False)) == set()
