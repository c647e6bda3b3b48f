"""However a rehearsal ends, nothing of it is left: no PostgreSQL process, no folder, no database on a given server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import rehearsing
from cluster.errors import DowntimeError, Misused
from cluster.postgres_programs import SERVER, find
from cluster.rehearsing import Asked
from cluster.scratch_postgres import scratch_server
from tests.command_line import arguments, downtime, environment
from tests.unit.rehearsed_sets import Stored, configuration, copied, fill, settings, sources, take
from tests.unit.running_postgres import PASSWORD, Postgres, postgres
from tests.unit.scratch_processes import scratch_folder, servers

_SECONDS = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        fill(found)
        # So much that a restore is still under way when it is seen to have begun.
        found.sql(
            "CREATE TABLE large AS SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 150000) n", "backend"
        )
        yield found


@pytest.fixture(scope="module")
def plain(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    store = tmp_path_factory.mktemp("plain")
    return Stored(store, take(store, sources(server)))


@pytest.fixture
def scratch() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield folder


def _begun(stored: Stored, folder: Path, scratch: Path) -> subprocess.Popen[str]:
    """The command in the middle of restoring a dump."""
    path = configuration(folder, stored.store)
    process = subprocess.Popen(
        arguments("rehearse-recovery", "--config", str(path), "--output", "json"),
        cwd=folder,
        env=environment(folder, TMPDIR=str(scratch)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _until(
        lambda: any("pg_restore" in line and "--dbname" in line for line in _children_of(process.pid).values()),
        "the restore has not begun",
    )
    assert servers(scratch)
    return process


def _children_of(parent: int) -> dict[int, str]:
    """Command lines by process id; whole, which ``ps`` does not promise: it cuts them to COLUMNS."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                of = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if of == parent:
                found[int(entry.name)] = line
    return found


def _until(holds: object, otherwise: str) -> None:
    assert callable(holds)
    end = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_rehearsal_that_is_ended_by_a_signal_leaves_nothing(
    plain: Stored, tmp_path: Path, scratch: Path, number: signal.Signals
) -> None:
    stored = copied(plain, tmp_path)
    process = _begun(stored, tmp_path, scratch)
    process.send_signal(number)
    out, _ = process.communicate(timeout=_SECONDS)
    # SIGKILL too: the server's guard sees its pipe closed.
    _until(lambda: not servers(scratch) and not list(scratch.glob("downtime-rehearsal-*")), "something is left")
    assert stored.notes() == []
    if number != signal.SIGKILL:
        assert (process.returncode, json.loads(out)["error"]["code"]) == (1, "interrupted")


def test_a_server_whose_guard_is_killed_ends_with_it(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with scratch_server(find(SERVER, 0)):
        (guard,) = [pid for pid, line in _children_of(os.getpid()).items() if "scratch_guard" in line]
        os.kill(guard, signal.SIGKILL)
        _until(lambda: not servers(scratch), "the server outlived its guard")
    assert not list(scratch.glob("downtime-rehearsal-*"))


def test_the_command_tells_line_by_line_and_ends_by_the_contract(plain: Stored, tmp_path: Path) -> None:
    stored = copied(plain, tmp_path)
    path = configuration(tmp_path, stored.store)
    ended = downtime(tmp_path, "rehearse-recovery", "--config", str(path))
    assert ended.code == 0, ended.err
    assert "PASS   database/backend: restored" in ended.out
    assert f"The set {stored.id} can be restored" in ended.out

    stored.file("database", "keycloak").unlink()
    ended = downtime(tmp_path, "rehearse-recovery", stored.id, "--config", str(path), "--output", "json")
    assert ended.code == 3
    assert ended.document["result"] == "FAILED"
    assert [note["result"] for note in stored.notes()] == ["PASS", "FAILED"]

    ended = downtime(tmp_path, "rehearse-recovery", "no-such-set", "--config", str(path), "--output", "json")
    assert (ended.code, ended.error["code"]) == (3, "manifest-missing")


def _url(server: Postgres, password: str = PASSWORD) -> str:
    from urllib.parse import quote

    return f"postgresql://postgres:{quote(password, safe='')}@127.0.0.1:{server.port}/postgres?sslmode=disable"


def _databases(server: Postgres) -> str:
    return server.sql("SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database")


def test_a_given_server_is_as_before(plain: Stored, server: Postgres, tmp_path: Path) -> None:
    """Its roles are not changed (the globals would set their passwords), and its databases are dropped again."""
    stored = copied(plain, tmp_path)
    reference = tmp_path / "url"
    reference.write_text(_url(server) + "\n")
    before, roles = _databases(server), server.sql("SELECT md5(string_agg(a::text, '')) FROM pg_authid a")

    report = rehearsing.run(settings(tmp_path, stored.store), Asked(server=f"file:{reference}"))

    assert report.passed, report.lines
    levels = {line.check: line.level for line in report.lines}
    assert levels["database-globals/globals"] == "WARN"
    assert levels["database/backend rows"] == "PASS"
    assert _databases(server) == before
    assert server.sql("SELECT md5(string_agg(a::text, '')) FROM pg_authid a") == roles
    assert PASSWORD not in report.model_dump_json()


def test_a_given_server_that_refuses_the_password_is_told_without_it(
    plain: Stored, server: Postgres, tmp_path: Path
) -> None:
    reference = tmp_path / "url"
    reference.write_text(_url(server, "wr0ng-password"))
    with pytest.raises(DowntimeError) as caught:
        rehearsing.run(settings(tmp_path, plain.store), Asked(server=f"file:{reference}"))
    assert (caught.value.code, caught.value.exit_code) == ("scratch-server", 3)
    assert "wr0ng-password" not in str(caught.value)


@pytest.mark.parametrize("words", ["postgresql://u:p4ssw0rd@h/d", "file:", "somewhere", "secret:no-slash#key"])
def test_a_server_is_named_by_reference_alone(plain: Stored, tmp_path: Path, words: str) -> None:
    with pytest.raises(Misused) as caught:
        rehearsing.run(settings(tmp_path, plain.store), Asked(server=words))
    assert caught.value.code == "bad-server"
    assert "p4ssw0rd" not in str(caught.value)


def test_databases_of_rehearsals_that_were_killed_are_named(plain: Stored, server: Postgres, tmp_path: Path) -> None:
    reference = tmp_path / "url"
    reference.write_text(_url(server))
    server.sql("CREATE DATABASE downtime_rehearsal_0123")
    try:
        report = rehearsing.run(settings(tmp_path, copied(plain, tmp_path).store), Asked(server=f"file:{reference}"))
    finally:
        server.sql("DROP DATABASE downtime_rehearsal_0123")
    assert "downtime_rehearsal_0123" in next(line.reason for line in report.lines if line.check == "server")
