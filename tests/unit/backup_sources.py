"""Sources of parts for tests of what is written: small ones that make a set which the gate accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cluster.manifest import External
from cluster.part_source import DeclaredSource, FileSource, Gathered, Produced, Sink
from tests.unit.backup_sets import FILES, RUNAICONFIG

DUMP = FILES["postgresql/backend.dump"]


def of_bytes(kind: str, name: str, path: str, *chunks: bytes, **told: Any) -> FileSource:
    """A file with this content."""

    def produce(sink: Sink) -> Produced:
        for chunk in chunks:
            sink.write(chunk)
        return Produced(**told)

    return FileSource(kind, name, path, produce)


def of_work(kind: str, name: str, path: str, work: Callable[[Sink], None]) -> FileSource:
    """A file that is written by ``work``."""

    def produce(sink: Sink) -> Produced:
        work(sink)
        return Produced()

    return FileSource(kind, name, path, produce)


def whole(*more: FileSource, dump: FileSource | None = None) -> Gathered:
    """All that the gate asks for, and perhaps more."""
    now = datetime.now(UTC)
    backend = dump or of_bytes("database", "backend", "postgresql/backend.dump", DUMP, began=now, entries=3)
    sources: tuple[FileSource | DeclaredSource, ...] = (
        of_bytes("runaiconfig", "runai", "runaiconfig.json", json.dumps(RUNAICONFIG).encode(), objects=1),
        of_bytes("helm-values", "runai-backend", "helm/runai-backend.json", b'{"global": {}}'),
        of_bytes("helm-values", "runai-cluster", "helm/runai-cluster.json", b'{"cluster": {}}'),
        backend,
        DeclaredSource("metrics", "thanos", External(where="array snapshot", taken=now)),
        *more,
    )
    return Gathered(sources, {"kubernetes": "v1.34.4"}, ())
