"""A set that was taken of a whole cluster is rehearsed: dumps restored, Run:ai's objects put before an API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyrage
import pytest

from cluster import backup, rehearsing
from cluster.errors import DowntimeError, Unreachable
from cluster.gathering import gather
from cluster.rehearsing import Asked, RehearsalReport
from cluster.verdict import Line
from lab.api import Api
from lab.layout import Lab
from tests.command_line import downtime
from tests.control_plane.backing_up import session, settings_of
from tests.unit.rehearsed_sets import Stored, copied

RUNAICONFIG = "/apis/run.ai/v1/namespaces/runai/runaiconfigs/runai"
_KEY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def whole(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """An encrypted set of the lab's cluster, all of it."""
    store = tmp_path_factory.mktemp("store")
    settings = settings_of(lab, store, recipients=[str(_KEY.to_public())], allow_plaintext=False)
    return Stored(store, backup.take(session(lab), settings, gather, by="a test").set)


@pytest.fixture(scope="module")
def clear(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The same in the clear, to be changed."""
    store = tmp_path_factory.mktemp("clear")
    return Stored(store, backup.take(session(lab), settings_of(lab, store), gather, by="a test").set)


def _rehearse(lab: Lab, store: Path, asked: Asked | None = None) -> RehearsalReport:
    return rehearsing.run(settings_of(lab, store), asked or Asked())


def _lines(report: RehearsalReport, check: str) -> list[Line]:
    return [line for line in report.lines if line.check == check]


def test_a_whole_set_is_rehearsed_by_the_command_and_the_cluster_is_as_before(
    lab: Lab, lab_api: Api, whole: Stored, tmp_path: Path
) -> None:
    key = tmp_path / "key.txt"
    key.write_text(str(_KEY))
    before = lab_api.get(RUNAICONFIG)["metadata"]["resourceVersion"]
    variables = {"DOWNTIME_RECOVERY__STORE": str(whole.store), "DOWNTIME_RECOVERY__IDENTITY__FILE": str(key)}
    ended = downtime(
        tmp_path, "rehearse-recovery", "--config", str(lab.config), "--output", "json", timeout=120, **variables
    )
    assert ended.code == 0, ended.out + ended.err
    levels = {line["check"]: line["level"] for line in ended.document["lines"]}
    assert levels["database/backend rows"] == levels["database/keycloak rows"] == "PASS"
    assert levels["runaiconfig/runai dry run"] == levels["resources/projects dry run"] == "PASS"
    assert levels["database-globals/globals"] == "PASS"
    assert lab_api.get(RUNAICONFIG)["metadata"]["resourceVersion"] == before
    (note,) = whole.notes()
    assert note["result"] == "PASS"


def test_an_object_that_a_server_would_refuse_fails(lab: Lab, clear: Stored, tmp_path: Path) -> None:
    stored = copied(clear, tmp_path)

    def spoil(document: dict[str, Any]) -> None:
        document["items"][0]["metadata"]["name"] = "Not A Name"

    _changed(stored, "resources", "projects", spoil)
    (line,) = _lines(_rehearse(lab, stored.store), "resources/projects dry run")
    assert line.level == "FAILED"
    assert "would refuse 1 of them: Project/Not A Name" in line.reason


def test_a_server_without_the_kind_or_the_namespace_cannot_judge(lab: Lab, clear: Stored, tmp_path: Path) -> None:
    """On a new cluster they come with Run:ai itself: that is no fault of the set."""
    stored = copied(clear, tmp_path)
    _changed(stored, "resources", "projects", lambda found: found["items"][0].update(kind="Unheard"))
    _changed(stored, "runaiconfig", "runai", lambda found: found["metadata"].update(namespace="not-there"))
    report = _rehearse(lab, stored.store)
    for check in ("resources/projects dry run", "runaiconfig/runai dry run"):
        assert "WARN" in [line.level for line in _lines(report, check)]
        assert "FAILED" not in [line.level for line in _lines(report, check)]


def test_an_api_server_that_is_gone_ends_only_a_rehearsal_that_named_it(
    lab: Lab, clear: Stored, tmp_path: Path
) -> None:
    stored = copied(clear, tmp_path)
    kubeconfig = tmp_path / "kubeconfig"
    server = session(lab).server
    kubeconfig.write_text(lab.kubeconfig.read_text().replace(server, "https://127.0.0.1:1"))
    with pytest.raises(Unreachable) as caught:
        _rehearse(lab, stored.store, Asked(api=kubeconfig))
    assert caught.value.exit_code == 3
    assert stored.notes() == []

    settings = settings_of(lab, stored.store)
    elsewhere = settings.cluster.model_copy(update={"kubeconfig": kubeconfig})
    report = rehearsing.run(settings.model_copy(update={"cluster": elsewhere}), Asked())
    assert report.passed, report.lines
    (line,) = _lines(report, "dry run")
    assert (line.level, "could not be asked" in line.reason) == ("WARN", True)


def test_a_key_in_a_secret_of_the_cluster_is_read_through_the_api(
    lab: Lab, lab_api: Api, whole: Stored, tmp_path: Path
) -> None:
    from cluster.secret_refs import SecretRef

    name = "rehearsal-key"
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"key": str(_KEY)}}
    lab_api.create("/api/v1/namespaces/default/secrets", body)
    stored = copied(whole, tmp_path)
    settings = settings_of(lab, stored.store, identity=SecretRef(secret=f"default/{name}", key="key"))
    assert rehearsing.run(settings, Asked()).passed
    missing = settings_of(lab, stored.store, identity=SecretRef(secret="default/none", key="key"))
    with pytest.raises(DowntimeError) as caught:
        rehearsing.run(missing, Asked())
    assert caught.value.code == "no-secret"


def _changed(stored: Stored, kind: str, name: str, change: Any) -> None:
    """Change a document of a set, and let the manifest say that it is right."""
    import hashlib

    file = stored.file(kind, name)
    document = json.loads(file.read_text())
    change(document)
    content = json.dumps(document).encode()
    file.write_bytes(content)
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def tell(part: dict[str, Any]) -> None:
        part.update(told)
        part["contents"].update(told)

    stored.change(kind, name, tell)
