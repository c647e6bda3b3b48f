"""A set is rehearsed from a real server's dumps into a real scratch server; what cannot be restored is told as such."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from cluster import rehearsing
from cluster.errors import DowntimeError, Misused
from cluster.postgres_programs import SERVER, find
from cluster.rehearsal_note import is_file_name, parse
from cluster.rehearsing import Asked, RehearsalReport
from cluster.verdict import Line
from tests.unit.rehearsed_sets import (
    PASSWORD_OF_A_ROLE,
    ROWS,
    Stored,
    copied,
    fill,
    settings,
    sources,
    take,
)
from tests.unit.running_postgres import PASSWORD, Postgres, postgres
from tests.unit.scratch_processes import scratch_folder, servers

_KEY = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        fill(found)
        yield found


@pytest.fixture(scope="module")
def encrypted(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    store = tmp_path_factory.mktemp("encrypted")
    return Stored(store, take(store, sources(server), [str(_KEY.to_public())]))


@pytest.fixture(scope="module")
def plain(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    store = tmp_path_factory.mktemp("plain")
    return Stored(store, take(store, sources(server)))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"# created: today\n# public key: {_KEY.to_public()}\n{_KEY}\n")
    return path


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No server and no folder of a rehearsal outlives it."""
    with scratch_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield
        assert list(folder.iterdir()) == []
        assert servers(folder) == []


def _rehearse(stored: Stored, folder: Path, key: Path | None = None, **asked: str) -> RehearsalReport:
    return rehearsing.run(settings(folder, stored.store, key), Asked(**asked))  # type: ignore[arg-type]


def _line(report: RehearsalReport, check: str) -> Line:
    return next(line for line in report.lines if line.check == check)


def _failed(report: RehearsalReport) -> dict[str, str]:
    return {line.check: line.reason for line in report.lines if line.level == "FAILED"}


