"""Researchers' work on a node, for as long as a test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.api import JSON, Api
from lab.patience import until
from lab.runai.objects import create, path

RUN_SECONDS = 90.0


@contextmanager
def working(api: Api, *bodies: JSON) -> Iterator[None]:
    """The workloads, running; gone afterwards. Each of them has one pod, labelled ``release=NAME`` (or is one)."""
    try:
        for body in bodies:
            create(api, body)
        for body in bodies:
            wait_running(api, body)
        yield
    finally:
        for body in bodies:
            api.delete(path(body), propagationPolicy="Background")
        for body in bodies:
            until(lambda one=body: not pods_of(api, one), seconds=RUN_SECONDS, what=f"{path(body)} does not end")  # type: ignore[misc]


def wait_running(api: Api, body: JSON) -> str:
    """Wait until the workload's pod runs; the name of its node."""

    def running() -> str:
        found = [pod for pod in pods_of(api, body) if pod["status"].get("phase") == "Running"]
        return str(found[0]["spec"]["nodeName"]) if found else ""

    return until(running, seconds=RUN_SECONDS, what=f"{path(body)} does not run")


def pods_of(api: Api, body: JSON) -> list[JSON]:
    """The pods of a workload, those that are ending as well."""
    if body["kind"] == "Pod":
        found = api.find(path(body))
        return [found] if found else []
    metadata = body["metadata"]
    return api.items(f"/api/v1/namespaces/{metadata['namespace']}/pods?labelSelector=release={metadata['name']}")
