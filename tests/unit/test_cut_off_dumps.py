"""Hazard: what was stored cut off, with a manifest that fits it, is found only when it has to be restored."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from cluster.gate import Tools
from tests.unit.asking import ask, blocked
from tests.unit.backup_sets import FILES, document, part, write
from tests.unit.running_postgres import PROGRAMS
from tests.unit.test_check_of_sets import BEGAN, DUMP, SET, line_of, sealed, with_key


@pytest.mark.parametrize("missing", [1, 200, 9_000])
def test_a_dump_that_was_stored_cut_off_blocks_though_its_checksum_is_right(tmp_path: Path, missing: int) -> None:
    """Its table of contents is whole, and lists all that was there: only its data tell."""
    content = FILES[DUMP][:-missing]
    files = {**FILES, DUMP: content}
    write(tmp_path, document(BEGAN, files), files)
    blocked(tmp_path, "was cut off: it ends within the rows of public.users")
    assert ask(tmp_path, "sizes").verdict == "passed", "a plan reads no file back"
    shutil.rmtree(tmp_path / SET)
    sealed(tmp_path, clear={DUMP: content})
    blocked(tmp_path, "was cut off: it ends within the rows of public.users", tools=with_key())


def test_an_encrypted_file_that_was_stored_cut_off_blocks_without_a_key_though_its_checksum_is_right(
    tmp_path: Path,
) -> None:
    folder = sealed(tmp_path)
    document_ = json.loads((folder / "manifest.json").read_text())
    for title, kind in (("database/backend", "database"), ("helm-values/runai-backend", "helm-values")):
        found = part(document_, kind)
        content = (folder / found["path"]).read_bytes()[:-7]
        (folder / found["path"]).write_bytes(content)
        found.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        (folder / "manifest.json").write_text(json.dumps(document_))
        blocked(tmp_path, f"{title} was not stored whole: it has {len(content)} bytes")
        sealed(tmp_path)
        document_ = json.loads((folder / "manifest.json").read_text())
    assert ask(tmp_path).verdict == "passed"


def test_without_pg_restore_a_dump_that_was_cut_off_blocks_all_the_same(tmp_path: Path) -> None:
    sealed(tmp_path, clear={DUMP: FILES[DUMP][:-100]})
    blocked(tmp_path, "was cut off", tools=Tools(with_key().identities, tmp_path / "no-programs"))


def test_the_check_takes_pg_restore_from_where_rehearsals_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian keeps versions beside each other: what stands in PATH may be none, or an old one."""
    monkeypatch.setattr("cluster.postgres_programs.PLACES", ())
    with tempfile.TemporaryDirectory(prefix="downtime-programs-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        (folder / "pg_restore").symlink_to(PROGRAMS / "pg_restore")
        broken = tmp_path / "bin"
        broken.mkdir()
        (broken / "pg_restore").write_text("#!/bin/sh\necho 'pg_restore (PostgreSQL) 9.6.1'\nexit 1\n")
        (broken / "pg_restore").chmod(0o755)
        monkeypatch.setenv("PATH", f"{broken}:{os.environ['PATH']}")
        sealed(tmp_path)
        told = line_of(ask(tmp_path, tools=Tools(with_key().identities, folder)), "contents").reason
        assert "4 tables" in told
        assert "as noted" in line_of(ask(tmp_path, tools=with_key()), "contents").reason, "9.6 is too old"
