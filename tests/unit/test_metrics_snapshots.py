"""Snapshots of the metrics: where they can be restored, what takes their place, and when they are deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from cluster import backup, made_for_a_set, metrics_volume, volume_snapshots
from cluster.api_errors import from_status
from cluster.config import RecoverySettings
from cluster.errors import DowntimeError, Failed
from cluster.manifest import External
from cluster.metrics_volume import Volume
from cluster.part_source import DeclaredSource, FileSource, Gathered
from cluster.pod_exec import Pod
from cluster.store_writing import WritableStore
from tests.unit.backup_sets import NOW, UID, document, id_of, write

ROOT = f"/apis/{volume_snapshots.GROUP}/v1"
VOLUME = Volume(Pod("runai-backend", "runai-backend-thanos-receive-0", "c"), "claim", "/data", "thanos")


class Snapshots:
    """An API server with a driver whose snapshots are ready at once."""

    def __init__(self, policy: str = "Retain", forbidden: str = "nothing") -> None:
        self.policy, self.forbidden = policy, forbidden
        self.held: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    def _refuse(self, path: str) -> None:
        if self.forbidden in path:
            raise from_status(403, '{"message":"forbidden"}', "GET", path)

    def get(self, path: str) -> dict[str, Any] | None:
        self._refuse(path)
        if "/volumesnapshotcontents/" in path:
            return {"spec": {"driver": "csi.x", "deletionPolicy": self.policy}, "status": {"snapshotHandle": "h-1"}}
        if "/volumesnapshots/" in path:
            taken = "2026-11-24T08:00:00Z"
            return {"status": {"readyToUse": True, "creationTime": taken, "boundVolumeSnapshotContentName": "c-1"}}
        return {"spec": {"volumeName": "pv", "csi": {"driver": "csi.x"}}}

    def list(self, path: str, labels: str = "") -> list[dict[str, Any]]:
        self._refuse(path)
        return list(self.held) if labels else [{"driver": "csi.x", "metadata": {"name": "fast"}}]

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._refuse(path)
        return {"metadata": {"name": "downtime-1", "creationTimestamp": "2026-11-24T08:00:00Z"}}

    def delete(self, path: str, uid: str = "") -> bool:
        self.deleted.append(path.rpartition("/")[2])
        return True


@pytest.fixture
def one_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_volume, "_volumes", lambda _api, _namespace: [VOLUME])
    monkeypatch.setattr(metrics_volume, "_see_tar", lambda _api, _volume: None)


def sources(api: Snapshots, **metrics: str) -> tuple[list[FileSource | DeclaredSource], list[str]]:
    settings: Any = type("S", (), {"recovery": RecoverySettings.model_validate({"store": "/x", "metrics": metrics})})
    return metrics_volume.sources(cast(Any, api), settings, "runai-backend")


@pytest.mark.usefixtures("one_volume")
@pytest.mark.parametrize(("policy", "warned"), [("Retain", 0), ("Delete", 1)])
def test_a_snapshot_is_declared_with_what_another_cluster_needs(policy: str, warned: int) -> None:
    (found,), warnings = sources(Snapshots(policy))
    assert isinstance(found, DeclaredSource)
    assert found.external.where == "VolumeSnapshot runai-backend/downtime-1, driver csi.x, handle h-1"
    assert ["deletionPolicy Delete" in each for each in warnings] == [True] * warned


@pytest.mark.usefixtures("one_volume")
def test_a_handle_that_may_not_be_read_is_a_warning() -> None:
    (found,), (warning,) = sources(Snapshots(forbidden="volumesnapshotcontents"))
    assert isinstance(found, DeclaredSource)
    assert "this cluster alone" in warning


@pytest.mark.usefixtures("one_volume")
@pytest.mark.parametrize("forbidden", ["/volumesnapshots", "/volumesnapshotclasses", "persistentvolumeclaims"])
def test_where_no_snapshot_can_be_made_the_metrics_are_streamed(forbidden: str) -> None:
    (found,), (warning,) = sources(Snapshots(forbidden=forbidden))
    assert isinstance(found, FileSource)
    assert "are streamed" in warning
    with pytest.raises(DowntimeError, match="forbidden"):
        sources(Snapshots(forbidden=forbidden), how="snapshot")


@pytest.mark.usefixtures("one_volume")
def test_metrics_that_can_be_saved_in_no_way_are_told_before_anything_is_dumped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_tar(_api: Any, _volume: Any) -> None:
        raise Failed("exec-no-program", "no tar", "")

    monkeypatch.setattr(metrics_volume, "_see_tar", no_tar)
    with pytest.raises(Failed, match="no tar"):
        sources(Snapshots(forbidden="/volumesnapshots"))


def test_a_snapshot_that_a_kept_set_names_is_never_deleted(tmp_path: Path) -> None:
    """However many failed backups have left newer ones."""
    api = Snapshots()
    for age in (0, 1, 96, 97):
        made = (datetime.now(UTC) - timedelta(days=age)).isoformat()
        api.held.append({"metadata": {"name": f"of-{age}", "uid": "u", "creationTimestamp": made}})
    good = document(NOW)
    good["parts"][-1]["external"]["where"] = "VolumeSnapshot runai-backend/of-96, driver csi.x, handle h"
    write(tmp_path, good)
    settings = RecoverySettings(store="/x", keep_sets=1)

    def tidy(kept: Any) -> None:
        volume_snapshots.prune(cast(Any, api), "runai-backend", "claim", settings, kept)

    source = DeclaredSource("metrics", "thanos", External(where="x", taken=NOW), tidy=tidy)
    store = WritableStore(str(tmp_path))
    assert made_for_a_set.tidy(store, [source]) == []
    assert api.deleted == ["of-97"]
    (tmp_path / id_of(NOW) / "manifest.json").write_text("{")
    (warning,) = made_for_a_set.tidy(store, [source])
    assert "not removed" in warning
    assert api.deleted == ["of-97"]


@pytest.mark.parametrize(("changed", "undone"), [((), 1), (("the set stays",), 0)])
def test_a_snapshot_goes_with_the_set_that_it_was_made_for(
    monkeypatch: pytest.MonkeyPatch, changed: tuple[str, ...], undone: int
) -> None:
    calls: list[str] = []

    def fail(*_: Any) -> Any:
        raise Failed("backup-not-good", "not good", "", changed)

    monkeypatch.setattr(backup, "_written", lambda *_: "a manifest")
    monkeypatch.setattr(backup, "_judged", fail)
    source = DeclaredSource("metrics", "thanos", External(where="x", taken=NOW), undo=lambda: calls.append("undone"))
    draft = backup._Draft(UID, backup._Asked("", False), NOW, Gathered((source,)))
    nothing: Any = None
    with pytest.raises(Failed):
        backup._finished(nothing, nothing, draft, nothing, lambda *_: None, lambda: NOW, nothing)
    assert len(calls) == undone
