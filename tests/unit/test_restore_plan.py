"""The plan for a real restore: in the vendor's order, exact, without a secret, and its commands do what they say."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pyrage
import pytest

from cluster import restorable, restore_commands, restore_plan
from cluster.databases import part_name
from cluster.manifest import Manifest
from cluster.postgres_programs import SERVER, find
from cluster.restore_commands import Database, database_of
from cluster.scratch_postgres import SUPERUSER, scratch_server
from deployments.commands_restore_plan import as_script
from tests.command_line import downtime, environment, in_this_process
from tests.unit.backup_sets import RUNAICONFIG
from tests.unit.backup_sources import of_bytes
from tests.unit.rehearsed_sets import ROWS, Stored, configuration, fill, project, sources, take
from tests.unit.running_postgres import postgres
from tests.unit.scratch_processes import scratch_folder

_NODES = {
    "schema": 1,
    "nodes": [
        {
            "name": "gpu-1",
            "labels": {"node-role.kubernetes.io/runai-gpu-worker": "", "rack": "it's 4; touch x"},
            "annotations": {"owner": "ops team"},
            "taints": [
                {"key": "dedicated", "value": "x", "effect": "NoSchedule"},
                {"key": "odd", "effect": "NoExecute"},
            ],
        }
    ],
}
# Among the arguments, "=" makes a connection string of a name.
ODD = """Odd = name; 'x' "$HOME" """
# The new cluster: what is run in a pod runs here, against the server that stands for the new one.
_KUBECTL = """#!/bin/bash
printf '%s\\n' "$*" >> "$LOG"
case "$1 $2" in
  "exec -i") while [ "$1" != -- ]; do shift; done; shift; exec "$@" ;;
  "get secret") printf 'the-new-password' ;;
  "get deployment,statefulset") printf 'Deployment/authorization 2\\nStatefulSet/runai-backend-postgresql 1\\n' ;;
  "get pods") echo 'runai-backend-postgresql-0 1/1 Running' ;;
  "apply --server-side") cat >> "$APPLIED" ;;
esac
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    store = tmp_path_factory.mktemp("store")
    with postgres() as server:
        fill(server)
        quoted = ODD.replace('"', '""')
        server.sql(f'CREATE DATABASE "{quoted}"')
        server.sql("CREATE TABLE things AS SELECT generate_series(1, 7) n", ODD)
        parts = [*sources(server), of_bytes("nodes", "nodes", "nodes.json", json.dumps(_NODES).encode(), objects=1)]
        set_id = take(store, parts)
    return Stored(store, set_id)


def _manifest(stored: Stored, **changes: Any) -> Manifest:
    return Manifest.model_validate({**stored.document, **changes})


