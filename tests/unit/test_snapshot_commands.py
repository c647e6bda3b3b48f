"""Metrics that lie in a snapshot of the storage are brought back in a cluster that never had the snapshot's object."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster.snapshot_commands import from_snapshot
from tests.command_line import environment

WHERE = "VolumeSnapshot runai-backend/metrics-1, driver csi.array.example, handle vol 7'; touch owned; '"
CLAIM, SPACE = "data-thanos-0", "runai-backend"
_KUBECTL = """#!/bin/bash
case "$1" in
  apply) cat >> "$APPLIED" ;;
  get) printf '20Gi' ;;
esac
"""


@pytest.mark.parametrize("where", ["", "nightly snapshot of the array", "VolumeSnapshot a/b", f"{WHERE}\nrm -rf /"])
def test_without_driver_and_handle_there_is_nothing_to_run(where: str) -> None:
    assert from_snapshot(where, CLAIM, SPACE) == []


def test_commands_name_driver_and_handle_and_run_nothing_that_stands_in_them(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text(_KUBECTL)
    (tmp_path / "kubectl").chmod(0o755)
    variables = environment(tmp_path)
    variables |= {"PATH": f"{tmp_path}:{variables['PATH']}", "APPLIED": str(tmp_path / "applied")}
    script = "\n".join(["set -euo pipefail", *from_snapshot(WHERE, CLAIM, SPACE)])
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=variables, check=True, timeout=30)
    assert not (tmp_path / "owned").exists()
    content, snapshot, claim = _documents((tmp_path / "applied").read_text())
    assert content["spec"]["driver"] == "csi.array.example"
    assert content["spec"]["source"]["snapshotHandle"] == "vol 7'; touch owned; '"
    assert content["spec"]["deletionPolicy"] == "Retain"
    assert snapshot["spec"]["source"]["volumeSnapshotContentName"] == content["metadata"]["name"]
    assert content["spec"]["volumeSnapshotRef"] == snapshot["metadata"]
    assert claim["metadata"]["name"] == CLAIM
    assert claim["spec"]["dataSource"]["name"] == snapshot["metadata"]["name"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"


def _documents(text: str) -> list[dict[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    found: list[dict[str, Any]] = []
    while at < len(text):
        one, end = decoder.raw_decode(text, at)
        found.append(one)
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found
