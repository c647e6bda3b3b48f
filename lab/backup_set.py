"""Writes backup sets as the product expects them, complete and fresh, or with one thing wrong with them.

A set is a folder of part files and, written last, ``manifest.json`` (schema 1): a set without one was interrupted.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lab.dump_file import dump

STAMP = "%Y-%m-%dT%H:%M:%SZ"
PARTS: Mapping[str, tuple[str, str]] = {
    "runaiconfig.json": ("runaiconfig", "runai"),
    "postgresql/backend.dump": ("database", "backend"),
    "helm/runai-backend.json": ("helm-values", "runai-backend"),
    "helm/runai-cluster.json": ("helm-values", "runai-cluster"),
}
METRICS = "metrics"
RUNAICONFIG = {
    "apiVersion": "run.ai/v1",
    "kind": "RunaiConfig",
    "metadata": {"name": "runai", "namespace": "runai"},
    "spec": {"global": {"nodeAffinity": {"restrictScheduling": False}}},
}


def write(
    store: Path,
    cluster_uid: str,
    *,
    runaiconfig: Mapping[str, Any] = RUNAICONFIG,
    age: datetime.timedelta = datetime.timedelta(),
    missing: Collection[str] = (),
    lost: Collection[str] = (),
    damaged: Collection[str] = (),
    empty: Collection[str] = (),
    manifest: bool = True,
) -> Path:
    """Write one set and return its folder. Parts are named by their path in the set, or "metrics".

    ``age`` is how long ago its dumps began. What can be wrong with it: parts that the manifest does not list
    (``missing``), that it lists and are not there (``lost``), whose bytes are not those that it tells (``damaged``, of
    the same length), that are ``empty``; and no manifest at all (``manifest=False``).
    """
    began = datetime.datetime.now(datetime.UTC) - age
    finished = began + datetime.timedelta(seconds=2)
    folder = _new_folder(store, began)
    contents = _contents(runaiconfig)
    parts: list[dict[str, Any]] = []
    for path, (kind, name) in PARTS.items():
        if path in missing:
            continue
        data = b"" if path in empty else contents[path]
        parts.append({"kind": kind, "name": name, "path": path, "bytes": len(data), "sha256": _sha256(data)})
        if kind == "database":
            parts[-1]["began"] = began.strftime(STAMP)
        if path not in lost:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data[:-1] + bytes([data[-1] ^ 0xFF]) if path in damaged else data)
    if METRICS not in missing:
        external = {"where": "nightly snapshot of the storage array", "taken": began.strftime(STAMP)}
        parts.append({"kind": METRICS, "name": "thanos", "external": external})
    if manifest:
        document = {
            "schema": 1,
            "id": folder.name,
            "cluster_uid": cluster_uid,
            "began": began.strftime(STAMP),
            "finished": finished.strftime(STAMP),
            "by": "lab",
            "parts": parts,
        }
        (folder / "manifest.json").write_text(json.dumps(document, indent=2) + "\n")
    return folder


def _new_folder(store: Path, began: datetime.datetime) -> Path:
    """A set's name is its time in seconds; a second set of the same second gets the next free one."""
    while True:
        folder = store / began.strftime("%Y-%m-%dT%H-%M-%SZ")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            began += datetime.timedelta(seconds=1)
        else:
            return folder


def _contents(runaiconfig: Mapping[str, Any]) -> dict[str, bytes]:
    values = {"global": {"domain": "runai.lab.internal"}, "postgresql": {"enabled": True}}
    return {
        "runaiconfig.json": json.dumps(runaiconfig, indent=2).encode(),
        # A table of contents that pg_restore lists; the rest stands for the data.
        "postgresql/backend.dump": dump(padding=16_384),
        "helm/runai-backend.json": json.dumps(values, indent=2).encode(),
        "helm/runai-cluster.json": json.dumps({"controlPlane": {"url": "https://runai.lab.internal"}}).encode(),
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
