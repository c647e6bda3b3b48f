"""Reads Helm releases from the cluster, without Helm: which chart was installed, in which version, with which values.

Helm 3 keeps each revision of a release in a Secret of the release's namespace: type ``helm.sh/release.v1``, labels
``owner=helm``, ``name``, ``status``, ``version``; the document is JSON, gzipped, in base64, and the API adds a base64
of its own. https://github.com/helm/helm/blob/v3.16.0/pkg/storage/driver/secrets.go and util.go beside it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.api import Api, Object
from cluster.errors import Blocked
from cluster.reach import MASKER

SECRET_TYPE = "helm.sh/release.v1"  # noqa: S105 - a type, not a secret
_GZIP = b"\x1f\x8b\x08"
# A Secret is at most 1 MiB; gzip makes some ten times as much of it. A bomb must not fill the memory.
_LARGEST = 256 << 20
_SECRET_KEY = re.compile(r"secret|passw|passphrase|token|credential|private|(account|access|api)_?key", re.IGNORECASE)
# The name of a Secret, or of a key in one, is none itself: masked, no message could name it any more.
_NAME_OF_SECRET = re.compile(
    r"^existing|^tls|pull_?secrets?$|password_?key$|(name|names|ref|url|uri|path|file|enabled|namespace|type|class)$",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Release:
    """One revision of a Helm release.

    Attributes:
        secret: the name of the Secret that it was read from.
        values: what the administrator gave, as ``helm get values`` prints it. Holds passwords.
        defaults: the chart's own values, without those of its subcharts.
    """

    name: str
    namespace: str
    revision: int
    status: str
    secret: str
    chart: str
    version: str
    app_version: str
    values: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Release({self.namespace}/{self.name} revision {self.revision})"

    def value(self, path: str) -> Any:
        """What holds at a path like ``postgresql.enabled``: the administrator's word, else the chart's; else None."""
        for values in (self.values, self.defaults):
            found: Any = values
            for key in path.split("."):
                found = found.get(key) if isinstance(found, Mapping) else None
            if found is not None:
                return found
        return None


def newest(api: Api, namespace: str, name: str) -> Release:
    """The revision that is deployed, the newest of them; where none is, the newest of all (its status tells).

    The secrets among its values are registered with the masker.

    Raises:
        Blocked: ``no-helm-release``, ``helm-release-damaged``, ``forbidden``.
    """
    path = f"/api/v1/namespaces/{namespace}/secrets"
    # Releases are large: only their labels decide which one is read whole.
    found = sorted(_revisions(api, path, name))
    if not found:
        raise Blocked(
            "no-helm-release",
            f"There is no Helm release {name} in namespace {namespace}",
            f"See 'helm list -n {namespace}': which release is it that Run:ai was installed with?",
        )
    deployed = [one for one in found if one[1] == "deployed"]
    revision, status, secret = (deployed or found)[-1]
    body = api.get(f"{path}/{secret}")
    if body is None:
        raise Blocked("no-helm-release", f"The Secret {namespace}/{secret} is gone", "Run the same command again.")
    where = f"the Secret {namespace}/{secret}"
    release = _read(decoded(body, where), where, namespace, name, revision, status, secret)
    for text in secrets(release.values):
        MASKER.register(text)
    return release


def _revisions(api: Api, path: str, name: str) -> Iterator[tuple[int, str, str]]:
    for one in api.iterate(path, labels=f"owner=helm,name={name}", fields=f"type={SECRET_TYPE}"):
        labels = one["metadata"].get("labels") or {}
        number = str(labels.get("version", ""))
        if number.isdigit():
            yield int(number), str(labels.get("status", "")), str(one["metadata"]["name"])


def decoded(secret: Object, where: str) -> dict[str, Any]:
    """The document in a release's Secret.

    Raises:
        Blocked: ``helm-release-damaged``.
    """
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {})["release"]))
        document = json.loads(_unpacked(packed) if packed.startswith(_GZIP) else packed)
    except (KeyError, ValueError, TypeError, binascii.Error, zlib.error, RecursionError) as error:
        raise _damaged(where, type(error).__name__) from None
    if not isinstance(document, dict):
        raise _damaged(where, "it is no object")
    return document


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    text = unpacking.decompress(packed, _LARGEST)
    if not unpacking.eof:
        raise ValueError("it is cut off, or too large")
    return text


def _read(
    document: Mapping[str, Any], where: str, namespace: str, name: str, revision: int, status: str, secret: str
) -> Release:
    chart = document.get("chart")
    metadata = chart.get("metadata") if isinstance(chart, dict) else None
    # Helm writes null for a release that was installed with no values of one's own.
    values, defaults = document.get("config") or {}, (chart or {}).get("values") or {}
    if not isinstance(metadata, dict) or not isinstance(values, dict) or not isinstance(defaults, dict):
        raise _damaged(where, "it holds no chart, or no values")
    return Release(
        name=name,
        namespace=namespace,
        revision=revision,
        status=status,
        secret=secret,
        chart=str(metadata.get("name", "")),
        version=str(metadata.get("version", "")),
        app_version=str(metadata.get("appVersion", "")),
        values=values,
        defaults=defaults,
    )


def secrets(values: Any, key: str = "") -> Iterator[str]:
    """What of the values is secret, by the names of their keys. Pure."""
    if isinstance(values, Mapping):
        for inner, value in values.items():
            yield from secrets(value, str(inner))
    elif isinstance(values, list):
        for value in values:
            yield from secrets(value, key)
    elif isinstance(values, str) and len(values) >= _SHORTEST_SECRET and _is_secret(key):
        yield values


def _is_secret(key: str) -> bool:
    return bool(_SECRET_KEY.search(key)) and not _NAME_OF_SECRET.search(key)


def _damaged(where: str, why: str) -> Blocked:
    return Blocked(
        "helm-release-damaged",
        f"{where} cannot be read as a Helm 3 release: {why}",
        "See 'helm get values' of that release; a newer Helm may keep its releases in another way.",
    )
