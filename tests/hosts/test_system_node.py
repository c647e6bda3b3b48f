"""The only Run:ai system node of a real cluster goes down and comes back, while a GPU worker stands in for it.

The database and the metrics lie on a disk of that node: they are out meanwhile, a person agrees to it by the node's
name, and they come back with all that was in them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.api import Api
from lab.patience import until
from lab.postgresql import contents
from tests.hosts.conftest import HostsLab
from tests.hosts.product import EVICTING, Product, done_steps, nodes_down, record_of, the_record
from tests.hosts.standing import require_cycled_once, see

# Minutes of it; on simulated machines the same is tested each time.
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
NODE, STANDS_IN = "system-1", "gpu-2"
KEPT = {"runai-backend-postgresql", "runai-backend-thanos-receive"}
LABEL = "node-role.kubernetes.io/runai-system"


@pytest.fixture
def backed_out(product: Product) -> Iterator[Product]:
    """The product; what a failed test leaves of the system node is backed out of."""
    yield product
    left = record_of(product.hosts.api, NODE)
    if left is not None and left["phase"] != "closed":
        product.hosts.power(NODE, "on")
        product.run("abort", NODE, "--local")


def _system_pods(api: Api) -> dict[str, str]:
    """Where each part of the service that asks for a system node runs."""
    found = {}
    for namespace in ("runai", "runai-backend"):
        for pod in api.items(f"/api/v1/namespaces/{namespace}/pods"):
            if LABEL in (pod["spec"].get("nodeSelector") or {}) and "deletionTimestamp" not in pod["metadata"]:
                ready = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])
                found[pod["metadata"]["labels"]["app"]] = pod["spec"].get("nodeName", "") if ready else ""
    return found


def test_a_gpu_worker_stands_in_while_the_system_node_is_down(hosts_lab: HostsLab, backed_out: Product) -> None:
    api, product = hosts_lab.api, backed_out
    before, parts = see(hosts_lab, NODE), _system_pods(api)
    assert set(parts.values()) == {NODE}

    blocked = product.run("plan", "planned", NODE).expect(3)
    assert "last-system-node" in blocked.out
    assert "--designate NODE; the best are: gpu-" in " ".join(blocked.out.split())
    assert "master-1 (" not in blocked.out

    lines = contents.query(hosts_lab.lab, "SELECT count(*) FROM audit_logs")
    accepted = ("--yes", "--interactive", "evict", "--accept-outage", NODE)
    held = product.start("run", "planned", NODE, "--designate", STANDS_IN, *accepted)
    held.wait().expect(4)
    assert LABEL in hosts_lab.node(STANDS_IN)["metadata"]["labels"]
    without = {part: "" if part in KEPT else STANDS_IN for part in parts}
    assert _system_pods(api) == without, "all of the service but its data runs on the one that stands in"
    assert hosts_lab.power(NODE, "status") == "off"
    refused = product.run("run", "planned", STANDS_IN, *EVICTING, "--local").expect(3)
    assert f"stands in as a Run:ai system node for {NODE}" in refused.said

    if the_record(api, NODE)["options"]["power_on"] == "person":
        hosts_lab.power(NODE, "on")
    product.run("resume", NODE).expect(0)
    require_cycled_once(hosts_lab, NODE, before)
    until(lambda: _system_pods(api) == dict.fromkeys(parts, NODE), seconds=60, what="the service is not back")
    assert contents.query(hosts_lab.lab, "SELECT count(*) FROM audit_logs") == lines
    stood_in = hosts_lab.node(STANDS_IN)["metadata"]
    assert LABEL not in stood_in["labels"]
    assert "runai-downtime/designated" not in stood_in["annotations"]
    record = the_record(api, NODE)
    steps = done_steps(record)
    assert steps.index("designate") < steps.index("cordon")
    assert steps.index("uncordon") < steps.index("undesignate") < steps.index("close")
    assert all(change["state"] == "undone" for change in record["changes"])
    assert nodes_down(api) == []
