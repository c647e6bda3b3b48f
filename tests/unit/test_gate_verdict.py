"""The gate's answer where no set decides: flavour, store, deadlines; and what a person may make of the answer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.backups import Store
from cluster.errors import Misused
from cluster.gate import Line, Verdict, check, overridden
from cluster.verdict import conclude
from tests.unit.asking import SETTINGS, ask, blocked
from tests.unit.backup_sets import NOW, UID, document, id_of, write
from tests.unit.failing_store import DrippingFile, DrippingFileSystem, FailingFileSystem

BEGAN = NOW - timedelta(hours=2)
SET = id_of(BEGAN)
LIMIT = timedelta(hours=30)


def test_saas_is_not_applicable_says_so_and_touches_no_store() -> None:
    FailingFileSystem.failure = AssertionError("touched")
    for store in (None, Store("failing://x")):
        verdict = ask(store, self_hosted=False)
        assert verdict.verdict == "not-applicable"
        assert "no namespace runai-backend" in verdict.lines[0].reason
        assert verdict.remedy() == ""


def test_a_flavour_that_could_not_be_observed_blocks(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    blocked(tmp_path, "could not be observed", self_hosted=None)


def test_no_store_on_a_self_hosted_cluster_blocks() -> None:
    assert "[recovery] store" in blocked(None, "no backup store is configured").remedy()


def test_a_check_that_looked_at_nothing_is_no_pass() -> None:
    assert conclude([], NOW).blocks


def test_an_empty_store_blocks(tmp_path: Path) -> None:
    blocked(tmp_path, "there is no backup set in the store")


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (PermissionError("no"), "may not be read (permission denied)"),
        (FileNotFoundError("no"), "does not exist"),
        (ConnectionResetError("reset"), "cannot be reached"),
        (ZeroDivisionError("a bug of a library"), "cannot be reached"),
    ],
)
def test_a_store_that_fails_blocks_in_a_sentence(failure: Exception, says: str) -> None:
    FailingFileSystem.failure = failure
    verdict = blocked("failing://x", says)
    assert "Traceback" not in verdict.blocker_message()


def test_a_store_that_hangs_blocks_in_time() -> None:
    FailingFileSystem.failure = None
    FailingFileSystem.released.clear()
    try:
        began = time.monotonic()
        blocked(Store("failing://x", call_seconds=0.2), "did not answer in time")
        assert time.monotonic() - began < 5
    finally:
        FailingFileSystem.released.set()


def test_a_store_too_slow_for_the_whole_check_blocks(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    blocked(tmp_path, "was not read in time", deadline_seconds=0)


def test_a_hung_store_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import tests.unit.failing_store as f\n"
        "from cluster.backups import Store\n"
        "from cluster.gate import GateSettings, check\n"
        "store = Store('failing://x', call_seconds=0.2)\n"
        "v = check(store, self_hosted=True, settings=GateSettings('u'), depth='sizes')\n"
        "print(v.verdict)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split() == ["blocked"]


def test_neither_the_gate_nor_a_plan_imports_fsspec_or_prefect_before_it_is_needed() -> None:
    program = "import sys, cluster.gate; print([m for m in ('fsspec', 'prefect', 'kubernetes') if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_age_is_counted_when_all_was_read(tmp_path: Path) -> None:
    write(tmp_path, document(NOW - LIMIT))
    moments = iter([NOW - timedelta(minutes=1)])
    verdict = check(
        Store(str(tmp_path)),
        self_hosted=True,
        settings=SETTINGS,
        depth="checksums",
        clock=lambda: next(moments, NOW + timedelta(minutes=1)),
    )
    assert any(line.check == "age" for line in verdict.failed)


def test_an_override_keeps_the_lines_and_adds_the_reason(tmp_path: Path) -> None:
    before = blocked(tmp_path, "no backup set")
    after = overridden(before, "  the array\nburns \x1b[31m ")
    assert (after.verdict, after.blocks) == ("overridden", False)
    assert after.lines[:-1] == before.lines
    assert (after.lines[-1].level, after.lines[-1].reason) == ("WARN", "overridden by a person: the array burns ?[31m")


@pytest.mark.parametrize("reason", ["", "  ", "\n\t"])
def test_an_override_without_a_reason_is_refused(tmp_path: Path, reason: str) -> None:
    with pytest.raises(Misused, match="without a reason"):
        overridden(blocked(tmp_path, "no backup set"), reason)


def test_an_override_that_is_not_needed_changes_no_verdict(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    after = overridden(ask(tmp_path), "just in case")
    assert after.verdict == "passed"
    assert "not needed" in after.lines[-1].reason


def test_the_blocker_says_the_first_reason_the_rest_and_the_way_around(tmp_path: Path) -> None:
    (write(tmp_path, document(BEGAN, cluster_uid="another")) / "helm/runai-cluster.json").write_bytes(b"")
    verdict = ask(tmp_path)
    assert verdict.blocker_message() == (
        f"The disaster-recovery check failed for the backup set {SET}: cluster: "
        f"the set is of another cluster (another, not {UID}) (and 1 more)"
    )
    assert "--override-recovery-gate" in verdict.remedy()


def test_a_verdict_survives_its_json(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    verdict = ask(tmp_path)
    assert set(json.loads(verdict.model_dump_json())) == {"verdict", "set", "lines", "judged_at"}
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert str(Line(level="PASS", check="age", reason="x")) == "PASS   age: x"


def test_a_part_that_drips_for_ever_ends_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, document(BEGAN))
    DrippingFileSystem.file = DrippingFile()
    store, dripping = Store(str(tmp_path)), Store("dripping://x")
    monkeypatch.setattr(store, "checksum", dripping.checksum)
    blocked(store, "did not answer in time", deadline_seconds=0.5)
