"""What Helm leaves of its releases: a Secret for each revision, in Helm 3's own encoding; no helm is needed to make it.

The document is gzipped, that is written in base64 by Helm, and that again by Kubernetes, as in every Secret's data.
Source: Helm's pkg/release and pkg/storage/driver. ``config`` holds the administrator's values, ``chart.values`` the
chart's defaults; ``helm get values --all`` shows the first laid over the second.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.runai.definitions import BACKEND

JSON = dict[str, Any]
DOMAIN = "runai.lab.internal"
PASSWORD_SECRET, PASSWORD_KEY = "runai-backend-postgresql", "postgres-password"
_DEFAULTS: Mapping[str, Any] = {
    "global": {
        "domain": "",
        "postgresql": {"auth": {"host": "runai-backend-postgresql", "port": 5432, "username": "postgres"}},
    },
    "postgresql": {"enabled": True, "primary": {"persistence": {"size": "8Gi"}}},
    "thanos": {"receive": {"persistence": {"size": "50Gi"}}},
}


@dataclass(frozen=True)
class Revision:
    """One revision of a release, as ``helm history`` shows it."""

    name: str
    namespace: str
    chart: str
    version: str
    number: int
    status: str
    values: Mapping[str, Any]
    defaults: Mapping[str, Any]


def secrets(password: str, saas: bool) -> list[JSON]:
    """The Secrets of both releases, and the one of the database that the chart makes; ``password`` is postgres's."""
    cluster_values = {
        "controlPlane": {"url": f"https://{DOMAIN}"},
        "cluster": {"uid": "lab", "url": f"https://{DOMAIN}"},
    }
    cluster = Revision("runai-cluster", "runai", "runai-cluster", "2.20.22", 1, "deployed", cluster_values, {})
    if saas:
        return [release_secret(cluster)]
    first = {"global": {"domain": DOMAIN}}
    auth = {"postgresql": {"auth": {"postgresPassword": password}}}
    second = {"global": {"domain": DOMAIN, **auth}, "tenantsManager": {"config": {"adminUsername": f"admin@{DOMAIN}"}}}
    chart = "control-plane"
    return [
        release_secret(cluster),
        release_secret(Revision(BACKEND, BACKEND, chart, "2.19.40", 1, "superseded", first | auth, _DEFAULTS)),
        release_secret(Revision(BACKEND, BACKEND, chart, "2.20.22", 2, "deployed", second, _DEFAULTS)),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": PASSWORD_SECRET, "namespace": BACKEND},
            "type": "Opaque",
            "stringData": {PASSWORD_KEY: password},
        },
    ]


def release_secret(revision: Revision) -> JSON:
    """The Secret in which Helm keeps this revision."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"sh.helm.release.v1.{revision.name}.v{revision.number}",
            "namespace": revision.namespace,
            "labels": {
                "name": revision.name,
                "owner": "helm",
                "status": revision.status,
                "version": str(revision.number),
                "modifiedAt": "1767225600",
            },
        },
        "type": "helm.sh/release.v1",
        "data": {"release": _encoded(_document(revision))},
    }


def _encoded(document: JSON) -> str:
    packed = gzip.compress(json.dumps(document).encode(), mtime=0)
    return base64.b64encode(base64.b64encode(packed)).decode()


def _document(revision: Revision) -> JSON:
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-settings}\n"
    return {
        "name": revision.name,
        "namespace": revision.namespace,
        "version": revision.number,
        "info": {
            "first_deployed": "2026-01-01T00:00:00Z",
            "last_deployed": f"2026-0{revision.number}-01T00:00:00Z",
            "deleted": "",
            "description": "Install complete" if revision.number == 1 else "Upgrade complete",
            "status": revision.status,
            "notes": "",
        },
        "chart": {
            "metadata": {
                "name": revision.chart,
                "version": revision.version,
                "apiVersion": "v2",
                "appVersion": revision.version,
                "type": "application",
            },
            "lock": None,
            "templates": [{"name": "templates/settings.yaml", "data": base64.b64encode(template.encode()).decode()}],
            "values": dict(revision.defaults),
            "schema": None,
            "files": [],
        },
        "config": dict(revision.values),
        "manifest": f"---\n# Source: {revision.chart}/templates/settings.yaml\n",
    }
