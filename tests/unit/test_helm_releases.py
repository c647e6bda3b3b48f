"""Helm's releases as Helm keeps them, and what a damaged one becomes."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from cluster import database_server, helm_releases
from cluster.errors import Blocked
from cluster.helm_releases import Release


def secret(document: object, *, gzipped: bool = True) -> dict[str, Any]:
    text = json.dumps(document).encode()
    packed = base64.b64encode(gzip.compress(text) if gzipped else text)
    return {"data": {"release": base64.b64encode(packed).decode()}}


def release(values: dict[str, Any], defaults: dict[str, Any] | None = None) -> Release:
    return Release(
        "runai-backend", "runai-backend", 2, "deployed", "the-secret", "chart", "1", "1", values, defaults or {}
    )


class NoSecrets:
    """A cluster in which no Secret exists."""

    def get(self, path: str) -> None:
        return None


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_release_is_read_gzipped_or_as_old_ones_are(gzipped: bool) -> None:
    assert helm_releases.decoded(secret({"name": "x"}, gzipped=gzipped), "it") == {"name": "x"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {"release": "%%%"}},
        {"data": {"release": base64.b64encode(base64.b64encode(b"\x1f\x8b\x08 cut off")).decode()}},
        {"data": {"release": base64.b64encode(base64.b64encode(gzip.compress(b'{"a": 1}')[:-12])).decode()}},
        secret(["a", "list"]),
    ],
)
def test_a_damaged_release_is_named_and_no_traceback(body: dict[str, Any]) -> None:
    with pytest.raises(Blocked) as raised:
        helm_releases.decoded(body, "the Secret a/b")
    assert raised.value.code == "helm-release-damaged"
    assert "the Secret a/b" in raised.value.message


def test_a_release_that_unpacks_to_more_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm_releases, "_LARGEST", 1000)
    with pytest.raises(Blocked):
        helm_releases.decoded(secret({"a": "x" * 2000}), "it")


def test_the_administrators_word_goes_before_the_charts() -> None:
    both = release({"a": {"b": False}}, {"a": {"b": True, "c": 1}})
    assert both.value("a.b") is False
    assert both.value("a.c") == 1
    assert both.value("a.b.c.d") is None


def test_a_release_shows_no_value_when_it_is_printed() -> None:
    assert "hush" not in repr(release({"password": "hush"}))


def test_secrets_among_the_values_are_known_and_names_of_secrets_are_none() -> None:
    """A name that was masked could not be told to the person who must correct it."""
    values = {
        "global": {"postgresql": {"auth": {"postgresPassword": "hush-1", "existingSecret": "its-secret"}}},
        "tls": {"secretName": "the-certificate", "tlsSecret": "another"},
        "oidc": {"clientSecret": "hush-2", "tokenUrl": "https://idp.internal/token"},
        "s3": [{"accessKey": "hush-3", "secretKey": "hush-4"}],
        "auth": {"secretKeys": {"adminPasswordKey": "postgres-password"}},
        "imagePullSecrets": ["registry-credentials"],
        "domain": "runai.internal",
    }
    assert sorted(helm_releases.secrets(values)) == ["hush-1", "hush-2", "hush-3", "hush-4"]


def test_an_external_server_without_a_host_is_refused() -> None:
    with pytest.raises(Blocked) as raised:
        database_server.find(NoSecrets(), release({"postgresql": {"enabled": False}}))  # type: ignore[arg-type]
    assert raised.value.code == "no-database-host"


def test_a_secret_that_is_named_and_missing_is_said_by_its_name() -> None:
    auth = {"host": "db", "existingSecret": "not-there"}
    values = {"postgresql": {"enabled": False}, "global": {"postgresql": {"auth": auth}}}
    with pytest.raises(Blocked) as raised:
        database_server.find(NoSecrets(), release(values))  # type: ignore[arg-type]
    assert raised.value.code == "no-database-password"
    assert "runai-backend/not-there" in raised.value.message


def test_the_password_of_an_external_server_is_masked_from_then_on() -> None:
    from cluster.reach import MASKER

    auth = {"host": "db", "username": "runai", "password": "hush-hush-hush", "port": "6432"}
    values = {"postgresql": {"enabled": False}, "global": {"postgresql": {"auth": auth}}}
    found = database_server.find(NoSecrets(), release(values))  # type: ignore[arg-type]
    assert (found.host, found.port, found.login.user) == ("db", 6432, "runai")
    assert "hush" not in MASKER.mask("it is hush-hush-hush")
    assert "hush" not in repr(found)
