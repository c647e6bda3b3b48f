"""What a backup set is made of, read from a cluster: in the database's pod, from Helm's Secrets, from the API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster import config, database_server, databases, gathering, helm_releases
from cluster.api import Api, connect
from cluster.config import Settings
from cluster.errors import Blocked, DowntimeError
from cluster.helm_releases import Release
from cluster.part_source import FileSource, Gathered, Produced
from lab.api import Api as LabApi
from lab.layout import Lab
from lab.postgresql import server
from lab.simulated import pod_exec
from tests.control_plane.backing_up import configured, connected
from tests.control_plane.test_cli_permissions import account_configuration, granted

__all__ = ["configured", "connected", "granted"]

DATABASE = "runai-backend-postgresql-0"


class Collected:
    """A sink that keeps what it is given, and may do something when it has had so much of it."""

    def __init__(self, then: Callable[[], object] = lambda: None, after: int = 1) -> None:
        self.content = b""
        self._then, self._after, self._done = then, after, False

    def write(self, data: bytes, /) -> int:
        self.content += data
        if len(self.content) >= self._after and not self._done:
            self._done = True
            self._then()
        return len(data)


@pytest.fixture(scope="module")
def gathered(api: Api, settings: Settings) -> Gathered:
    return gathering.gather(api, settings)


@pytest.fixture
def large(lab: Lab) -> Iterator[str]:
    """A table that is hardly to be compressed, so that a dump is no matter of one piece."""
    server.query(lab, "backend", "CREATE TABLE noise AS SELECT md5(random()::text) a FROM generate_series(1, 200000)")
    # A lab's server commits asynchronously: a crash right afterwards would lose the table.
    server.query(lab, "backend", "CHECKPOINT")
    yield "public.noise"
    server.query(lab, "backend", "DROP TABLE noise")


def part(gathered: Gathered, kind: str, name: str) -> FileSource:
    found = [one for one in gathered.sources if (one.kind, one.name) == (kind, name)]
    assert len(found) == 1, [(one.kind, one.name) for one in gathered.sources]
    assert isinstance(found[0], FileSource)
    return found[0]


def document(gathered: Gathered, kind: str, name: str) -> tuple[dict[str, object], Produced]:
    sink = Collected()
    produced = part(gathered, kind, name).produce(sink)
    return json.loads(sink.content), produced


def test_all_that_the_vendor_tells_to_save_is_found(gathered: Gathered) -> None:
    assert gathered.warnings == ()
    kinds = [(one.kind, one.name) for one in gathered.sources]
    assert kinds[0] == ("runaiconfig", "runai")
    assert {
        ("helm-values", "runai-backend"),
        ("helm-values", "runai-cluster"),
        ("database-globals", "globals"),
        ("database", "backend"),
        ("database", "keycloak"),
        ("metrics", "thanos"),
        ("nodes", "nodes"),
        ("resources", "projects"),
        ("resources", "queues"),
        ("resources", "nodepools"),
    } <= set(kinds)
    assert not [name for kind, name in kinds if "workload" in name or name in ("runaijobs", "podgroups")]
    assert gathered.versions["runai-backend"] == "2.20.22"
    assert gathered.versions["kubernetes"].startswith("v1.")


def test_the_runaiconfig_is_whole_and_can_be_applied_again(gathered: Gathered, lab_api: LabApi) -> None:
    """The vendor's page saves its spec alone, which cannot."""
    body, produced = document(gathered, "runaiconfig", "runai")
    assert produced.objects == 1
    assert {"apiVersion", "kind", "metadata", "spec", "status"} <= set(body)
    path = "/apis/run.ai/v1/namespaces/runai/runaiconfigs"
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    again = body | {"metadata": {"name": "again", "namespace": metadata["namespace"]}}
    assert lab_api.create(f"{path}?dryRun=All", again)["spec"] == body["spec"]


def test_resources_are_a_list_that_kubectl_applies(gathered: Gathered) -> None:
    body, produced = document(gathered, "resources", "projects")
    assert (body["apiVersion"], body["kind"]) == ("v1", "List")
    items = body["items"]
    assert isinstance(items, list)
    assert produced.objects == len(items) >= 2
    assert {one["metadata"]["name"] for one in items} >= {"team-a", "team-b"}
    assert not [one for one in items if "managedFields" in one["metadata"]]


def test_values_are_the_administrators_own_and_those_of_the_deployed_revision(gathered: Gathered, lab: Lab) -> None:
    values, _ = document(gathered, "helm-values", "runai-backend")
    password = server.password(lab)
    assert json.dumps(values).count(password) == 1
    assert "postgresql" not in values
    about, _ = document(gathered, "helm-release", "runai-backend")
    assert (about["chart"], about["version"], about["status"]) == ("control-plane", "2.20.22", "deployed")


def test_nodes_are_kept_with_their_roles_and_without_what_others_bring_back(gathered: Gathered) -> None:
    body, produced = document(gathered, "nodes", "nodes")
    nodes = body["nodes"]
    assert isinstance(nodes, list)
    assert produced.objects == len(nodes)
    system = next(one for one in nodes if one["name"] == "system-1")
    assert "runai-system" in system["roles"]
    assert "node-role.kubernetes.io/runai-system" in system["labels"]
    assert not [key for one in nodes for key in one["labels"] if key.startswith("kubernetes.io/")]


