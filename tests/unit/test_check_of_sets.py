"""The recovery check of sets as ``downtime backup`` takes them: what they hold, the set before, rehearsals, races."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyrage
import pytest

from cluster.age_identity import identities
from cluster.gate import GateSettings, Tools, Verdict
from cluster.rehearsal_note import RehearsalNote, file_name
from cluster.verdict import Line
from lab.dump_file import dump
from tests.unit.asking import SETTINGS, ask, blocked
from tests.unit.backup_sets import FILES, KINDS, NOW, RUNAICONFIG, UID, document, id_of, part, stamp, write

BEGAN = NOW - timedelta(hours=2)
EARLIER = BEGAN - timedelta(days=1)
SET = id_of(BEGAN)
KEY = pyrage.x25519.Identity.generate()
OTHER_KEY = pyrage.x25519.Identity.generate()
DUMP = "postgresql/backend.dump"
NOTED: dict[str, Any] = {
    "entries": 8,
    "tables": {"public.projects": 3, "public.users": 0},
    "server_version": "15.14",
    "tool_version": "15.14",
}


def sealed(
    store: Path,
    *,
    clear: dict[str, bytes] | None = None,
    noted: dict[str, Any] | None = None,
    objects: int | None = 1,
    began: datetime = BEGAN,
) -> Path:
    """Write a set of schema 2, encrypted for ``KEY``, with what its taker noted."""
    held = {**FILES, **(clear or {})}
    files = {f"{path}.age": pyrage.encrypt(content, [KEY.to_public()]) for path, content in held.items()}
    parts: list[dict[str, Any]] = []
    for path, content in held.items():
        stored = files[f"{path}.age"]
        seen: dict[str, Any] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if path.endswith(".dump"):
            seen |= NOTED if noted is None else noted
        elif path == "runaiconfig.json" and objects is not None:
            seen["objects"] = objects
        kind, name = KINDS.get(path, ("database", Path(path).stem))
        parts.append(
            {
                "kind": kind,
                "name": name,
                "path": f"{path}.age",
                "bytes": len(stored),
                "sha256": hashlib.sha256(stored).hexdigest(),
                "encrypted": True,
                "contents": seen,
            }
        )
    external = {"where": "array snapshot", "taken": stamp(began)}
    parts.append({"kind": "metrics", "name": "thanos", "external": external})
    more: dict[str, Any] = {"schema": 2, "parts": parts, "recipients": [str(KEY.to_public())]}
    return write(store, document(began, **more), files)


def line_of(verdict: Verdict, check: str, says: str = "") -> Line:
    (found,) = [line for line in verdict.lines if line.check == check and says in line.reason]
    return found


def with_key(key: Any = KEY) -> Tools:
    return Tools(identities(str(key)))


# What a set holds


def test_an_encrypted_set_is_judged_by_what_was_noted_where_there_is_no_key(tmp_path: Path) -> None:
    sealed(tmp_path)
    verdict = ask(tmp_path, settings=GateSettings(UID))
    assert verdict.verdict == "passed"
    assert {line.level for line in verdict.lines} == {"PASS"}
    told = line_of(verdict, "contents").reason
    assert told.startswith("database/backend: 8 entries, 2 tables, 3 rows, PostgreSQL 15.14, pg_dump 15.14 (as noted")
    assert line_of(verdict, "encryption").reason == "every file is encrypted, for 1 key"
    assert [line.check for line in verdict.lines].count("checksum") == len(FILES)


def test_with_a_key_the_dump_itself_is_looked_into(tmp_path: Path) -> None:
    sealed(tmp_path)
    told = line_of(ask(tmp_path, tools=with_key()), "contents").reason
    assert told == "database/backend: 8 entries, 4 tables, 3 rows, PostgreSQL 15.14, pg_dump 15.14"


def test_a_key_that_fits_nothing_is_as_none(tmp_path: Path) -> None:
    sealed(tmp_path)
    assert "as noted" in line_of(ask(tmp_path, tools=with_key(OTHER_KEY)), "contents").reason


def test_an_encrypted_dump_that_nobody_looked_into_blocks_when_read_back(tmp_path: Path) -> None:
    sealed(tmp_path, noted={})
    assert ask(tmp_path, "sizes").verdict == "passed"
    assert "identity" in blocked(tmp_path, "what was in it was not noted").remedy()
    assert ask(tmp_path, tools=with_key()).verdict == "passed"


@pytest.mark.parametrize(
    ("noted", "says"),
    [
        ({**NOTED, "entries": 0}, "its table of contents is empty"),
        ({**NOTED, "tables": {}}, "it holds the rows of no table"),
        ({**NOTED, "server_version": "17.2"}, "pg_dump 15.14 is older than its server, PostgreSQL 17.2"),
    ],
)
def test_a_dump_whose_notes_speak_against_it_blocks_already_in_a_plan(
    tmp_path: Path, noted: dict[str, Any], says: str
) -> None:
    sealed(tmp_path, noted=noted)
    for depth in ("sizes", "checksums"):
        blocked(tmp_path, f"contents: database/backend: {says}", depth)


def test_a_table_that_had_rows_and_is_not_in_the_dump_blocks(tmp_path: Path) -> None:
    sealed(tmp_path, noted={**NOTED, "tables": {"public.projects": 3, "public.lost": 1, "public.empty": 0}})
    blocked(tmp_path, "it lacks tables that had rows when it was taken: public.lost", tools=with_key())


def test_an_empty_database_beside_the_control_planes_is_no_fault(tmp_path: Path) -> None:
    sealed(tmp_path, clear={"postgresql/extra.dump": dump([])}, noted={**NOTED, "tables": None, "entries": 4})
    verdict = ask(tmp_path)
    assert verdict.verdict == "passed"
    assert line_of(verdict, "contents", "database/extra").level == "PASS"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"--\n-- PostgreSQL database dump\n--\n\n" + bytes(600), "text format"),
        (FILES[DUMP][:500], "end of file"),
        (dump(rows=False), "it holds the rows of no table"),
        (dump(server_version="16.1"), "older than its server"),
        (b"PGDMP" + bytes(range(256)), "cannot be read"),
    ],
)
def test_a_dump_in_the_clear_that_is_none_blocks_though_its_checksum_is_right(
    tmp_path: Path, content: bytes, says: str
) -> None:
    files = {**FILES, DUMP: content}
    write(tmp_path, document(BEGAN, files), files)
    blocked(tmp_path, says)


def test_a_truncated_dump_that_was_encrypted_like_this_blocks_where_there_is_a_key(tmp_path: Path) -> None:
    sealed(tmp_path, clear={DUMP: FILES[DUMP][:500]})
    blocked(tmp_path, "end of file", tools=with_key())


def test_without_pg_restore_a_dump_that_was_looked_into_when_taken_still_counts(tmp_path: Path) -> None:
    none = tmp_path / "no-programs"
    sealed(tmp_path)
    tools = Tools(with_key().identities, none)
    assert "as noted" in line_of(ask(tmp_path, tools=tools), "contents").reason
    shutil.rmtree(tmp_path / SET)
    write(tmp_path, document(BEGAN))
    says = f"PostgreSQL's programs (pg_restore) are not in {none}"
    assert "[recovery] postgres" in blocked(tmp_path, says, tools=tools).remedy()


def test_the_runaiconfig_must_be_whole_also_when_it_is_encrypted(tmp_path: Path) -> None:
    sealed(tmp_path, objects=None)
    blocked(tmp_path, "whether it holds a whole object was not noted", "sizes")
    sealed(tmp_path, clear={"runaiconfig.json": json.dumps(RUNAICONFIG["spec"]).encode()})
    assert ask(tmp_path).verdict == "passed"
    blocked(tmp_path, "is not a whole object", tools=with_key())


def test_a_file_that_is_called_encrypted_and_is_not_blocks(tmp_path: Path) -> None:
    folder = sealed(tmp_path)
    document_ = json.loads((folder / "manifest.json").read_text())
    values = part(document_, "helm-values")
    (folder / values["path"]).write_bytes(content := b'{"password": "in the clear"}')
    values.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "manifest.json").write_text(json.dumps(document_))
    blocked(tmp_path, "is no age file, though the manifest calls it encrypted")


def test_one_bit_of_an_encrypted_file_blocks(tmp_path: Path) -> None:
    file = sealed(tmp_path) / f"{DUMP}.age"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    blocked(tmp_path, "database/backend is damaged: its checksum is not the manifest's")


def test_a_set_in_the_clear_is_a_warning_unless_it_is_wanted_so(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    verdict = ask(tmp_path, settings=GateSettings(UID))
    assert verdict.verdict == "passed"
    assert line_of(verdict, "encryption").level == "WARN"
    assert line_of(ask(tmp_path), "encryption").level == "PASS"


# The set before


def test_a_part_that_shrank_by_half_is_a_warning_and_a_little_less_is_not(tmp_path: Path) -> None:
    write(tmp_path, document(EARLIER))
    whole = len(FILES[DUMP])
    for kept, level in ((whole // 2, "WARN"), (whole // 2 + 1, "PASS")):
        small = dump(padding=10_000 - whole + kept)
        small = dump(padding=10_000 - whole + kept + kept - len(small))
        assert len(small) == kept
        write(tmp_path, document(BEGAN, {**FILES, DUMP: small}), {**FILES, DUMP: small})
        verdict = ask(tmp_path)
        assert (verdict.verdict, verdict.set) == ("passed", SET)
        found = line_of(verdict, "previous-set")
        assert (found.level, id_of(EARLIER) in found.reason) == (level, True), kept
        assert ("database/backend has" in found.reason) == (level == "WARN")


def test_a_database_that_is_not_there_any_more_is_a_warning(tmp_path: Path) -> None:
    sealed(tmp_path, clear={"postgresql/keycloak.dump": dump(["users"])}, began=EARLIER)
    sealed(tmp_path)
    found = line_of(ask(tmp_path), "previous-set")
    assert (found.level, found.reason) == (
        "WARN",
        f"database/keycloak was in set {id_of(EARLIER)}, and is not in this one",
    )


def test_encryption_alone_makes_no_set_smaller_or_larger(tmp_path: Path) -> None:
    write(tmp_path, document(EARLIER))
    sealed(tmp_path, clear={DUMP: dump()})
    assert line_of(ask(tmp_path), "previous-set").level == "PASS"


def test_a_set_is_compared_with_an_old_one_too_but_not_with_one_of_another_cluster(tmp_path: Path) -> None:
    write(tmp_path, document(NOW - timedelta(days=300)))
    write(tmp_path, document(NOW - timedelta(days=200), cluster_uid="another"))
    write(tmp_path, document(BEGAN))
    assert id_of(NOW - timedelta(days=300)) in line_of(ask(tmp_path), "previous-set").reason


# Rehearsals


def noted_rehearsal(
    store: Path, set_id: str, finished: datetime, level: Literal["PASS", "FAILED"] = "PASS", changes: Any = ()
) -> Path:
    line = Line(level=level, check="rows", reason="public.projects has 2 rows, not 3", remedy="Look.")
    note = RehearsalNote(
        set=set_id,
        began=finished,
        finished=finished,
        by="a test",
        result=level,
        lines=(line,),
    )
    folder = store / set_id / "rehearsals"
    folder.mkdir(exist_ok=True)
    file = folder / file_name(finished, "ab12")
    file.write_text(json.dumps({**json.loads(note.model_dump_json()), **dict(changes)}))
    return file


WEEK = replace(SETTINGS, rehearsal_max_age=timedelta(days=7))
DAY = timedelta(days=1)


def test_no_rehearsal_matters_only_where_one_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    assert "rehearsal" not in {line.check for line in ask(tmp_path).lines}
    for depth in ("sizes", "checksums"):
        verdict = blocked(
            tmp_path, "rehearsal: no set was restored in rehearsal, the limit is 7 d 0 h", depth, settings=WEEK
        )
        assert "rehearse-recovery" in verdict.remedy()


@pytest.mark.parametrize("of", [SET, id_of(EARLIER), id_of(NOW - timedelta(days=20))])
def test_a_rehearsal_of_this_set_or_an_earlier_one_counts_for_its_days(tmp_path: Path, of: str) -> None:
    for began in (NOW - timedelta(days=20), EARLIER, BEGAN):
        write(tmp_path, document(began))
    noted_rehearsal(tmp_path, of, NOW - 7 * DAY)
    assert (
        f"set {of} was restored in the rehearsal 7 d 0 h ago"
        in line_of(ask(tmp_path, settings=WEEK), "rehearsal").reason
    )
    shutil.rmtree(tmp_path / of / "rehearsals")
    noted_rehearsal(tmp_path, of, NOW - 7 * DAY - timedelta(minutes=1))
    blocked(tmp_path, f"set {of} was restored in the rehearsal 7 d 0 h ago, the limit is", settings=WEEK)


def test_a_set_that_failed_its_rehearsal_blocks_asked_for_or_not(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    noted_rehearsal(tmp_path, SET, NOW - timedelta(hours=1), "FAILED")
    blocked(tmp_path, "this set could not be restored in the rehearsal 1 h 00 min ago: rows: public.projects", "sizes")
    noted_rehearsal(tmp_path, SET, NOW - timedelta(minutes=1))
    assert ask(tmp_path).verdict == "passed"


def test_a_failed_rehearsal_of_last_nights_set_is_told_today_asked_for_or_not(tmp_path: Path) -> None:
    for began in (EARLIER, BEGAN):
        write(tmp_path, document(began))
    noted_rehearsal(tmp_path, id_of(EARLIER), NOW - timedelta(hours=20), "FAILED")
    verdict = ask(tmp_path)
    line = line_of(verdict, "rehearsal")
    assert (verdict.verdict, line.level) == ("passed", "WARN")
    assert f"set {id_of(EARLIER)} could not be restored in the rehearsal 20 h 00 min ago" in line.reason


@pytest.mark.parametrize("useless", [NOW - 8 * DAY, NOW + DAY], ids=["too-old", "future"])
def test_a_rehearsal_that_does_not_count_hides_none_that_does(tmp_path: Path, useless: datetime) -> None:
    before = EARLIER - DAY
    for began in (before, EARLIER, BEGAN):
        write(tmp_path, document(began))
    noted_rehearsal(tmp_path, SET, useless)
    noted_rehearsal(tmp_path, id_of(before), NOW - DAY)
    verdict = ask(tmp_path, settings=WEEK)
    assert (verdict.verdict, verdict.set) == ("passed", SET)
    assert any(f"set {id_of(before)} was restored" in line.reason for line in verdict.lines)


def test_an_older_set_decides_where_the_newest_failed_its_rehearsal(tmp_path: Path) -> None:
    write(tmp_path, document(EARLIER))
    write(tmp_path, document(BEGAN))
    noted_rehearsal(tmp_path, SET, NOW - timedelta(hours=1), "FAILED")
    verdict = ask(tmp_path)
    assert (verdict.verdict, verdict.set) == ("passed", id_of(EARLIER))
    assert "rehearsal" in line_of(verdict, "newer-set").reason


def test_a_rehearsal_of_another_clusters_set_counts_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, document(EARLIER, cluster_uid="another"))
    write(tmp_path, document(BEGAN))
    noted_rehearsal(tmp_path, id_of(EARLIER), NOW - DAY)
    blocked(tmp_path, "no set was restored in rehearsal", settings=WEEK)


@pytest.mark.parametrize(
    "changes",
    [{"schema": 9}, {"result": "FAILED"}, {"set": "another"}, {"lines": []}, {"finished": stamp(NOW + DAY)}],
    ids=["newer", "inconsistent", "of-another-set", "nothing-checked", "future"],
)
def test_a_note_that_cannot_be_believed_counts_for_nothing_and_is_named(tmp_path: Path, changes: Any) -> None:
    write(tmp_path, document(BEGAN))
    noted_rehearsal(tmp_path, SET, NOW - DAY, changes=changes)
    verdict = blocked(tmp_path, "no set was restored in rehearsal", settings=WEEK)
    assert [line.level for line in verdict.lines if line.check == "rehearsal"] == ["WARN", "FAILED"]


def test_a_file_beside_the_notes_is_none(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    (noted_rehearsal(tmp_path, SET, NOW - DAY).parent / "README").write_text("hello")
    assert ask(tmp_path, settings=WEEK).verdict == "passed"
