"""Backup sets for tests: whole and good ones, which the tests then damage."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.dump_file import dump

UID = "3f0c1a52-6f0e-4a3c-9d5b-0d6f6a6f2c11"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

RUNAICONFIG = {
    "apiVersion": "run.ai/v1",
    "kind": "RunaiConfig",
    "metadata": {"name": "runai", "namespace": "runai"},
    "spec": {"global": {}},
}
FILES = {
    "runaiconfig.json": json.dumps(RUNAICONFIG).encode(),
    "postgresql/backend.dump": dump(padding=10_000),
    "helm/runai-backend.json": b'{"global": {}}',
    "helm/runai-cluster.json": b'{"cluster": {}}',
}
KINDS = {
    "runaiconfig.json": ("runaiconfig", "runai"),
    "postgresql/backend.dump": ("database", "backend"),
    "helm/runai-backend.json": ("helm-values", "runai-backend"),
    "helm/runai-cluster.json": ("helm-values", "runai-cluster"),
}


def stamp(moment: datetime) -> str:
    """The moment as manifests write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def id_of(moment: datetime) -> str:
    """The id of a set that was begun then."""
    return moment.strftime("%Y-%m-%dT%H-%M-%SZ")


def document(began: datetime, files: dict[str, bytes] | None = None, **changes: Any) -> dict[str, Any]:
    """A good manifest of a set that began then."""
    held = FILES if files is None else files
    parts: list[dict[str, Any]] = [
        {
            "kind": KINDS[path][0],
            "name": KINDS[path][1],
            "path": path,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for path, content in held.items()
    ]
    taken = stamp(began - timedelta(minutes=30))
    parts.append({"kind": "metrics", "name": "thanos", "external": {"where": "array snapshot", "taken": taken}})
    return {
        "schema": 1,
        "id": id_of(began),
        "cluster_uid": UID,
        "began": stamp(began),
        "finished": stamp(began + timedelta(minutes=5)),
        "by": "test",
        "parts": parts,
        **changes,
    }


def part(manifest: dict[str, Any], kind: str, name: str | None = None) -> dict[str, Any]:
    """The part of that kind (and name), to be changed."""
    found: dict[str, Any] = next(
        each for each in manifest["parts"] if each["kind"] == kind and name in (None, each["name"])
    )
    return found


def write(
    store: Path, manifest: dict[str, Any] | None, files: dict[str, bytes] | None = None, name: str | None = None
) -> Path:
    """The set's folder in the store; no manifest: a half-taken one, which needs a name."""
    folder = store / (name or (manifest or {})["id"])
    for path, content in (FILES if files is None else files).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if manifest is not None:
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
