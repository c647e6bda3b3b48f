"""A node with notebooks on it, about which a person decides."""

from __future__ import annotations

from typing import Any

from cluster.config import Settings
from cluster.question import Question
from cluster.secret_refs import SecretRef
from cluster.waiting import nobody_to_ask
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai import objects
from lab.runai.workloads import Work, bare_pod, interactive
from tests.control_plane.conftest import MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import record_of

JSON = dict[str, Any]
ASKING = UNATTENDED.model_copy(update={"shut_down": False, "hold": True, "interactive": "ask"})
EVICTING = ASKING.model_copy(update={"interactive": "evict"})
NAMESPACE = "runai-team-a"
URL = "NOTIFY_OF_A_TEST"


class Ground:
    """One node with notebooks on it."""

    def __init__(self, lab: Lab, api: Api, node: str, make: MakeObject) -> None:
        self.lab, self.api, self.node, self._make = lab, api, node, make

    def notebook(self, name: str, user: str = "anna") -> JSON:
        made = self._make(interactive(name, Work(node=self.node, user=user, gpus=0, grace_seconds=1)))
        until(lambda: self.pods().get(f"{name}-0") == "Running", seconds=30, what=f"{name} does not run")
        return made

    def sneak_in(self, name: str) -> None:
        """Work that comes to a cordoned node: bound by hand, past the scheduler."""
        body = bare_pod(name, Work(user="emil", gpus=0, grace_seconds=1))
        body["spec"] |= {"nodeName": self.node}
        self._make(body)

    def stop(self, body: JSON) -> None:
        """What an owner does."""
        self.api.delete(objects.path(body), propagationPolicy="Background")

    def pods(self) -> dict[str, str]:
        found = self.api.items(f"/api/v1/namespaces/{NAMESPACE}/pods?fieldSelector=spec.nodeName={self.node}")
        return {pod["metadata"]["name"]: str(pod["status"].get("phase")) for pod in found}

    def settings(self, *, urls: tuple[str, ...] = (), **drain: Any) -> Settings:
        notify: dict[str, Any] = {"urls": [SecretRef(env=url) for url in urls], "send_seconds": 3.0}
        patient = {"eviction_minutes": 10 * SECOND, "notice_minutes": None, **drain}
        return settings_of(self.lab, drain=patient, notify=notify)

    @property
    def record(self) -> JSON:
        found = record_of(self.api, self.node)
        assert found is not None
        return found

    def answers(self) -> list[tuple[str, str, tuple[str, ...]]]:
        return [
            (one["who"], one["answer"], tuple(key.split("/")[-1] for key in one["items"]))
            for one in self.record["approvals"]
        ]


def only_about_work(question: Question) -> None:
    """The person is gone when the next question comes."""
    if question.subject != "interactive":
        raise nobody_to_ask(question)
