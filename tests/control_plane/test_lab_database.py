"""The database behind its simulated pod: commands run in it as in a real one, and fail as they do in a real one."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.postgresql import contents, server
from lab.simulated import pod_exec
from tests.control_plane.conftest import lab_command

NAMESPACE, POD, METRICS = "runai-backend", "runai-backend-postgresql-0", "runai-backend-thanos-receive-0"
# Reads the password as a line of standard input: it is in no command line.
WITH_PASSWORD = 'read -r PGPASSWORD; export PGPASSWORD; exec "$@"'


def in_pod(lab: Lab, *command: str, text: bytes = b"", pod: str = POD) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a pod, as a person would."""
    kubectl = [str(lab.bin / "kubectl"), f"--kubeconfig={lab.kubeconfig}", "exec", "-i", "-n", NAMESPACE, pod, "--"]
    return subprocess.run([*kubectl, *command], input=text, capture_output=True, timeout=60, check=False)


def as_administrator(lab: Lab, password: str, *command: str) -> subprocess.CompletedProcess[bytes]:
    return in_pod(lab, "sh", "-c", WITH_PASSWORD, "sh", *command, text=f"{password}\n".encode())


def told_password(api: Api) -> str:
    """What the cluster tells: the Secret that the chart makes."""
    secret = api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/runai-backend-postgresql")
    return base64.b64decode(secret["data"]["postgres-password"]).decode()


@pytest.fixture
def without_faults(lab: Lab) -> Iterator[Lab]:
    yield lab
    pod_exec.clear(lab)


def test_a_dump_through_the_api_is_whole(lab: Lab, lab_api: Api) -> None:
    done = as_administrator(lab, told_password(lab_api), "pg_dump", "-Fc", "-U", "postgres", "backend")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"PGDMP")
    listed = subprocess.run(["pg_restore", "--list"], input=done.stdout, capture_output=True, timeout=30, check=True)
    assert b"TABLE DATA public audit_logs" in listed.stdout
    assert b"MATERIALIZED VIEW public gpu_hours" in listed.stdout


def test_both_databases_and_the_roles_are_there(lab: Lab) -> None:
    assert {"backend", "keycloak"} <= set(server.query(lab, "postgres", "SELECT datname FROM pg_database").splitlines())
    assert server.query(lab, "keycloak", "SELECT count(*) FROM user_entity") == "500"
    assert contents.query(lab, "SELECT rolname FROM pg_roles WHERE rolname = 'reporting'") == "reporting"


def test_without_the_password_nobody_comes_in(lab: Lab) -> None:
    done = in_pod(lab, "psql", "-w", "-U", "postgres", "-c", "SELECT 1")
    assert done.returncode == 2
    assert b"no password supplied" in done.stderr


def test_another_password_in_the_server_than_the_secret_tells(lab: Lab, lab_api: Api) -> None:
    told = told_password(lab_api)
    try:
        server.set_password(lab, "changed by hand")
        done = as_administrator(lab, told, "psql", "-w", "-U", "postgres", "-c", "SELECT 1")
        assert done.returncode == 2
        assert b"password authentication failed" in done.stderr
    finally:
        server.set_password(lab, told)


def test_exit_status_and_the_end_of_input_are_real(lab: Lab) -> None:
    assert in_pod(lab, "sh", "-c", "exit 7").returncode == 7
    assert in_pod(lab, "cat", text=bytes(range(256)) * 1000).stdout == bytes(range(256)) * 1000
    missing = in_pod(lab, "no-such-program")
    assert b"executable file not found" in missing.stderr
    assert missing.returncode == 1


def test_commands_are_refused_as_after_a_restart_and_then_are_not(without_faults: Lab) -> None:
    with pod_exec.refused(without_faults, 2):
        for _ in range(2):
            done = in_pod(without_faults, "true")
            assert done.returncode == 1
            assert b"unable to upgrade connection: pod does not exist" in done.stderr
        assert in_pod(without_faults, "true").returncode == 0


def test_a_command_is_killed_in_the_middle_of_what_it_writes(without_faults: Lab) -> None:
    with pod_exec.killed_after(without_faults, 100_000):
        done = in_pod(without_faults, "sh", "-c", "exec cat /dev/zero")
    assert done.returncode == 137
    assert len(done.stdout) == 100_000


def test_the_pod_goes_with_what_runs_in_it_and_comes_again(lab: Lab, lab_api: Api) -> None:
    where = f"/api/v1/namespaces/{NAMESPACE}/pods/{POD}"
    before = lab_api.get(where)["metadata"]["uid"]
    kubectl = [str(lab.bin / "kubectl"), f"--kubeconfig={lab.kubeconfig}", "exec", "-n", NAMESPACE, POD]
    with subprocess.Popen([*kubectl, "--", "sh", "-c", "echo up; sleep 60"], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        began = time.monotonic()
        assert pod_exec.kill(lab, NAMESPACE, POD) >= 1
        assert running.wait(20) == 137
        assert time.monotonic() - began < 20

    def again() -> bool:
        found = lab_api.find(where)
        return bool(found and found["metadata"]["uid"] != before and found["status"]["phase"] == "Running")

    until(again, seconds=30, what="the pod of the database does not come again")
    assert server.query(lab, "backend", "SELECT 1") == "1"


def test_the_folder_of_metrics_is_read_by_tar(lab: Lab, lab_api: Api) -> None:
    pod = lab_api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{METRICS}")
    (mount,) = [one for one in pod["spec"]["containers"][0]["volumeMounts"] if one["name"] == "data"]
    done = in_pod(lab, "tar", "-cf", "-", "-C", mount["mountPath"], ".", pod=METRICS)
    assert done.returncode == 0, done.stderr
    names = subprocess.run(["tar", "-t"], input=done.stdout, capture_output=True, timeout=30, check=True).stdout
    assert b"chunks/000001" in names
    claim = lab_api.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/data-{METRICS}")
    assert claim["status"]["phase"] == "Bound"


def test_the_database_is_made_larger_and_the_faults_are_set_on_command(without_faults: Lab) -> None:
    name = ("--name", without_faults.name)
    before = lab_command("database", *name).stdout
    grown = lab_command("database", "--grow", "8", *name)
    assert grown.returncode == 0, grown.stderr
    assert int(grown.stdout.split()[0]) - int(before.split()[0]) in range(5, 12)
    assert lab_command("exec-fault", "--refuse", "--times", "3", *name).stdout == "faults left: 3\n"
    assert in_pod(without_faults, "true").returncode == 1
    assert lab_command("exec-fault", *name).stdout == "faults left: 0\n"


def test_no_command_line_shows_the_password(lab: Lab) -> None:
    password = server.password(lab).encode()
    assert password
    for log in lab.logs.iterdir():
        assert password not in log.read_bytes(), log
    settings = (lab.folder / "pod-exec.json").read_bytes()
    assert password not in settings
