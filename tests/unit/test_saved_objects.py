"""Which kinds are saved: Run:ai's own, in whatever version they are served, and no work."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster import metrics_volume, saved_nodes, saved_objects
from cluster.config import MetricsSettings
from cluster.errors import Blocked
from cluster.saved_objects import Kind


class Discovery:
    """An API server that tells which kinds it serves, and forbids one."""

    def __init__(self, kinds: dict[str, list[str]], preferred: dict[str, str], forbidden: str = "") -> None:
        self._kinds, self._preferred, self._forbidden = kinds, preferred, forbidden

    def get(self, path: str) -> dict[str, Any] | None:
        if path == "/apis":
            groups: dict[str, list[str]] = {}
            for where in self._kinds:
                group, version = where.split("/")
                groups.setdefault(group, []).append(version)
            return {
                "groups": [
                    {
                        "name": name,
                        "versions": [{"version": one} for one in versions],
                        "preferredVersion": {"version": self._preferred.get(name, versions[0])},
                    }
                    for name, versions in groups.items()
                ]
            }
        names = self._kinds.get(path.removeprefix("/apis/"), [])
        return {"resources": [{"name": one, "verbs": ["get", "list"], "namespaced": True} for one in names]}

    def allowed(self, _verb: str, resource: str, *, group: str) -> bool:
        return resource != self._forbidden


SERVED = {
    "run.ai/v1": ["projects", "runaiconfigs", "runaijobs", "projects/status", "old-rules"],
    "run.ai/v2": ["projects", "nodepools", "trainingworkloads"],
    "scheduling.run.ai/v2": ["queues", "podgroups", "projects"],
    "notrun.ai/v1": ["foreign"],
    "apps/v1": ["deployments"],
}


def test_each_kind_is_read_in_the_preferred_version_and_once() -> None:
    found = saved_objects.kinds(Discovery(SERVED, {"run.ai": "v2"}))  # type: ignore[arg-type]
    assert Kind("run.ai", "v2", "projects") in found
    assert Kind("run.ai", "v1", "projects") not in found
    assert Kind("run.ai", "v1", "old-rules") in found
    assert not [one for one in found if one.group in ("notrun.ai", "apps") or "/" in one.plural]


def test_no_work_is_saved_and_kinds_of_one_name_have_files_of_their_own() -> None:
    api: Any = Discovery(SERVED, {"run.ai": "v2"})
    sources, warnings = saved_objects.resources(api, saved_objects.kinds(api))
    assert [one.name for one in sources] == [
        "nodepools",
        "old-rules",
        "projects",
        "projects.scheduling.run.ai",
        "queues",
    ]
    assert len({one.path for one in sources}) == len(sources)
    assert warnings == []


def test_a_kind_that_may_not_be_listed_is_a_warning() -> None:
    api: Any = Discovery(SERVED, {"run.ai": "v2"}, forbidden="queues")
    sources, warnings = saved_objects.resources(api, saved_objects.kinds(api))
    assert "queues" not in [one.name for one in sources]
    assert warnings == ["queues.scheduling.run.ai are not saved: listing them is forbidden."]


def test_a_cluster_without_runaiconfigs_is_refused() -> None:
    with pytest.raises(Blocked) as raised:
        saved_objects.runaiconfig(None, [Kind("run.ai", "v1", "projects")])  # type: ignore[arg-type]
    assert raised.value.code == "no-runaiconfig"


def test_an_object_is_whole_but_for_what_nothing_accepts_back() -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "a", "uid": "u", "managedFields": [{}]},
        "spec": {"x": 1},
        "status": {"y": 2},
    }
    assert saved_objects.whole(body) == {"metadata": {"name": "a", "uid": "u"}, "spec": {"x": 1}, "status": {"y": 2}}
    assert "managedFields" in body["metadata"]


def test_a_node_is_kept_by_the_rules_of_a_rejoin() -> None:
    labels = {
        "node-role.kubernetes.io/runai-gpu-worker": "true",
        "rack": "7",
        "nvidia.com/gpu.product": "H100",
        "kubernetes.io/hostname": "a",
    }
    taints = [{"key": "runai", "value": "drain", "effect": "NoExecute"}, {"key": "mine", "effect": "NoSchedule"}]
    kept = saved_nodes.saved({"metadata": {"name": "a", "labels": labels}, "spec": {"taints": taints}})
    assert kept["labels"] == {"node-role.kubernetes.io/runai-gpu-worker": "true", "rack": "7"}
    assert kept["taints"] == [{"key": "mine", "effect": "NoSchedule"}]
    assert (kept["kind"], kept["roles"]) == ("gpu-worker", ["runai-gpu-worker"])
    json.dumps(kept)


def declaring(program: str) -> MetricsSettings:
    return MetricsSettings(how="external", where="the array", taken=[sys.executable, "-c", program])


def test_the_time_of_a_declared_backup_is_what_its_command_prints() -> None:
    taken = metrics_volume.declared(declaring("print('2026-11-24T03:00:00+01:00')")).taken
    assert taken == datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print('yesterday')", "no time"),
        ("print('2026-11-24T03:00:00')", "without a time zone"),
        ("import sys; sys.exit('no array')", "no array"),
        ("import os; os.write(1, bytes([255]))", "no time"),
    ],
)
def test_a_declaration_without_a_time_is_no_backup(program: str, said: str) -> None:
    with pytest.raises(Blocked, match=said) as raised:
        metrics_volume.declared(declaring(program))
    assert raised.value.code == "metrics-declaration"


def test_a_place_longer_than_a_set_can_tell_is_refused_with_the_configuration() -> None:
    with pytest.raises(ValueError, match="at most 500"):
        MetricsSettings(how="external", where="x" * 501, taken=["date"])
