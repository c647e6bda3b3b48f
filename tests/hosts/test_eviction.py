"""Workloads evicted before the taint on a real host: a budget that holds, and a plugin of volumes that must go last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.api import JSON
from lab.patience import until
from lab.runai.objects import create, path
from lab.runai.workloads import IMAGE, Work, disruption_budget, interactive, training
from tests.hosts.conftest import HostsLab
from tests.hosts.product import Product, the_record
from tests.hosts.standing import require_unmoved, see
from tests.hosts.watching_nodes import Marks, watched
from tests.hosts.work import pods_of, working

NODE, NAMESPACE = "gpu-2", "runai-team-a"
BUDGET = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/strict"
GUARDED = interactive("guarded", Work(node=NODE, user="grace", gpus=0, grace_seconds=2))
FREE = training("free-to-go", Work(node=NODE, gpus=0, grace_seconds=2))
STAYING_UP = ("--yes", "--interactive", "evict", "--no-shut-down", "--hold", "--local")


def volume_plugin() -> JSON:
    """A DaemonSet with a socket where node plugins of CSI drivers have theirs, which does not tolerate the taint."""
    labels = {"release": "volume-plugin"}
    container = {"name": "plugin", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["lab-work"]}
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": NODE},
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "socket", "hostPath": {"path": "/var/lib/kubelet/plugins/csi.example.org"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "volume-plugin", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


@contextmanager
def strict_budget(hosts: HostsLab) -> Iterator[None]:
    """A budget that allows nothing for the guarded workload, once it was judged."""
    body = create(hosts.api, disruption_budget("strict", NAMESPACE, {"release": "guarded"}))
    try:
        until(
            lambda: hosts.api.get(BUDGET).get("status", {}).get("expectedPods"),
            seconds=30,
            what="no budget is judged",
        )
        yield
    finally:
        hosts.api.delete(path(body))


@pytest.mark.long
def test_budget_holds_with_429_is_named_then_released_and_the_plugin_of_volumes_goes_last(product: Product) -> None:
    hosts, before, plugin = product.hosts, see(product.hosts, NODE), volume_plugin()
    with working(hosts.api, GUARDED, FREE, plugin):
        with strict_budget(hosts):
            hurried = product.configured(DOWNTIME_DRAIN__EVICTION_MINUTES="0.55")
            refused = hurried.run("run", "planned", NODE, *STAYING_UP, "--eviction").expect(1)
            [guarded] = pods_of(hosts.api, GUARDED)
            assert f"{NAMESPACE}/{guarded['metadata']['name']} (of grace): refused" in refused.err
            assert "disruption budget strict needs" in refused.err
            assert f"{NAMESPACE}/volume-plugin" in refused.said, "the plan says why the taint comes last"
            assert "deletionTimestamp" not in guarded["metadata"]
            stands = see(hosts, NODE)
            assert (stands.cordoned, stands.drained) == (True, False)
        [daemon] = pods_of(hosts.api, plugin)
        with watched(hosts.api, NODE) as history:
            product.run("resume", NODE, "--local").expect(4)
        assert history.marks == [Marks(True, False, "cordon"), Marks(True, True, "cordon+taint")]
        record = the_record(hosts.api, NODE)
        gone = [pod for pod in pods_of(hosts.api, plugin) if pod["metadata"]["uid"] == daemon["metadata"]["uid"]]
        assert gone == [], "the taint took it away"
        assert record["steps"]["evict"]["state"] == "done"
        assert record["steps"]["evict"]["at"] <= record["steps"]["taint"]["at"]
        assert "of DaemonSets go with it" in record["steps"]["evict"]["proof"]
        assert any(one.startswith(f"{NAMESPACE}/volume-plugin") for one in record["found"]["csi"])
        product.run("abort", NODE, "--local").expect(0)
    require_unmoved(hosts, NODE, before)
