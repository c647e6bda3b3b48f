"""An API server's address moves to another host: the connection of a watch stays open, and nothing comes on it."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

from cluster import api as apis
from cluster.api import Object
from cluster.watching import until
from lab.api import Api as LabApi
from lab.layout import Lab
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_settings import settings_of

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
NAME = "silent-watch"
SECONDS = 120.0
REQUEST_SECONDS = 2.0


class FirstWatchIsSilent(Script):
    """Hands on everything but the first watch, which gets no answer at all."""

    def __init__(self) -> None:
        self.silent = threading.Event()

    async def before(self, request: Request) -> bool:
        if "watch=true" in request.path and not self.silent.is_set():
            self.silent.set()
            await asyncio.sleep(2 * SECONDS)
        return True


def test_watch_on_a_connection_that_went_silent_is_given_up_for_a_new_list(
    lab: Lab, lab_api: LabApi, relay: Relay, tmp_path: Path
) -> None:
    lab_api.create(CONFIGMAPS, {"metadata": {"name": NAME}, "data": {"is": "old"}})
    script = FirstWatchIsSilent()

    def change() -> None:
        script.silent.wait(SECONDS)
        lab_api.patch(f"{CONFIGMAPS}/{NAME}", {"data": {"is": "new"}})

    def judge(now: dict[str, Object]) -> bool | None:
        return True if any(one["data"]["is"] == "new" for one in now.values()) else None

    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        cluster = settings_of(lab).cluster.model_copy(
            update={"kubeconfig": kubeconfig, "request_timeout": REQUEST_SECONDS}
        )
        changing = threading.Thread(target=change)
        changing.start()
        began = time.monotonic()
        seen = until(
            apis.connect(cluster), CONFIGMAPS, judge, SECONDS, fields=f"metadata.name={NAME}", every=SECONDS + 1
        )
        took = time.monotonic() - began
        changing.join(SECONDS)
    lab_api.delete(f"{CONFIGMAPS}/{NAME}")
    assert script.silent.is_set()
    assert seen is True
    assert took < SECONDS / 2