def test_a_dump_through_exec_holds_what_was_counted(gathered: Gathered, lab: Lab) -> None:
    sink = Collected()
    produced = part(gathered, "database", "backend").produce(sink)
    assert sink.content.startswith(b"PGDMP")
    assert produced.tables is not None
    assert produced.tables["workloads.workloads"] == int(
        server.query(lab, "backend", "SELECT count(*) FROM workloads.workloads")
    )
    assert produced.entries is not None
    assert produced.entries > 50


def test_metrics_are_a_tar(gathered: Gathered) -> None:
    sink = Collected()
    part(gathered, "metrics", "thanos").produce(sink)
    assert len(sink.content) % 512 == 0
    assert sink.content.endswith(bytes(1024))


def test_exec_that_is_refused_right_after_a_restart_is_waited_out(
    gathered: Gathered, lab: Lab, api: Api, settings: Settings
) -> None:
    with pod_exec.refused(lab, times=3):
        assert gathering.gather(api, settings).versions == gathered.versions
        assert pod_exec.left(lab) == 0
    sink = Collected()
    with pod_exec.refused(lab, times=3):
        part(gathered, "database", "keycloak").produce(sink)
    assert sink.content.startswith(b"PGDMP")


@pytest.mark.usefixtures("large")
def test_a_dump_that_is_killed_in_the_middle_fails_and_the_next_one_is_whole(gathered: Gathered, lab: Lab) -> None:
    source = part(gathered, "database", "backend")
    with pod_exec.killed_after(lab, 500_000, times=2), pytest.raises(DowntimeError) as raised:
        source.produce(Collected())
    assert raised.value.code in {"database-tool", "exec-broken"}
    assert "137" in raised.value.message or "cut off" in raised.value.message
    assert source.produce(Collected()).tables == source.produce(Collected()).tables


@pytest.mark.usefixtures("large")
def test_a_pod_that_goes_in_the_middle_fails_and_the_new_pod_is_waited_for(gathered: Gathered, lab: Lab) -> None:
    source = part(gathered, "database", "backend")
    killed: list[int] = []
    sink = Collected(lambda: killed.append(pod_exec.kill(lab, "runai-backend", DATABASE)), after=300_000)
    with pytest.raises(DowntimeError) as raised:
        source.produce(sink)
    assert raised.value.code in {"database-tool", "exec-broken"}
    assert killed[0] >= 1
    produced = source.produce(Collected())
    assert produced.tables is not None
    assert "public.noise" in produced.tables


def test_a_server_that_crashes_in_the_middle_fails_and_is_waited_for(
    gathered: Gathered, lab: Lab, api: Api, settings: Settings, large: str
) -> None:
    source = part(gathered, "database", "backend")
    with pytest.raises(DowntimeError):
        source.produce(Collected(lambda: server.stop_server(lab), after=300_000))
    again = threading.Timer(2, lambda: server.run_server(lab))
    again.start()
    try:
        found = gathering.gather(api, settings)
    finally:
        again.join()
    produced = part(found, "database", "backend").produce(Collected())
    assert produced.tables is not None
    assert large in produced.tables


def test_a_wrong_password_names_the_secret_and_shows_no_value(lab: Lab, api: Api, settings: Settings) -> None:
    right = server.password(lab)
    server.set_password(lab, "changed-in-the-server-alone")
    try:
        with pytest.raises(Blocked) as raised:
            gathering.gather(api, settings)
    finally:
        server.set_password(lab, right)
    assert raised.value.code == "database-login"
    assert "sh.helm.release.v1.runai-backend.v2" in raised.value.message
    assert right not in str(raised.value)
    assert "changed-in" not in str(raised.value)


def test_the_password_is_in_no_list_of_processes(gathered: Gathered, lab: Lab, large: str) -> None:
    password = server.password(lab).encode()
    seen: list[bytes] = []

    def look() -> None:
        for one in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(one.read_bytes())
            except OSError:
                continue

    produced = part(gathered, "database", "backend").produce(Collected(look, after=300_000))
    assert produced.tables is not None
    assert large in produced.tables
    assert any(b"pg_dump" in one for one in seen)
    assert not [one for one in seen if password in one]


def test_an_external_server_is_read_with_this_machines_tools(lab: Lab, api: Api) -> None:
    values = {
        "postgresql": {"enabled": False},
        "global": {
            "postgresql": {
                "auth": {
                    "host": "127.0.0.1",
                    "port": server.port_of(lab),
                    "username": "postgres",
                    "existingSecret": "runai-backend-postgresql",
                }
            }
        },
    }
    release = Release("runai-backend", "runai-backend", 3, "deployed", "s", "control-plane", "2", "2", values, {})
    found = database_server.find(api, release)
    assert found.pod is None
    assert databases.look(found).databases == ("backend", "keycloak")
    dump = next(one for one in databases.sources(found, databases.look(found)) if one.name == "keycloak")
    sink = Collected()
    dump.produce(sink)
    assert sink.content.startswith(b"PGDMP")


def test_a_cluster_without_the_release_is_told_so(api: Api) -> None:
    with pytest.raises(Blocked, match="no Helm release runai-backend in namespace runai-reservation"):
        helm_releases.newest(api, "runai-reservation", "runai-backend")


@pytest.mark.usefixtures("granted")
def test_documented_permissions_are_enough_for_a_backup(lab: Lab, lab_api: LabApi, tmp_path: Path) -> None:
    own = config.load(Path(account_configuration(lab, lab_api, tmp_path, "runai-downtime")))
    found = gathering.gather(connect(own.cluster, patience=5), own)
    assert found.warnings == ()
    for one in found.sources:
        assert isinstance(one, FileSource)
        one.produce(Collected())
