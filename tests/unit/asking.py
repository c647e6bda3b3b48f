"""Asks the recovery gate about a store, as a run or a plan does, and checks what holds for every answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cluster.backups import Store
from cluster.gate import Depth, GateSettings, Verdict, check
from tests.unit.backup_sets import NOW, UID

SETTINGS = GateSettings(cluster_uid=UID, allow_plaintext=True)


def ask(store: Path | str | Store | None, depth: Depth = "checksums", **more: Any) -> Verdict:
    if isinstance(store, Path | str):
        store = Store(str(store))
    verdict = check(store, **{"self_hosted": True, "settings": SETTINGS, "depth": depth, "clock": lambda: NOW, **more})
    assert verdict.judged_at == NOW
    for line in verdict.failed:
        assert line.remedy, f"no remedy: {line}"
        assert line.remedy in verdict.remedy()
    assert verdict.blocks == (verdict.verdict == "blocked")
    return verdict


def blocked(store: Path | str | Store | None, says: str, depth: Depth = "checksums", **more: Any) -> Verdict:
    verdict = ask(store, depth, **more)
    assert verdict.verdict == "blocked", verdict.lines
    assert any(says in f"{line.check}: {line.reason}" for line in verdict.failed), verdict.failed
    return verdict
