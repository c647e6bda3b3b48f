"""The manifest of a backup set: what is believed, and what is refused with a reason."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.manifest import External, Manifest, ManifestError, Part, inner_path, parse
from tests.unit.backup_sets import NOW, UID, document, part, stamp

BEGAN = NOW - timedelta(hours=2)
GOOD = json.dumps(document(BEGAN)).encode()


def refused(manifest: Any) -> ManifestError:
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    with pytest.raises(ManifestError) as caught:
        parse(text, "SET/manifest.json")
    assert caught.value.exit_code == 3
    assert caught.value.message.startswith("SET/manifest.json ")
    assert caught.value.remedy
    return caught.value


def test_a_good_manifest_is_read_wholly() -> None:
    manifest = parse(GOOD, "here")
    assert manifest.began == BEGAN
    assert [each.title for each in manifest.files] == [
        "runaiconfig/runai",
        "database/backend",
        "helm-values/runai-backend",
        "helm-values/runai-cluster",
    ]
    assert manifest.parts[-1].external is not None


def test_what_a_writer_makes_of_the_models_is_read_back_the_same() -> None:
    file = Part(kind="database", name="backend", path="a/b", bytes=3, sha256="A" * 64, began=NOW)
    outside = Part(kind="metrics", name="thanos", external=External(where="array", taken=NOW))
    written = Manifest(
        schema_version=1, id="s", cluster_uid=UID, began=NOW, finished=NOW, by="me", parts=(file, outside)
    )
    text = written.model_dump_json(exclude_none=True).encode()
    assert json.loads(text)["schema"] == 1
    assert parse(text, "here") == written


def test_the_age_counts_from_the_oldest_dump_not_from_the_end() -> None:
    manifest = document(BEGAN)
    part(manifest, "database")["began"] = stamp(BEGAN - timedelta(hours=7))
    read = parse(json.dumps(manifest).encode(), "here")
    assert read.oldest == BEGAN - timedelta(hours=7)


def test_unknown_keys_are_tolerated_within_the_schema() -> None:
    manifest = document(BEGAN, comment="of a later writer")
    part(manifest, "database")["compression"] = "zstd"
    assert parse(json.dumps(manifest).encode(), "here") == parse(GOOD, "here")


def test_a_newer_schema_is_refused_even_if_nothing_else_is_understood() -> None:
    error = refused({"schema": 3, "pieces": {}})
    assert error.code == "manifest-newer"
    assert "schema 3" in error.message


@pytest.mark.parametrize("schema", [0, -1, "1", 1.0, True, None, [1]])
def test_a_schema_that_is_no_number_of_one_is_damage(schema: object) -> None:
    assert refused(document(BEGAN, schema=schema)).code == "manifest-damaged"


@pytest.mark.parametrize("text", [b"", b"\x00", b"\xff\xfe", b"[]", b"null", b"1", b'"x"', b"{}", b"[" * 100_000])
def test_what_is_no_manifest_at_all_is_damage(text: bytes) -> None:
    assert refused(text).code == "manifest-damaged"


def test_every_truncation_is_refused() -> None:
    for length in range(len(GOOD)):
        assert refused(GOOD[:length]).code == "manifest-damaged"


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/.",
        "",
        "a/",
        "..",
        "a\\..\\b",
        "a\nb",
        "a\x00",
        "manifest.json",
    ],
)
def test_a_path_that_escapes_the_folder_is_refused(path: str) -> None:
    manifest = document(BEGAN)
    part(manifest, "database")["path"] = path
    assert "parts.1.path" in refused(manifest).message


@given(st.text(alphabet="./\\ab~:\x00 ", max_size=12) | st.text(max_size=12))
def test_no_accepted_path_leads_out(text: str) -> None:
    try:
        path = inner_path(text)
    except ValueError:
        return
    joined = PurePosixPath("/store/set") / path
    assert ".." not in joined.parts
    assert len(joined.parts) > 3
    assert str(joined) == f"/store/set/{path}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"finished": stamp(BEGAN - timedelta(seconds=1))}, "finished before it began"),
        ({"began": "2026-11-24T10:00:00"}, "began"),
        ({"began": 1764000000}, "began"),
        ({"began": "yesterday"}, "began"),
        ({"id": "../x"}, "id"),
        ({"cluster_uid": ""}, "cluster_uid"),
        ({"parts": {}}, "parts"),
        ({"parts": None}, "parts"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], says: str) -> None:
    assert says in refused({**document(BEGAN), **change}).message


@pytest.mark.parametrize(
    "change",
    [
        {"bytes": -1},
        {"bytes": "12"},
        {"bytes": None},
        {"sha256": "abc"},
        {"sha256": None},
        {"kind": ""},
        {"name": "a b"},
        {"name": "\x1b[31m"},
        {"external": {"where": "x", "taken": stamp(BEGAN)}},
        {"path": None},
    ],
)
def test_a_wrong_part_is_refused(change: dict[str, Any]) -> None:
    manifest = document(BEGAN)
    part(manifest, "database").update(change)
    assert refused(manifest).message


@pytest.mark.parametrize("text", ["u\ntouch x #", "u\r", "u\x1b[2J", "u\u2028"])
@pytest.mark.parametrize("key", ["cluster_uid", "recipients"])
def test_what_is_printed_in_a_script_is_one_line(key: str, text: str) -> None:
    """Hazard: a line of a manifest becomes a command of the restore plan."""
    assert key in refused({**document(BEGAN), key: [text] if key == "recipients" else text}).message


def test_a_part_that_is_there_twice_is_refused() -> None:
    manifest = document(BEGAN)
    manifest["parts"].append({**part(manifest, "database"), "path": "other"})
    assert "database/backend is there twice" in refused(manifest).message


def test_a_file_that_is_there_twice_is_refused() -> None:
    manifest = document(BEGAN)
    manifest["parts"].append({**part(manifest, "database"), "name": "keycloak"})
    assert "postgresql/backend.dump is there twice" in refused(manifest).message


@given(st.binary(max_size=200))
def test_whatever_the_bytes_only_a_manifest_error_comes_out(text: bytes) -> None:
    with pytest.raises(ManifestError):
        parse(text, "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(GOOD))), JSON)
def test_whatever_stands_in_a_key_it_is_read_or_refused(key: str, value: Any) -> None:
    manifest = {**document(BEGAN), key: value}
    try:
        read = parse(json.dumps(manifest).encode(), "here")
    except ManifestError:
        return
    assert read.schema_version == 1
