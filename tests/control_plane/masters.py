"""Three simulated control-plane nodes: a lab of their own, the product made impatient, and what etcd is to say."""

from __future__ import annotations

from dataclasses import dataclass

from cluster import api as apis
from cluster import etcd
from cluster.config import Settings
from cluster.etcd_members import EtcdView
from cluster.options import PlannedOptions
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from lab.simulated.control import request
from tests.control_plane import driving
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import record_of

NAMES = ("master-1", "master-2", "master-3")
ACCEPTED = {name: driving.UNATTENDED.model_copy(update={"accept_lost_tolerance": name}) for name in NAMES}
"""Through planned maintenance without a person, as far as the typed name goes."""
HELD = {name: one.model_copy(update={"shut_down": False, "hold": True}) for name, one in ACCEPTED.items()}
"""Drained, and then waiting for a person."""


@dataclass(frozen=True)
class Masters:
    """A lab with three control-plane nodes."""

    lab: Lab
    api: Api

    @property
    def settings(self) -> Settings:
        quick = {"back_minutes": 0.3, "off_minutes": 1, "gpu_minutes": 0.5, "stable_seconds": 2}
        return settings_of(self.lab, hosts={"connect_timeout": 1.0}, drain=quick)

    def fault(self, node: str, name: str, *, present: bool = True) -> None:
        """Set or clear a fault of a host."""
        request(self.lab, do="fault", node=node, fault=name, present=present)

    def etcd(self, apart: str = "") -> EtcdView:
        """What the product sees of etcd."""
        settings = self.settings
        return etcd.look(apis.connect(settings.cluster), settings, apart)

    def events(self, node: str) -> list[str]:
        """Reasons of the Events about a node."""
        found = self.api.items(f"/api/v1/events?fieldSelector=involvedObject.name={node}")
        return [one["reason"] for one in found]

    def put_right(self) -> None:
        """Whatever a test did: no fault, all machines on, no node in downtime."""
        for node in NAMES:
            for name in ("etcd-down", "etcd-unhealthy", "etcd-mute", "crictl-missing", "ssh-refused", "other-machine"):
                self.fault(node, name, present=False)
            if power(self.lab, node, "status") == "off":
                power(self.lab, node, "on")
        for node in NAMES:
            record = record_of(self.api, node)
            if record is not None and record["phase"] != "closed":
                driving.abort(self.settings, node)
        until(self._whole, seconds=60, what="all masters are Ready and members of etcd")

    def _whole(self) -> bool:
        nodes = [self.api.get(f"/api/v1/nodes/{node}") for node in NAMES]
        ready = all(
            any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])
            for node in nodes
        )
        return ready and list(self.etcd().voting.values()) == [True] * 3


def planned(masters: Masters, node: str, options: PlannedOptions | None = None) -> dict[str, object]:
    """Take a node through planned maintenance; its record."""
    record = driving.run(masters.settings, node, options or ACCEPTED[node])
    return record.model_dump(mode="json")
