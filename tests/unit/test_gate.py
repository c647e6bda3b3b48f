"""The recovery gate: what lets a node go down, and what blocks it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.dump_contents import DumpContents
from cluster.gate import REQUIRED, Depth, GateSettings, Seen, SetEvidence, judge
from cluster.manifest import parse
from cluster.showing_time import span
from tests.unit.asking import SETTINGS, ask, blocked
from tests.unit.backup_sets import FILES, NOW, RUNAICONFIG, document, id_of, part, stamp, write

BEGAN = NOW - timedelta(hours=2)
SET = id_of(BEGAN)
LIMIT = timedelta(hours=30)
DEPTHS: list[Depth] = ["sizes", "checksums"]
LISTED = DumpContents(8, frozenset({"public.projects"}), "15.14", "15.14")


def evidence(manifest: dict[str, Any], files: dict[str, bytes] | None = None) -> SetEvidence:
    held = FILES if files is None else files
    seen = {
        path: Seen(
            len(content),
            hashlib.sha256(content).hexdigest(),
            content if path.endswith("config.json") else None,
            dump=LISTED if path.endswith(".dump") else None,
        )
        for path, content in held.items()
    }
    return SetEvidence(manifest["id"], None, parse(json.dumps(manifest).encode(), "here"), files=seen)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_whole_fresh_set_passes(tmp_path: Path, depth: Depth) -> None:
    write(tmp_path, document(BEGAN))
    verdict = ask(tmp_path, depth)
    assert (verdict.verdict, verdict.set) == ("passed", SET)
    assert {line.level for line in verdict.lines} == {"PASS"}
    assert ("checksum" in {line.check for line in verdict.lines}) == (depth == "checksums")
    assert {each.check for each in REQUIRED} <= {line.check for line in verdict.lines}


def test_metrics_taken_into_the_set_pass_too(tmp_path: Path) -> None:
    manifest = document(BEGAN)
    metrics = part(manifest, "metrics")
    metrics.pop("external")
    metrics.update(path="thanos.tar", bytes=3, sha256=hashlib.sha256(b"tsd").hexdigest())
    write(tmp_path, manifest, {**FILES, "thanos.tar": b"tsd"})
    assert ask(tmp_path).verdict == "passed"


@pytest.mark.parametrize("required", REQUIRED, ids=lambda each: each.check)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_set_that_lacks_a_part_blocks(tmp_path: Path, required: Any, depth: Depth) -> None:
    manifest = document(BEGAN)
    manifest["parts"] = [
        each
        for each in manifest["parts"]
        if (each["kind"], required.name or each["name"]) != (required.kind, each["name"])
    ]
    write(tmp_path, manifest)
    blocked(tmp_path, f"{required.check}: the set lacks", depth)


def test_another_database_is_no_dump_of_the_control_plane(tmp_path: Path) -> None:
    manifest = document(BEGAN)
    part(manifest, "database")["name"] = "keycloak"
    write(tmp_path, manifest)
    blocked(tmp_path, "database backend: the set lacks")


def test_a_database_that_is_only_declared_blocks(tmp_path: Path) -> None:
    manifest = document(BEGAN)
    manifest["parts"][1] = {
        "kind": "database",
        "name": "backend",
        "external": {"where": "elsewhere", "taken": stamp(BEGAN)},
    }
    write(tmp_path, manifest)
    blocked(tmp_path, "only declared as an external backup")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (json.dumps(RUNAICONFIG["spec"]).encode(), "lacks apiVersion, kind, metadata.name, spec"),
        (json.dumps({**RUNAICONFIG, "metadata": {}}).encode(), "lacks metadata.name"),
        (json.dumps({**RUNAICONFIG, "spec": None}).encode(), "lacks spec"),
        (json.dumps({**RUNAICONFIG, "kind": "ConfigMap"}).encode(), "not a runaiconfig"),
        (json.dumps({**RUNAICONFIG, "apiVersion": "v1"}).encode(), "not a runaiconfig"),
        (json.dumps([RUNAICONFIG]).encode(), "holds a list"),
        (b"apiVersion: run.ai/v1\n", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b"\xff\xff", "is not JSON"),
    ],
)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_runaiconfig_that_is_not_the_whole_object_blocks(
    tmp_path: Path, content: bytes, says: str, depth: Depth
) -> None:
    files = {**FILES, "runaiconfig.json": content}
    write(tmp_path, document(BEGAN, files), files)
    blocked(tmp_path, says, depth)


def test_the_limit_itself_is_still_good_and_a_moment_more_is_not() -> None:
    for over, outcome in ((timedelta(0), "passed"), (timedelta(microseconds=1), "blocked")):
        manifest = document(NOW - LIMIT)
        part(manifest, "metrics")["external"]["taken"] = stamp(NOW - timedelta(hours=1))
        assert judge([evidence(manifest)], NOW + over, SETTINGS).verdict == outcome


def test_the_age_is_that_of_the_oldest_dump_not_of_the_finished_set(tmp_path: Path) -> None:
    manifest = document(BEGAN)
    part(manifest, "database")["began"] = stamp(NOW - LIMIT - timedelta(minutes=1))
    write(tmp_path, manifest)
    blocked(tmp_path, "age: its oldest dump began 30 h 01 min ago, the limit is 30 h 00 min", "sizes")


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_old_external_backup_blocks_like_any_old_part(tmp_path: Path, depth: Depth) -> None:
    manifest = document(BEGAN)
    part(manifest, "metrics")["external"]["taken"] = stamp(NOW - timedelta(days=10))
    write(tmp_path, manifest)
    blocked(tmp_path, "(array snapshot) was taken 10 d 0 h ago", depth)


def future(manifest: dict[str, Any], where: str, moment: datetime) -> None:
    if where == "set":
        manifest["began"] = manifest["finished"] = stamp(moment)
    elif where == "finished":
        manifest["finished"] = stamp(moment)
    elif where == "dump":
        part(manifest, "database")["began"] = stamp(moment)
    else:
        part(manifest, "metrics")["external"]["taken"] = stamp(moment)


@pytest.mark.parametrize("where", ["set", "finished", "dump", "external"])
def test_the_future_blocks_but_a_little_clock_skew_does_not(where: str) -> None:
    for minutes, outcome in ((4, "passed"), (6, "blocked")):
        manifest = document(BEGAN)
        future(manifest, where, NOW + timedelta(minutes=minutes))
        verdict = judge([evidence(manifest)], NOW, SETTINGS)
        assert verdict.verdict == outcome, (where, minutes)
        assert [line.check for line in verdict.failed] == (["clock"] if outcome == "blocked" else [])


def test_a_set_of_another_cluster_blocks(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN, cluster_uid="another"))
    blocked(tmp_path, "of another cluster (another, not", "sizes")


def test_a_cluster_that_is_not_known_matches_no_set(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    blocked(tmp_path, "which cluster this is, is not known", settings=GateSettings(cluster_uid=""))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("damage", [cut, lengthen, empty, Path.unlink, to_folder])
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_damaged_part_blocks_already_in_a_plan(
    tmp_path: Path, path: str, damage: Callable[[Path], None], depth: Depth
) -> None:
    damage(write(tmp_path, document(BEGAN)) / path)
    verdict = ask(tmp_path, depth)
    assert verdict.verdict == "blocked"
    assert any(line.check == "size" for line in verdict.failed), verdict.failed


def test_an_empty_part_blocks_even_if_the_manifest_says_so(tmp_path: Path) -> None:
    files = {**FILES, "postgresql/backend.dump": b""}
    write(tmp_path, document(BEGAN, files), files)
    blocked(tmp_path, "database/backend is empty", "sizes")


def test_a_flipped_bit_is_found_when_read_back_and_only_then(tmp_path: Path) -> None:
    dump = write(tmp_path, document(BEGAN)) / "postgresql/backend.dump"
    content = bytearray(dump.read_bytes())
    content[5000] ^= 1
    dump.write_bytes(content)
    assert ask(tmp_path, "sizes").verdict == "passed"
    blocked(tmp_path, "database/backend is damaged: its checksum is not the manifest's")


def test_a_damaged_part_that_nobody_requires_blocks_too(tmp_path: Path) -> None:
    manifest = document(BEGAN)
    manifest["parts"].append({"kind": "other", "name": "x", "path": "x", "bytes": 5, "sha256": "0" * 64})
    write(tmp_path, manifest, {**FILES, "x": b"12345"})
    blocked(tmp_path, "other/x is damaged")


def test_files_that_were_not_read_back_are_no_pass() -> None:
    whole = evidence(document(BEGAN))
    unread = SetEvidence(
        whole.id,
        None,
        whole.manifest,
        files={path: Seen(seen.size, None, seen.content) for path, seen in whole.files.items()},
    )
    assert judge([unread], NOW, SETTINGS, depth="sizes").verdict == "passed"
    assert judge([unread], NOW, SETTINGS, depth="checksums").verdict == "blocked"
    assert judge([SetEvidence(whole.id, None, whole.manifest)], NOW, SETTINGS, depth="sizes").verdict == "blocked"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps(document(BEGAN))[:-40], "is damaged: it is not JSON"),
        ("[]", "holds a list, not an object"),
        (json.dumps({**document(BEGAN), "schema": 7}), "has schema 7, newer than 2"),
        (json.dumps({**document(BEGAN), "id": "other"}), "describes the set other"),
        ("", "is damaged"),
    ],
)
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_bad_manifest_blocks(tmp_path: Path, text: str, says: str, depth: Depth) -> None:
    (write(tmp_path, document(BEGAN)) / "manifest.json").write_text(text)
    verdict = blocked(tmp_path, says, depth)
    assert verdict.set == SET


def test_a_path_out_of_the_set_blocks_and_is_not_followed(tmp_path: Path) -> None:
    manifest = document(BEGAN)
    part(manifest, "database")["path"] = "../backend.dump"
    write(tmp_path, manifest)
    (tmp_path / "backend.dump").write_bytes(FILES["postgresql/backend.dump"])
    blocked(tmp_path, "leaves the set's folder")


def test_a_half_taken_set_is_not_counted_but_named(tmp_path: Path) -> None:
    half = [id_of(NOW - timedelta(minutes=5)), id_of(NOW - timedelta(hours=20))]
    for name in half:
        write(tmp_path, None, name=name)
    write(tmp_path, None, name=id_of(NOW - timedelta(days=9)))
    verdict = blocked(tmp_path, "there is no backup set in the store")
    assert verdict.set is None
    write(tmp_path, document(BEGAN))
    verdict = ask(tmp_path)
    assert (verdict.verdict, verdict.set) == ("passed", SET)
    (warning,) = [line for line in verdict.lines if line.level == "WARN"]
    assert warning.check == "half-taken"
    assert all(name in warning.reason for name in half)


@pytest.mark.parametrize("depth", DEPTHS)
def test_an_older_good_set_is_used_and_the_newer_bad_one_named(tmp_path: Path, depth: Depth) -> None:
    older = NOW - timedelta(hours=26)
    write(tmp_path, document(older))
    empty(write(tmp_path, document(BEGAN)) / "postgresql/backend.dump")
    verdict = ask(tmp_path, depth)
    assert (verdict.verdict, verdict.set) == ("passed", id_of(older))
    (warning,) = [line for line in verdict.lines if line.level == "WARN"]
    assert (warning.check, SET in warning.reason, "database/backend" in warning.reason) == ("newer-set", True, True)


def test_a_set_that_is_found_rotten_only_when_read_back_is_passed_over_too(tmp_path: Path) -> None:
    older = NOW - timedelta(hours=26)
    write(tmp_path, document(older))
    values = write(tmp_path, document(BEGAN)) / "helm/runai-cluster.json"
    values.write_bytes(b"\x00" + values.read_bytes()[1:])
    assert ask(tmp_path, "sizes").set == SET
    assert ask(tmp_path, "checksums").set == id_of(older)


def test_an_older_good_set_beyond_the_limit_does_not_help(tmp_path: Path) -> None:
    write(tmp_path, document(NOW - timedelta(hours=31)))
    empty(write(tmp_path, document(BEGAN)) / "postgresql/backend.dump")
    assert blocked(tmp_path, "database/backend").set == SET


def test_a_set_whose_name_tells_no_time_is_ordered_by_its_manifest(tmp_path: Path) -> None:
    write(tmp_path, {**document(NOW - timedelta(hours=20)), "id": "by-hand"})
    write(tmp_path, document(BEGAN))
    assert ask(tmp_path).set == SET
    write(tmp_path, {**document(NOW - timedelta(hours=1)), "id": "by-hand-again"})
    assert ask(tmp_path).set == "by-hand-again"


def test_an_old_set_is_named_with_its_age(tmp_path: Path) -> None:
    for days in (4, 5):
        write(tmp_path, document(NOW - timedelta(days=days)))
    verdict = blocked(tmp_path, "age: its oldest dump began 4 d 0 h ago")
    assert verdict.set == id_of(NOW - timedelta(days=4))


MINUTES = st.integers(min_value=-3 * 24 * 60, max_value=3 * 24 * 60)


@given(MINUTES, MINUTES, MINUTES)
def test_a_set_passes_exactly_if_no_time_is_too_old_or_in_the_future(began: int, dump: int, taken: int) -> None:
    manifest = document(NOW - timedelta(minutes=began))
    manifest["finished"] = manifest["began"]
    part(manifest, "database")["began"] = stamp(NOW - timedelta(minutes=dump))
    part(manifest, "metrics")["external"]["taken"] = stamp(NOW - timedelta(minutes=taken))
    good = all(-5 <= minutes <= 30 * 60 for minutes in (began, dump, taken))
    assert (judge([evidence(manifest)], NOW, SETTINGS).verdict == "passed") == good


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=6, unique_by=lambda each: each[0]), st.randoms())
def test_in_any_order_the_newest_good_set_decides(hours: list[tuple[int, bool]], random: Any) -> None:
    sets = []
    for age, whole in hours:
        manifest = document(NOW - timedelta(hours=age))
        part(manifest, "metrics")["external"]["taken"] = stamp(NOW)
        sets.append(evidence(manifest, FILES if whole else {**FILES, "postgresql/backend.dump": b"x"}))
    random.shuffle(sets)
    verdict = judge(sets, NOW, SETTINGS)
    good = [age for age, whole in hours if whole and age <= 30]
    newest = min(good) if good else min((age for age, _ in hours), default=None)
    assert verdict.verdict == ("passed" if good else "blocked")
    assert verdict.set == (None if newest is None else id_of(NOW - timedelta(hours=newest)))


@given(st.sampled_from(sorted(FILES)), st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_any_flipped_bit_in_any_part_blocks(path: str, position: int, bit: int) -> None:
    content = bytearray(FILES[path])
    content[position % len(content)] ^= 1 << bit
    verdict = judge([evidence(document(BEGAN), {**FILES, path: bytes(content)})], NOW, SETTINGS)
    assert verdict.verdict == "blocked"


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(minutes=-3), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (LIMIT, "30 h 00 min"),
        (timedelta(days=3, hours=1), "3 d 1 h"),
    ],
)
def test_lengths_of_time_are_for_people(time: timedelta, text: str) -> None:
    assert span(time) == text
