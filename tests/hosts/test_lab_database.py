"""The control plane's database on a real node: on a disk of that node, dumped by exec, there after a power cut."""

from __future__ import annotations

import subprocess

from lab.errors import LabError
from lab.patience import until
from lab.postgresql import contents
from tests.hosts.conftest import HostsLab
from tests.hosts.product import Product

NODE, NAMESPACE = "system-1", "runai-backend"
KEPT = ("runai-backend-postgresql-0", "runai-backend-thanos-receive-0")
COUNT = "SELECT count(*) FROM audit_logs"


def in_pod(hosts_lab: HostsLab, pod: str, script: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
    lab = hosts_lab.lab
    words = [str(lab.bin / "kubectl"), f"--kubeconfig={lab.kubeconfig}", "exec", "-i", "-n", NAMESPACE, pod, "--"]
    return subprocess.run(
        [*words, "sh", "-c", script], input=text.encode(), capture_output=True, timeout=60, check=False
    )


def test_its_dump_and_the_metrics_come_through_the_api(hosts_lab: HostsLab) -> None:
    password = hosts_lab.lab.folder / "postgres-password"
    dump = "read -r PGPASSWORD; export PGPASSWORD; exec pg_dump -Fc -U postgres backend"
    done = in_pod(hosts_lab, KEPT[0], dump, f"{password.read_text()}\n")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(["pg_restore", "--list"], input=done.stdout, capture_output=True, timeout=30, check=True)
    assert b"TABLE DATA public audit_logs" in listed.stdout
    refused = in_pod(hosts_lab, KEPT[0], "psql -w -U postgres")
    assert refused.returncode == 2
    assert b"no password supplied" in refused.stderr
    blocks = in_pod(hosts_lab, KEPT[1], "tar -cf - -C /var/thanos/receive .")
    names = subprocess.run(["tar", "-t"], input=blocks.stdout, capture_output=True, timeout=30, check=True).stdout
    assert b"chunks/000001" in names


def test_both_lie_on_a_disk_of_the_node_and_a_plan_says_that_they_will_be_out(product: Product) -> None:
    api = product.hosts.api
    for pod in KEPT:
        claim = api.get(f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/data-{pod}")
        volume = api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        assert NODE in str(volume["spec"]["nodeAffinity"])
    plan = product.run("plan", "planned", NODE, "--designate", "gpu-2", "--output", "json").document
    (outage,) = [one for one in plan["warnings"] if one["code"] == "local-volume-outage"]
    assert all(f"{NAMESPACE}/{pod}" in outage["message"] for pod in KEPT)


def test_after_a_power_cut_it_has_what_it_had(hosts_lab: HostsLab) -> None:
    before = contents.query(hosts_lab.lab, COUNT)
    hosts_lab.power(NODE, "reset")

    def answers() -> str:
        try:
            return contents.query(hosts_lab.lab, COUNT, seconds=20)
        except LabError:  # refused, unknown, not found, starting up: one after the other, for some seconds
            return ""

    assert until(answers, seconds=90, what="the database is not back") == before

    def unready() -> list[str]:
        pods = [
            one for space in ("runai", NAMESPACE) for one in hosts_lab.api.items(f"/api/v1/namespaces/{space}/pods")
        ]
        return [one["metadata"]["name"] for one in pods if not _ready(one)]

    until(lambda: not unready(), seconds=90, what=lambda: f"not ready again: {', '.join(unready())}")


def _ready(pod: dict[str, object]) -> bool:
    status = pod["status"]
    assert isinstance(status, dict)
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