def _bash(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail\n{script}"],
        cwd=folder,
        env={**environment(folder), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_order_is_the_vendors(stored: Stored) -> None:
    names = [step.name for step in restore_plan.make(_manifest(stored), "file:///srv/backups").steps]
    assert names == [
        *("prepare", "new-cluster", "volumes", "control-plane"),
        *("stop-writers", "database-roles", f"database-{part_name(ODD)}"),
        *("database-backend", "database-keycloak", "start-writers"),
        *("cluster-part", "runaiconfig", "resources-projects", "node-labels", "conclude"),
    ]


def test_what_the_set_lacks_is_told(stored: Stored) -> None:
    document = stored.document
    parts = [part for part in document["parts"] if part["kind"] in ("helm-values", "resources")]
    plan = restore_plan.make(_manifest(stored, parts=parts), "file:///srv/backups")
    said = " ".join(plan.warnings)
    for lacking in ("no runaiconfig/runai", "no database:", "no database-globals", "version of runai-backend"):
        assert lacking in said
    assert "runaiconfig" not in [step.name for step in plan.steps]


def test_versions_are_those_that_were_saved(stored: Stored) -> None:
    versions = {"runai-backend": "2.20.22", "runai-cluster": "2.20.21", "kubernetes": "v1.34.4"}
    text = as_script(restore_plan.make(_manifest(stored, versions=versions), "file:///srv/backups"))
    assert "helm upgrade --install runai-backend runai-backend/control-plane --namespace runai-backend" in text
    assert "--version 2.20.22" in text
    assert "--version 2.20.21" in text
    assert "v1.34.4" in text


@pytest.mark.parametrize("store", ["file:///srv/ba ckups", "s3://bucket/prefix", "gs://bucket"])
def test_the_script_is_a_script(stored: Stored, tmp_path: Path, store: str) -> None:
    made = restore_plan.make(_manifest(stored), store, "/keys/it's mine.txt", Database(host="db.local", secret="their"))
    script = tmp_path / "plan.sh"
    script.write_text(as_script(made))
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_that_a_set_or_its_values_say_becomes_a_command(stored: Stored) -> None:
    """Even of a manifest that was not validated, and of values that anybody may have written."""
    parts = tuple(part.model_copy(update={"encrypted": True}) for part in _manifest(stored).parts)
    update = {"cluster_uid": "u\ntouch owned #", "recipients": ("age1\ntouch owned #",), "parts": parts}
    manifest = _manifest(stored).model_copy(update=update)
    where = Database(user="u'; touch owned; '", key="k'\ntouch owned #", secret="s; touch owned")
    text = as_script(restore_plan.make(manifest, "file:///srv/backups", database=where))
    words = [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith(("touch", "export KEY"))]
    assert words == [["export", "KEY=FILE"]]
    assert "age1" in text


def test_an_encrypted_set_is_decrypted_in_a_pipe_and_no_secret_is_in_the_plan(tmp_path: Path) -> None:
    key = pyrage.x25519.Identity.generate()
    values = {"global": {"postgresql": {"auth": {"postgresPassword": "s3cret", "existingSecret": "theirs"}}}}
    parts = [
        of_bytes("helm-values", "runai-backend", "helm/runai-backend.json", json.dumps(values).encode()),
        of_bytes("database", "backend", "postgresql/backend.dump", b"PGDMP"),
    ]
    (tmp_path / "store").mkdir()
    set_id = take(tmp_path / "store", parts, [str(key.to_public())])
    file = tmp_path / "key.txt"
    file.write_text(str(key))
    path = configuration(tmp_path, tmp_path / "store", file)

    ended = downtime(tmp_path, "restore-plan", set_id, "--config", str(path))
    assert ended.code == 0, ended.err
    assert f"export KEY={file}" in ended.out
    assert 'age --decrypt --identity "$KEY" "$SET"/postgresql/backend.dump.age' in ended.out
    assert "get secret -n runai-backend theirs" in ended.out
    assert "s3cret" not in ended.out
    assert str(key) not in ended.out

    without = downtime(tmp_path, "restore-plan", "latest", "--config", str(configuration(tmp_path, tmp_path / "store")))
    assert without.code == 0
    assert "# WARN: Where the private key is" in without.out


def test_the_command_ends_by_the_contract(stored: Stored, tmp_path: Path) -> None:
    path = str(configuration(tmp_path, stored.store))
    ended = in_this_process("restore-plan", stored.id, "--config", path, "--output", "json")
    assert ended.code == 0
    assert ended.document["set"] == stored.id
    assert "sha256sum" in " ".join(ended.document["steps"][0]["commands"])
    ended = in_this_process("restore-plan", "no-such-set", "--config", path, "--output", "json")
    assert (ended.code, ended.error["code"]) == (3, "manifest-missing")
    assert in_this_process("restore-plan").code == 2


def test_a_changed_file_stops_before_anything_is_done(stored: Stored, tmp_path: Path) -> None:
    step = restore_plan.make(_manifest(stored), str(stored.store)).steps[0]
    script = "\n".join(step.commands)
    assert _bash(script, tmp_path).returncode == 0
    file = stored.file("helm-values", "runai-backend")
    before = file.read_bytes()
    try:
        file.write_bytes(before + b" ")
        done = _bash(script, tmp_path)
    finally:
        file.write_bytes(before)
    assert done.returncode == 1
    assert "helm/runai-backend.json: FAILED" in done.stdout


def test_the_database_steps_restore_the_set_over_a_new_installation(stored: Stored, tmp_path: Path) -> None:
    """All of it really run: a new server with empty databases takes roles, data, owners; the new superuser stays."""
    plan = restore_plan.make(_manifest(stored), str(stored.store))
    wanted = ("prepare", "stop-writers", "database-", "start-writers")
    commands = [command for step in plan.steps if step.name.startswith(wanted) for command in step.commands]
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(_KUBECTL)
    kubectl.chmod(0o755)
    programs = find(SERVER, 0)
    with scratch_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        with scratch_server(programs) as server:
            place = {"PGHOST": server.variables["PGHOST"], "PGPORT": "5432"}
            server.query("postgres", "CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'new';", 30)
            before = server.query("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres';", 30)
            server.query("postgres", "CREATE ROLE backend LOGIN;", 30)
            server.query("postgres", "CREATE DATABASE backend;", 30)
            server.query("backend", "CREATE TABLE users_of_the_new_installation ();", 30)
            path = f"{kubectl.parent}:{programs.folder}:{os.environ['PATH']}"
            done = _bash("\n".join(commands), tmp_path, PATH=path, LOG=str(tmp_path / "log"), **place)
            assert done.returncode == 0, done.stderr
            assert f"public.users | {ROWS} | {ROWS}".replace(" ", "") in done.stdout.replace(" ", "")
            assert "public.things|7|7" in done.stdout.replace(" ", ""), "of the database with the odd name"
            owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'users';"
            assert server.query("backend", owner, 30) == ["backend"]
            assert server.query("keycloak", "SELECT count(*) FROM realm;", 30) == ["2"]
            assert server.query("backend", "SELECT to_regclass('users_of_the_new_installation');", 30) == [""]
            after = server.query("postgres", "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres';", 30)
            assert after == before
            assert SUPERUSER in server.query("postgres", "SELECT rolname FROM pg_roles;", 30)
    log = (tmp_path / "log").read_text()
    assert "scale -n runai-backend Deployment/authorization --replicas=0" in log
    assert "scale -n runai-backend Deployment/authorization --replicas=2" in log
    assert "StatefulSet/runai-backend-postgresql --replicas" not in log
    assert "the-new-password" not in log


def test_objects_are_applied_whole_without_what_the_old_server_set(stored: Stored, tmp_path: Path) -> None:
    """What the shell's filter leaves is what the rehearsal puts before an API server."""
    applied = tmp_path / "applied"
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(_KUBECTL)
    kubectl.chmod(0o755)
    path = f"{kubectl.parent}:{os.environ['PATH']}"
    for kind, name in (("resources", "projects"), ("runaiconfig", "runai")):
        (part,) = [one for one in _manifest(stored).files if (one.kind, one.name) == (kind, name)]
        applied.write_text("")
        script = f'export SET="{stored.folder}"\n{restore_commands.apply(part)}'
        done = _bash(script, tmp_path, PATH=path, LOG=str(tmp_path / "log"), APPLIED=str(applied))
        assert done.returncode == 0, done.stderr
        found = restorable.objects(applied.read_bytes())
        wanted = [project("team-a"), project("team-b")] if kind == "resources" else [RUNAICONFIG]
        assert found == [restorable.restorable(dict(one)) for one in wanted]


def test_labels_of_nodes_become_commands_that_no_value_breaks_out_of(stored: Stored, tmp_path: Path) -> None:
    (part,) = [one for one in _manifest(stored).files if one.kind == "nodes"]
    script = tmp_path / "bin" / "kubectl"
    script.parent.mkdir()
    script.write_text('#!/bin/bash\nprintf "%s|" "$@" >> "$LOG"; echo >> "$LOG"\n')
    script.chmod(0o755)
    commands = "\n".join(restore_commands.nodes(part))
    done = _bash(
        f'export SET="{stored.folder}" WORK="{tmp_path}"\n{commands}',
        tmp_path,
        PATH=f"{script.parent}:{os.environ['PATH']}",
        LOG=str(tmp_path / "log"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text().splitlines() == [
        "label|node|gpu-1|node-role.kubernetes.io/runai-gpu-worker=|--overwrite|",
        "label|node|gpu-1|rack=it's 4; touch x|--overwrite|",
        "annotate|node|gpu-1|owner=ops team|--overwrite|",
        "taint|node|gpu-1|dedicated=x:NoSchedule|--overwrite|",
        "taint|node|gpu-1|odd=:NoExecute|--overwrite|",
    ]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Database()),
        ({"postgresql": {"auth": {"existingSecret": "own"}}}, Database(secret="own")),
        (
            {
                "postgresql": {"enabled": False},
                "global": {
                    "postgresql": {"auth": {"host": "db", "port": 6432, "username": "u", "existingSecret": "s"}}
                },
            },
            Database("db", 6432, "u", "s", "password", "postgres-password"),
        ),
        (
            {
                "postgresql": {"enabled": False, "auth": {"existingSecret": "of-the-chart-inside"}},
                "global": {"postgresql": {"auth": {"host": "db", "password": "s3cret"}}},
            },
            Database("db", secret="", key="", path="global.postgresql.auth.password"),
        ),
        (
            {
                "postgresql": {"enabled": False},
                "global": {"postgresql": {"auth": {"host": "db", "existingSecret": "s", "existingSecretKey": "k"}}},
            },
            Database("db", secret="s", key="k"),
        ),
    ],
)
def test_the_database_is_where_the_saved_values_say(values: dict[str, Any], expected: Database) -> None:
    assert database_of(values) == expected


def test_a_password_among_the_saved_values_is_read_from_them(stored: Stored, tmp_path: Path) -> None:
    """Hazard: backup and plan look for the password of a server outside in different places."""
    values = {
        "postgresql": {"enabled": False},
        "global": {"postgresql": {"auth": {"host": "db", "password": "s3 'cret"}}},
    }
    (part,) = [one for one in _manifest(stored).files if one.name == "runai-backend"]
    (tmp_path / "helm").mkdir()
    (tmp_path / "helm" / Path(part.path or "").name).write_text(json.dumps(values))
    function = restore_commands.password(database_of(values), part)
    assert "s3" not in function
    done = _bash(f'export SET="{tmp_path}"\n{function}\npassword', tmp_path)
    assert (done.returncode, done.stdout) == (0, "s3 'cret\n")
