"""What happens to a node while something is done to it: every state that its object went through."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lab.api import JSON, Api, ApiError


class Marks(NamedTuple):
    """What stands on a node."""

    cordoned: bool
    drained: bool
    owned: str


def marks_of(node: JSON) -> Marks:
    taints = node["spec"].get("taints") or []
    drained = any((one["key"], one.get("value"), one["effect"]) == ("runai", "drain", "NoExecute") for one in taints)
    owns = node["metadata"]["annotations"].get("runai-downtime/owns", "")
    things = [thing for thing in ("cordon", "taint") if f'"{thing}"' in owns]
    return Marks(bool(node["spec"].get("unschedulable")), drained, "+".join(things))


class History:
    """The states of one node, each once, in order; and the boots that it reported."""

    def __init__(self) -> None:
        self.marks: list[Marks] = []
        self.boot_ids: list[str] = []
        self.lost = ""

    def see(self, node: JSON) -> None:
        marks, boot = marks_of(node), str(node["status"]["nodeInfo"]["bootID"])
        if not self.marks or self.marks[-1] != marks:
            self.marks.append(marks)
        if boot not in self.boot_ids:
            self.boot_ids.append(boot)


@contextmanager
def watched(api: Api, name: str) -> Iterator[History]:
    """Watch a node; the history is whole when the ``with`` has ended, or says what was lost."""
    history, over = History(), threading.Event()
    listed = api.get(f"/api/v1/nodes?fieldSelector=metadata.name={name}")
    history.see(listed["items"][0])

    def follow(version: str) -> None:
        while True:
            last_round = over.is_set()
            try:
                for event in api.watch("/api/v1/nodes", version, 2):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK" and event["object"]["metadata"]["name"] == name:
                        history.see(event["object"])
            except ApiError as error:
                history.lost = str(error)
                return
            if last_round:
                return

    thread = threading.Thread(target=follow, args=(listed["metadata"]["resourceVersion"],), daemon=True)
    thread.start()
    try:
        yield history
    finally:
        over.set()
        thread.join(30)
