"""Hazard: the set cannot be fetched by the printed plan, or the plan shows a credential."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.fetching_commands import fetch
from cluster.secret_refs import SecretRef


def test_a_compatible_store_is_asked_at_its_own_endpoint() -> None:
    options = {
        "key": SecretRef(env="STORE_KEY"),
        "client_kwargs": {"endpoint_url": "https://u:pw@minio.local:9000", "region_name": "x"},
    }
    text = "\n".join(fetch("s3://bucket/prefix", "SETID", options))
    assert "aws --endpoint-url 'https://***@minio.local:9000' s3 cp --recursive s3://bucket/prefix/SETID" in text
    assert "AWS_SECRET_ACCESS_KEY" in text
    assert "storage_options: key." in text
    assert "pw" not in text
    assert "--endpoint-url https://minio" in "\n".join(fetch("s3://b", "S", {"endpoint_url": "https://minio"}))


def test_the_user_of_a_url_is_a_variable_and_no_secret_is_shown() -> None:
    options = {"password": "never-shown", "host": "h", "port": 22}
    text = "\n".join(fetch("sftp://ops:s3cret@backup.local/srv", "SETID", options))
    assert "export STORE_USER=USER" in text
    assert "sftp://USER@backup.local/srv/SETID" in text
    assert "password" in text
    assert not [word for word in ("ops", "s3cret", "never-shown", "***") if word in text.replace("options", "")]


@pytest.mark.parametrize("folder", ["a", "with blank"])
def test_the_printed_program_fetches_a_set(tmp_path: Path, folder: str) -> None:
    """Run against a URL that fsspec opens without a server."""
    files = tmp_path / folder / "S"
    (files / "helm").mkdir(parents=True)
    (files / "manifest.json").write_text("{}")
    (files / "helm" / "x.json").write_text(json.dumps(1))
    commands = "\n".join(fetch(f"dir:/{tmp_path / folder}", "S")).replace("dir://", "file:///")
    done = subprocess.run(
        ["bash", "-c", f"set -eu\n{commands}"],
        env={"WORK": str(tmp_path / "work"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work" / "S" / "helm" / "x.json").read_text() == "1"
    assert (tmp_path / "work" / "S" / "manifest.json").exists()