def test_an_encrypted_set_is_restored_compared_and_noted(encrypted: Stored, tmp_path: Path, key: Path) -> None:
    stored = copied(encrypted, tmp_path)
    manifest = (stored.folder / "manifest.json").read_bytes()

    report = _rehearse(stored, tmp_path, key)

    assert report.passed, _failed(report)
    assert re.search(rf"{2 * ROWS} in 3 tables", _line(report, "database/backend rows").reason)
    assert "2 in 1 tables" in _line(report, "database/keycloak rows").reason
    assert re.search(r"applied: 3 roles", _line(report, "database-globals/globals").reason)
    assert re.search(
        r"4 tables, \d+ indexes, 1 sequences, 1 functions", _line(report, "database/backend schema").reason
    )
    (note,) = stored.notes()
    assert {**note, "noted": report.noted} == json.loads(report.model_dump_json())
    noted = stored.store / report.noted
    assert is_file_name(noted.name)
    assert parse(noted.read_bytes(), report.noted).passed
    assert (noted.stat().st_mode & 0o777, noted.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert (stored.folder / "manifest.json").read_bytes() == manifest


def test_nothing_secret_is_in_the_note(encrypted: Stored, tmp_path: Path, key: Path) -> None:
    report = _rehearse(copied(encrypted, tmp_path), tmp_path, key)
    text = report.model_dump_json()
    assert not [word for word in (PASSWORD_OF_A_ROLE, PASSWORD, "SCRAM", str(_KEY)) if word in text]


def test_the_newest_set_is_taken_and_one_that_is_named(plain: Stored, server: Postgres, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    (stored.store / "2099-01-01T00-00-00Z").mkdir()  # half-taken: no manifest, so no set
    assert _rehearse(stored, tmp_path).set == stored.id
    assert _rehearse(stored, tmp_path, set=stored.id).set == stored.id
    with pytest.raises(DowntimeError) as caught:
        _rehearse(stored, tmp_path, set="2099-01-01T00-00-00Z")
    assert caught.value.code == "manifest-missing"


def test_a_truncated_dump_fails(encrypted: Stored, plain: Stored, tmp_path: Path, key: Path) -> None:
    for number, original in enumerate((encrypted, plain)):
        folder = tmp_path / str(number)
        folder.mkdir()
        stored = copied(original, folder)
        file = stored.file("database", "backend")
        file.write_bytes(file.read_bytes()[:-1000])
        report = _rehearse(stored, folder, key)
        assert re.search(r"it has \d+ bytes, not \d+", _failed(report)["database/backend"])
        assert _line(report, "database/keycloak").level == "PASS"
        assert [note["result"] for note in stored.notes()] == ["FAILED"]


def test_a_dump_that_was_stored_truncated_fails_too(plain: Stored, tmp_path: Path) -> None:
    """Its checksum is right: it was wrong from the beginning. The gate cannot see it; the rehearsal does."""
    stored = copied(plain, tmp_path)
    _replace(stored, "backend", stored.file("database", "backend").read_bytes()[:-1000])
    reasons = _failed(_rehearse(stored, tmp_path))
    assert "could not read from input file" in reasons["database/backend"]


def test_one_changed_bit_fails(encrypted: Stored, plain: Stored, tmp_path: Path, key: Path) -> None:
    for number, original in enumerate((encrypted, plain)):
        folder = tmp_path / str(number)
        folder.mkdir()
        stored = copied(original, folder)
        file = stored.file("database", "backend")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        report = _rehearse(stored, folder, key)
        assert "its checksum is not that of the manifest" in _failed(report)["database/backend"]


def test_another_dump_than_was_counted_fails(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    _replace(stored, "backend", stored.file("database", "keycloak").read_bytes())
    reasons = _failed(_rehearse(stored, tmp_path))
    assert "public.users is missing (it had" in reasons["database/backend rows"]
    assert "public.realm was not there" in reasons["database/backend rows"]
    assert "entries, not" in reasons["database/backend contents"]


def test_missing_rows_are_named_by_table(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)

    def more(part: dict[str, dict[str, dict[str, int]]]) -> None:
        part["contents"]["tables"]["public.users"] += 2

    stored.change("database", "backend", more)
    assert _failed(_rehearse(stored, tmp_path)) == {
        "database/backend rows": f"1 tables differ: public.users has {ROWS} rows, not {ROWS + 2}"
    }


def test_a_file_that_is_gone_fails_and_the_rest_is_rehearsed(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    stored.file("database", "keycloak").unlink()
    stored.file("helm-values", "runai-backend").write_text("{}")
    reasons = _failed(_rehearse(stored, tmp_path))
    assert set(reasons) == {"database/keycloak", "helm-values/runai-backend"}
    assert "does not exist" in reasons["database/keycloak"]


def test_without_roles_data_is_restored_and_the_lack_is_told(plain: Stored, server: Postgres, tmp_path: Path) -> None:
    parts = [each for each in sources(server) if each.kind != "database-globals"]
    stored = Stored(tmp_path / "store", "")
    stored.store.mkdir()
    take(stored.store, parts)
    report = _rehearse(stored, tmp_path)
    assert report.passed, _failed(report)
    assert _line(report, "database-globals").level == "WARN"


def test_a_bare_spec_is_no_runaiconfig(plain: Stored, tmp_path: Path) -> None:
    """The vendor's page tells to save .spec alone, which nothing can apply."""
    stored = copied(plain, tmp_path)
    _replace(stored, "runai", b'{"global": {"nodeAffinity": {"restrictScheduling": false}}}', kind="runaiconfig")
    assert "bare .spec" in _failed(_rehearse(stored, tmp_path))["runaiconfig/runai"]


def test_without_a_private_key_it_is_refused_and_nothing_is_noted(encrypted: Stored, tmp_path: Path) -> None:
    stored = copied(encrypted, tmp_path)
    with pytest.raises(DowntimeError, match="there is no private key") as caught:
        _rehearse(stored, tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("no-identity", 3)
    assert stored.notes() == []


def test_the_wrong_private_key_is_refused_and_nothing_is_noted(encrypted: Stored, tmp_path: Path, key: Path) -> None:
    stored = copied(encrypted, tmp_path)
    key.write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(DowntimeError, match="not encrypted for the private key") as caught:
        _rehearse(stored, tmp_path, key)
    assert (caught.value.code, caught.value.exit_code) == ("wrong-identity", 3)
    key.write_text("AGE-SECRET-KEY-1NONSENSE")
    with pytest.raises(Misused) as bad:
        _rehearse(stored, tmp_path, key)
    assert bad.value.code == "bad-identity"
    assert "NONSENSE" not in str(bad.value)
    assert stored.notes() == []


def test_missing_programs_are_named_and_nothing_is_noted(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    (tmp_path / "empty").mkdir()
    chosen = settings(tmp_path, stored.store, more=f'postgres = "{tmp_path / "empty"}"\n')
    with pytest.raises(DowntimeError, match="initdb, postgres, pg_restore, pg_dump, psql") as caught:
        rehearsing.run(chosen, Asked())
    assert (caught.value.code, caught.value.exit_code) == ("postgres-missing", 3)
    assert "postgresql-15" in caught.value.remedy
    assert stored.notes() == []


def test_a_dump_of_a_newer_server_is_refused(plain: Stored, tmp_path: Path) -> None:
    """An older pg_restore cannot read it: that says nothing about the set."""
    stored = copied(plain, tmp_path)
    stored.change("database", "backend", lambda part: part["contents"].update(server_version="99.1"))
    with pytest.raises(DowntimeError, match="comes from PostgreSQL 99") as caught:
        _rehearse(stored, tmp_path)
    assert caught.value.code == "postgres-too-old"
    assert stored.notes() == []


def test_a_dump_that_only_says_in_itself_that_it_is_newer_is_refused(plain: Stored, tmp_path: Path) -> None:
    """A set of schema 1 tells no versions."""
    stored = copied(plain, tmp_path)
    dump = bytearray(stored.file("database", "backend").read_bytes())
    dump[6] = 99  # the minor version of the archive's format
    _replace(stored, "backend", bytes(dump), contents=False)
    with pytest.raises(DowntimeError, match="newer PostgreSQL than pg_restore") as caught:
        _rehearse(stored, tmp_path)
    assert caught.value.code == "postgres-too-old"


def test_a_set_without_counts_is_restored_and_the_lack_is_told(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    stored.change("database", "backend", lambda part: part.pop("contents"))
    report = _rehearse(stored, tmp_path)
    assert report.passed
    assert _line(report, "database/backend rows").level == "WARN"


def test_a_set_of_another_cluster_is_refused(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    document = stored.document
    (stored.folder / "manifest.json").write_text(json.dumps({**document, "cluster_uid": "another"}))
    with pytest.raises(DowntimeError) as caught:
        _rehearse(stored, tmp_path)
    assert caught.value.code == "other-cluster"


def test_a_rehearsal_that_cannot_be_noted_does_not_pass(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    (stored.folder / "rehearsals").write_text("a file where the folder of notes should be")
    report = _rehearse(stored, tmp_path)
    assert not report.passed
    assert report.noted == ""
    assert "could not be noted" in _line(report, "note").reason


def test_commands_of_psql_in_the_globals_are_never_run(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    script = stored.file("database-globals", "globals").read_bytes() + b"\n\\! touch mark\n"
    _replace(stored, "globals", script, kind="database-globals")
    assert "commands of psql" in _failed(_rehearse(stored, tmp_path))["database-globals/globals"]


def test_rows_are_in_no_message_when_they_cannot_be_loaded(server: Postgres, tmp_path: Path) -> None:
    """pg_restore quotes the row that the server refuses."""
    from cluster.dump_listing import complaints

    said = (
        'pg_restore: error: COPY failed for table "users": ERROR:  invalid input syntax for type integer: "s3cret"\n'
        'CONTEXT:  COPY users, line 1, column id: "s3cret"\n'
        'pg_restore: error: could not execute query: ERROR:  relation "users" already exists\n'
        "Command was: CREATE ROLE x PASSWORD 's3cret';\n"
    )
    assert complaints(said) == [
        "the rows of table users: invalid input syntax for type integer",
        'could not execute query: ERROR: relation "users" already exists',
    ]


def test_the_programs_are_of_the_oldest_version_that_can_read_the_dump() -> None:
    found = find(SERVER, 15)
    assert found.major >= 15
    assert found == find(SERVER, found.major)


def _replace(stored: Stored, name: str, content: bytes, *, kind: str = "database", contents: bool = True) -> None:
    """Put another file there that the manifest says to be the right one."""
    import hashlib

    stored.file(kind, name).write_bytes(content)
    digest, size = hashlib.sha256(content).hexdigest(), len(content)

    def change(part: dict[str, object]) -> None:
        part.update(bytes=size, sha256=digest)
        if contents and isinstance(part.get("contents"), dict):
            part["contents"].update(bytes=size, sha256=digest)  # type: ignore[attr-defined]
        else:
            part.pop("contents", None)

    stored.change(kind, name, change)
