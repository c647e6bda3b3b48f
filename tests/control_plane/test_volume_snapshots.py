"""The metrics saved by a snapshot of their volume, where its driver can make one; the test plays the driver."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import metrics_volume, volume_snapshots
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import Failed, Misused
from cluster.part_source import DeclaredSource, FileSource
from lab.api import Api as LabApi
from lab.api import ApiError
from lab.patience import until
from tests.control_plane.backing_up import configured, connected

__all__ = ["configured", "connected"]

JSON = dict[str, Any]
ROOT = "/apis/snapshot.storage.k8s.io/v1"
SNAPSHOTS = f"{ROOT}/namespaces/runai-backend/volumesnapshots"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CLAIM, VOLUME, DRIVER = "snapshot-test", "pv-snapshot-test", "csi.lab.internal"


def _definition(plural: str, kind: str, scope: str) -> JSON:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{volume_snapshots.GROUP}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, the lab's own"},
        },
        "spec": {
            "group": volume_snapshots.GROUP,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{**version, "subresources": {"status": {}}}],
        },
    }


@pytest.fixture(scope="module")
def snapshots(lab_api: LabApi) -> Iterator[None]:
    """A cluster with the API of snapshots, a driver's class, and a claim whose volume is of that driver."""
    made = []
    for plural, kind, scope in (
        ("volumesnapshots", "VolumeSnapshot", "Namespaced"),
        ("volumesnapshotclasses", "VolumeSnapshotClass", "Cluster"),
    ):
        lab_api.create(DEFINITIONS, _definition(plural, kind, scope))
        made.append(f"{DEFINITIONS}/{plural}.{volume_snapshots.GROUP}")
    classes = f"{ROOT}/volumesnapshotclasses"
    for path in (SNAPSHOTS, classes):
        until(lambda path=path: _served(lab_api, path), seconds=20, what=f"{path} is not served")  # type: ignore[misc]
    lab_api.create(
        classes,
        {
            "apiVersion": f"{volume_snapshots.GROUP}/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": {"name": "fast"},
            "driver": DRIVER,
            "deletionPolicy": "Retain",
        },
    )
    modes = {"accessModes": ["ReadWriteOnce"], "storageClassName": "lab-none"}
    lab_api.create(
        "/api/v1/persistentvolumes",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": VOLUME},
            "spec": {
                **modes,
                "capacity": {"storage": "1Gi"},
                "csi": {"driver": DRIVER, "volumeHandle": "1"},
            },
        },
    )
    claims = "/api/v1/namespaces/runai-backend/persistentvolumeclaims"
    lab_api.create(
        claims,
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM},
            "spec": {**modes, "volumeName": VOLUME, "resources": {"requests": {"storage": "1Gi"}}},
        },
    )
    yield
    for path in (f"{claims}/{CLAIM}", f"/api/v1/persistentvolumes/{VOLUME}", *made):
        lab_api.delete(path)
    until(lambda: not _served(lab_api, SNAPSHOTS), seconds=20, what="the API of snapshots does not go")


def _served(lab_api: LabApi, path: str) -> bool:
    # A definition that was just made answers with 429 until its storage is there.
    try:
        return lab_api.find(path) is not None
    except ApiError:
        return False


@pytest.fixture
def driver(lab_api: LabApi) -> Iterator[list[JSON]]:
    """Makes every snapshot ready, as a driver would; the statuses that it gives, in order, may be changed."""
    statuses: list[JSON] = [{"readyToUse": True, "creationTime": "2026-11-24T08:00:00Z"}]
    over = threading.Event()

    def drive() -> None:
        while not over.wait(0.05):
            for one in lab_api.items(SNAPSHOTS):
                if one.get("status") != statuses[-1]:
                    lab_api.patch(f"{SNAPSHOTS}/{one['metadata']['name']}/status", {"status": statuses[-1]})

    thread = threading.Thread(target=drive, daemon=True)
    thread.start()
    yield statuses
    over.set()
    thread.join(10)
    for one in lab_api.items(SNAPSHOTS):
        lab_api.delete(f"{SNAPSHOTS}/{one['metadata']['name']}")


def _with(settings: Settings, **metrics: str) -> Settings:
    recovery = settings.recovery.model_dump(exclude={"metrics"}) | {"metrics": metrics}
    return settings.model_copy(update={"recovery": type(settings.recovery).model_validate(recovery)})


@pytest.mark.usefixtures("snapshots")
def test_a_snapshot_is_of_the_moment_that_the_driver_tells(api: Api, driver: list[JSON]) -> None:
    assert volume_snapshots.usable_class(api, "runai-backend", CLAIM, "") == "fast"
    taken = volume_snapshots.take(api, "runai-backend", CLAIM, "fast", seconds=20)
    assert taken.taken.isoformat() == "2026-11-24T08:00:00+00:00"
    assert taken.where.startswith("VolumeSnapshot runai-backend/downtime-")


@pytest.mark.usefixtures("snapshots")
def test_a_snapshot_that_fails_is_told_in_the_drivers_words_and_leaves_nothing(
    api: Api, driver: list[JSON], lab_api: LabApi
) -> None:
    driver.append({"readyToUse": False, "error": {"message": "the array is full"}})
    with pytest.raises(Failed, match="the array is full"):
        volume_snapshots.take(api, "runai-backend", CLAIM, "fast", seconds=2)
    assert lab_api.items(SNAPSHOTS) == []


@pytest.mark.usefixtures("snapshots")
def test_only_own_snapshots_that_are_old_and_too_many_are_deleted(
    api: Api, driver: list[JSON], lab_api: LabApi, settings: Settings
) -> None:
    """A set that is kept may name any of the others."""
    for _ in range(3):
        volume_snapshots.take(api, "runai-backend", CLAIM, "fast", seconds=20)
    body = {"apiVersion": f"{volume_snapshots.GROUP}/v1", "kind": "VolumeSnapshot"}
    foreign = {**body, "metadata": {"name": "somebody-elses"}, "spec": {}}
    lab_api.create(SNAPSHOTS, foreign)
    kept = settings.recovery.model_copy(update={"keep_sets": 1, "keep_days": 1})
    volume_snapshots.prune(api, "runai-backend", CLAIM, kept)
    assert len(lab_api.items(SNAPSHOTS)) == 4
    old = settings.recovery.model_copy(update={"keep_sets": 2, "keep_days": 0})
    volume_snapshots.prune(api, "runai-backend", CLAIM, old)
    left = {one["metadata"]["name"] for one in lab_api.items(SNAPSHOTS)}
    assert len(left) == 3
    assert "somebody-elses" in left


@pytest.mark.usefixtures("snapshots")
def test_a_local_volume_is_streamed_although_the_cluster_knows_snapshots(api: Api, settings: Settings) -> None:
    found, warnings = metrics_volume.sources(api, _with(settings, how="auto"), "runai-backend")
    assert [type(one) for one in found] == [FileSource]
    assert warnings == []


def test_a_snapshot_that_is_asked_for_and_impossible_is_refused(api: Api, settings: Settings) -> None:
    with pytest.raises(Misused, match="No VolumeSnapshot can be made"):
        metrics_volume.sources(api, _with(settings, how="snapshot"), "runai-backend")


def test_an_external_backup_is_declared_with_the_time_that_its_command_prints(api: Api, settings: Settings) -> None:
    metrics: Any = {"how": "external", "where": "the array", "taken": ["echo", "2026-11-24T03:00:00Z"]}
    found, _ = metrics_volume.sources(api, _with(settings, **metrics), "runai-backend")
    assert isinstance(found[0], DeclaredSource)
    assert found[0].external.taken.hour == 3
