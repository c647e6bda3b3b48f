"""The session with the API server: whom it trusts, and that the client's key stays in memory."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

import pytest
import yaml

from cluster.api import connect
from cluster.config import ClusterSettings
from cluster.errors import Blocked
from lab.layout import Lab
from lab.pki import Authority


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty and this test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def settings(kubeconfig: Path) -> ClusterSettings:
    return ClusterSettings(uid="u", kubeconfig=kubeconfig)


def test_a_killed_run_leaves_no_copy_of_the_key_because_there_is_none(lab: Lab, temporary: Path) -> None:
    """Two sessions of one process, as a served flow has them: the second must not miss what the first removed."""
    sessions = [connect(settings(lab.kubeconfig), patience=0) for _ in range(2)]
    assert list(temporary.iterdir()) == []
    for api in sessions:
        assert api.ready()
        assert api.get("/api/v1/namespaces/kube-system") is not None


def test_api_server_of_another_authority_is_not_believed(lab: Lab, tmp_path: Path, temporary: Path) -> None:
    document = yaml.safe_load(lab.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(
        Authority().certificate.encode()
    ).decode()
    other = tmp_path / "kubeconfig"
    other.write_text(yaml.safe_dump(document))
    with pytest.raises(Blocked) as raised:
        connect(settings(other), patience=0).ready()
    assert raised.value.code == "api-certificate"
    assert list(temporary.iterdir()) == []
