"""``downtime check-recovery`` about sets that ``downtime backup`` takes of a real database, and its deployment."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from cluster.rehearsal_note import RehearsalNote, file_name
from cluster.verdict import Line
from lab.layout import Lab
from tests.command_line import Ended
from tests.control_plane.commands import command
from tests.prefect_runs import Runs

pytestmark = pytest.mark.timeout(240)
IDENTITY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def store(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one set, taken by the command and encrypted."""
    folder = tmp_path_factory.mktemp("store")
    taken = command(lab, folder.parent, "backup", "--output", "json", **_variables(folder))
    assert taken.code == 0, taken.err or taken.out
    return folder


def _variables(store: Path, **more: str) -> Any:
    return {
        "DOWNTIME_RECOVERY__STORE": str(store),
        "DOWNTIME_RECOVERY__RECIPIENTS": json.dumps([str(IDENTITY.to_public())]),
        **more,
    }


def check(lab: Lab, folder: Path, store: Path, *words: str, **more: str) -> Ended:
    return command(lab, folder, "check-recovery", *words, "--output", "json", **_variables(store, **more))


def _set_of(store: Path) -> Path:
    (found,) = store.iterdir()
    return found


def _reasons(ended: Ended, check_: str) -> list[str]:
    return [f"{line['level']} {line['reason']}" for line in ended.document["lines"] if line["check"] == check_]


def test_an_encrypted_set_passes_without_a_key_by_what_was_noted(lab: Lab, store: Path, tmp_path: Path) -> None:
    ended = check(lab, tmp_path, store)
    assert ended.code == 0, ended.out
    assert (ended.document["verdict"], ended.document["set"]) == ("passed", _set_of(store).name)
    assert {line["level"] for line in ended.document["lines"]} == {"PASS"}
    dumps = _reasons(ended, "contents")
    assert [text.split(":")[0] for text in dumps] == ["PASS database/backend", "PASS database/keycloak"]
    assert all("as noted" in text and "PostgreSQL 15." in text for text in dumps)


def test_with_a_key_the_dumps_of_the_real_database_are_looked_into(lab: Lab, store: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.txt"
    key.write_text(f"# made for a test\n{IDENTITY}\n")
    ended = check(lab, tmp_path, store, DOWNTIME_RECOVERY__IDENTITY=json.dumps({"file": str(key)}))
    assert ended.code == 0, ended.out
    assert all("tables" in text and "as noted" not in text for text in _reasons(ended, "contents"))
    key.unlink()
    ended = check(lab, tmp_path, store, DOWNTIME_RECOVERY__IDENTITY=json.dumps({"file": str(key)}))
    assert ended.code == 0
    assert [text.split(":")[0] for text in _reasons(ended, "identity")] == ["WARN encrypted files were not looked into"]
    assert str(IDENTITY) not in ended.out + ended.err


def test_one_bit_is_found_when_read_back_and_the_text_says_what_to_do(lab: Lab, store: Path, tmp_path: Path) -> None:
    file = _set_of(store) / "postgresql/keycloak.dump.age"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    try:
        assert check(lab, tmp_path, store, "--sizes-only").code == 0
        ended = command(lab, tmp_path, "check-recovery", **_variables(store))
    finally:
        file.write_bytes(whole)
    assert ended.code == 3
    assert "FAILED checksum: database/keycloak is damaged" in ended.out
    assert "Take a new backup set" in ended.out
    assert "no node may be taken down" in ended.out


def test_a_rehearsal_can_be_asked_for(lab: Lab, store: Path, tmp_path: Path) -> None:
    week = {"DOWNTIME_RECOVERY__REHEARSAL_MAX_AGE_DAYS": "7"}
    ended = check(lab, tmp_path, store, "--sizes-only", **week)
    assert (ended.code, _reasons(ended, "rehearsal")[0][:40]) == (3, "FAILED no set was restored in rehearsal,")
    finished = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
    line = Line(level="PASS", check="rows", reason="all are there")
    note = RehearsalNote(set=_set_of(store).name, began=finished, finished=finished, result="PASS", lines=(line,))
    folder = _set_of(store) / "rehearsals"
    folder.mkdir()
    (folder / file_name(finished)).write_text(note.model_dump_json())
    ended = check(lab, tmp_path, store, "--sizes-only", **week)
    assert (ended.code, len(_reasons(ended, "rehearsal"))) == (0, 1)


def test_a_store_that_is_away_blocks_check_and_plan_and_says_so(lab: Lab, store: Path, tmp_path: Path) -> None:
    away = tmp_path / "not-mounted"
    ended = check(lab, tmp_path, away)
    assert (ended.code, ended.document["verdict"]) == (3, "blocked")
    assert "does not exist" in _reasons(ended, "store")[0]
    plan = command(lab, tmp_path, "plan", "planned", "gpu-1", "--output", "json", **_variables(away))
    assert plan.code == 3
    assert plan.document["recovery"]["lines"] == ended.document["lines"]


def test_another_cluster_is_not_judged(lab: Lab, store: Path, tmp_path: Path) -> None:
    ended = check(lab, tmp_path, store, DOWNTIME_CLUSTER__UID="another")
    assert (ended.code, ended.error["code"]) == (2, "wrong-cluster")


def test_the_check_imports_no_prefect(lab: Lab, store: Path, tmp_path: Path) -> None:
    (tmp_path / "prefect.py").write_text("raise SystemExit('prefect was imported')\n")
    before = os.environ.get("PYTHONPATH", "")
    ended = check(lab, tmp_path, store, "--sizes-only", PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}:{before}")
    assert ended.code == 0, ended.err


def test_a_served_check_publishes_its_lines_and_fails_where_the_gate_would_block(lab: Lab, served: Runs) -> None:
    run = served.start("recovery-check", sizes_only=True)
    served.wait(run, "COMPLETED")
    text = served.artifacts(run)["recovery-check"]
    assert "| PASS | store |" in text
    assert "# The control plane could be restored" in text
    aside = Path(f"{lab.store}-away")
    shutil.move(lab.store, aside)
    try:
        run = served.start("recovery-check")
        message = served.wait(run, "FAILED")["message"]
    finally:
        shutil.move(aside, lab.store)
    assert "does not exist" in message
    assert "| FAILED | store |" in served.artifacts(run)["recovery-check"]
