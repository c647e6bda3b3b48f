"""A lab's stand-in of Run:ai's REST API, and a configuration that names it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.config import Settings
from cluster.runai_config import RunaiSettings
from cluster.secret_refs import SecretRef
from lab.layout import Lab
from lab.runai import rest_faults, rest_process
from tests.control_plane.protocol_settings import settings_of

JSON = dict[str, Any]


@dataclass(frozen=True)
class RestApi:
    """The stand-in, used as a researcher's program would use it."""

    lab: Lab

    @property
    def url(self) -> str:
        return rest_process.url(self.lab)

    @property
    def secret(self) -> str:
        return rest_process.secret_file(self.lab).read_text()

    def settings(self, base: Settings | None = None, **values: Any) -> Settings:
        """The lab's configuration, impatient, with the API in it."""
        chosen = {"timeout": 3, "patience": 4, "stop_minutes": 0.5, **values}
        section = RunaiSettings(
            url=self.url,
            client_id=rest_process.CLIENT,
            client_secret=SecretRef(file=rest_process.secret_file(self.lab)),
            **chosen,
        )
        return (base or settings_of(self.lab)).model_copy(update={"runai": section})

    def variables(self) -> dict[str, str]:
        """The same for a process."""
        reference = json.dumps({"file": str(rest_process.secret_file(self.lab))})
        return {
            "DOWNTIME_RUNAI__URL": self.url,
            "DOWNTIME_RUNAI__CLIENT_ID": rest_process.CLIENT,
            "DOWNTIME_RUNAI__CLIENT_SECRET": reference,
            "DOWNTIME_RUNAI__TIMEOUT": "2",
            "DOWNTIME_RUNAI__PATIENCE": "4",
            "DOWNTIME_RUNAI__STOP_MINUTES": "0.5",
        }

    def call(self, method: str, path: str) -> JSON:
        """One request of somebody else."""
        body = {"grantType": "app_token", "appID": rest_process.CLIENT, "appSecret": self.secret}
        token = self._send("POST", "/api/v1/token", json.dumps(body).encode(), {})["accessToken"]
        return self._send(method, f"/api/v1/workloads/{path}", b"", {"Authorization": f"Bearer {token}"})

    def phase(self, id_: str) -> str:
        return str(self.call("GET", id_)["phase"])

    def knows(self, id_: str) -> bool:
        """Whether there is such a workload."""
        try:
            self.call("GET", id_)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        return True

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> JSON:
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.url + path, data=body or None, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.loads(answer.read()))

    def clear(self) -> None:
        """Nothing goes wrong with it any more."""
        rest_faults.clear(self.lab)

    @contextmanager
    def fault(self, name: str, times: int = -1) -> Iterator[None]:
        """Something goes wrong with it, until the end of the block."""
        rest_faults.set_fault(self.lab, name, times)
        try:
            yield
        finally:
            rest_faults.clear(self.lab)


@contextmanager
def running(lab: Lab) -> Iterator[RestApi]:
    """It, in a lab that has none."""
    rest_process.start(lab)
    try:
        yield RestApi(lab)
    finally:
        rest_process.stop(lab)
