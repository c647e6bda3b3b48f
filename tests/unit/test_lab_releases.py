"""Helm's releases in the lab are what Helm 3 would have written."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from lab.runai import releases


def _decoded(secret: dict[str, Any]) -> dict[str, Any]:
    """As Helm's own driver does it, after Kubernetes' base64 was taken off."""
    inner = base64.b64decode(secret["data"]["release"])
    document = json.loads(gzip.decompress(base64.b64decode(inner)))
    assert isinstance(document, dict)
    return document


def test_the_secrets_are_of_helms_kind_name_and_encoding() -> None:
    found = [one for one in releases.secrets("hunter2", saas=False) if one["type"] == "helm.sh/release.v1"]
    names = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found]
    assert names == [
        ("runai", "sh.helm.release.v1.runai-cluster.v1"),
        ("runai-backend", "sh.helm.release.v1.runai-backend.v1"),
        ("runai-backend", "sh.helm.release.v1.runai-backend.v2"),
    ]
    for secret in found:
        document, labels = _decoded(secret), secret["metadata"]["labels"]
        assert labels["owner"] == "helm"
        assert labels["name"] == document["name"]
        assert labels["status"] == document["info"]["status"]
        assert labels["version"] == str(document["version"])
        assert document["chart"]["metadata"]["version"].startswith("2.")


def test_the_newest_revision_holds_the_password_and_no_secret_shows_it_in_the_clear() -> None:
    secrets = releases.secrets("hunter2", saas=False)
    newest = _decoded(next(one for one in secrets if one["metadata"]["name"].endswith("runai-backend.v2")))
    assert newest["info"]["status"] == "deployed"
    assert newest["config"]["global"]["postgresql"]["auth"]["postgresPassword"] == "hunter2"
    assert "hunter2" not in json.dumps([one for one in secrets if "data" in one])


def test_a_cluster_without_its_own_control_plane_has_no_release_of_one() -> None:
    (only,) = releases.secrets("", saas=True)
    assert _decoded(only)["name"] == "runai-cluster"
