"""The controller's process: ``python -m lab.runai.controller NAME`` runs until SIGTERM.

It looks at everything again and again, and compares: what happened meanwhile, and how often, does not matter.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from lab.api import Api, ApiError
from lab.layout import Lab
from lab.runai.controller import rules
from lab.runai.controller.rules import MADE_BY, Todo
from lab.runai.objects import path

JSON = dict[str, Any]
LOGGER = logging.getLogger("lab.workloads")
BUSY_SECONDS, IDLE_SECONDS = 0.3, 1.0
OLD, NEW = "/apis/run.ai/v1", "/apis/run.ai/v2alpha1"
PODS = f"/api/v1/pods?labelSelector={MADE_BY}%3Dcontroller"


class Controller:
    """The workloads of one cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._pods: dict[str, list[JSON]] = {}
        self._deployments: dict[str, str] = {}

    def run(self) -> None:
        silent = False
        while True:
            try:
                busy = self.look()
                silent = False
            except ApiError as error:
                busy = False
                if not silent:
                    LOGGER.warning("%s", error)
                silent = True
            time.sleep(BUSY_SECONDS if busy else IDLE_SECONDS)

    def look(self) -> bool:
        """Bring every workload in line; whether there are any."""
        # A RunaiJob without a pod template is somebody else's to run.
        jobs = [one for one in self._list(f"{OLD}/runaijobs", "RunaiJob") if _template(one)]
        single = [
            one
            for plural, kind in (
                ("trainingworkloads", "TrainingWorkload"),
                ("interactiveworkloads", "InteractiveWorkload"),
            )
            for one in self._list(f"{NEW}/{plural}", kind)
        ]
        gangs = self._list(f"{NEW}/distributedworkloads", "DistributedWorkload")
        served = self._list(f"{NEW}/inferenceworkloads", "InferenceWorkload")
        everything = {one["metadata"]["uid"]: one for one in (*jobs, *single, *gangs, *served)}
        self._read_pods(everything)
        self._clean_up(served)
        for one in single:
            self._try(self._single, one, jobs)
        for one in jobs:
            self._try(self._job, one, everything)
        for one in gangs:
            self._try(self._gang, one)
        for one in served:
            self._try(self._served, one)
        return bool(everything or self._pods)

    def _read_pods(self, everything: dict[str, JSON]) -> None:
        self._pods = {}
        for pod in self._api.items(PODS):
            owner = next((one["uid"] for one in pod["metadata"].get("ownerReferences", [])), "")
            self._pods.setdefault(owner, []).append(pod)
            if owner not in everything and not rules.terminating(pod):
                # Kubernetes notices only after half a minute that there is a new kind of owners.
                self._delete(pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _clean_up(self, served: list[JSON]) -> None:
        """What serves an inference workload that is gone goes too, as its pods do, and not half a minute later."""
        now = {one["metadata"]["uid"]: path(rules.deployment_of(one)) for one in served}
        for uid in self._deployments.keys() - now.keys():
            self._api.delete(self._deployments[uid], propagationPolicy="Background")
        self._deployments = now

    def _single(self, body: JSON, jobs: list[JSON]) -> None:
        uid = body["metadata"]["uid"]
        job = next((one for one in jobs if _owner(one) == uid), None)
        if job is None:
            self._create(rules.job_of(body))
        self._set_status(body, {"phase": (job or {}).get("status", {}).get("phase", "Pending")})

    def _job(self, body: JSON, everything: dict[str, JSON]) -> None:
        above = _owner(body)
        if above and above not in everything:
            self._api.delete(path(body))
            return
        halted = rules.suspended(body, *([everything[above]] if above else []))
        self._carry_out(body, rules.single(body, self._pods.get(body["metadata"]["uid"], []), halted=halted))

    def _gang(self, body: JSON) -> None:
        if not body.get("status"):
            self._create(rules.pod_group(body))
        pods = self._pods.get(body["metadata"]["uid"], [])
        self._carry_out(body, rules.gang(body, pods, now=time.time(), halted=rules.suspended(body)))

    def _served(self, body: JSON) -> None:
        wanted = rules.deployment_of(body)
        found = self._api.find(path(wanted))
        if found is None:
            self._create(wanted)
            found = wanted
        elif found["spec"].get("replicas") != wanted["spec"]["replicas"]:
            self._api.patch(path(wanted), {"spec": {"replicas": wanted["spec"]["replicas"]}})
        status = found.get("status", {})
        if rules.suspended(body):
            phase = "Stopping" if status.get("replicas") else "Stopped"
        else:
            phase = "Running" if status.get("readyReplicas") else "Pending"
        self._set_status(body, {"phase": phase})

    def _carry_out(self, body: JSON, todo: Todo) -> None:
        for name in todo.delete:
            self._delete(body["metadata"]["namespace"], name)
        for pod in todo.make:
            self._create(pod)
        self._set_status(body, todo.status or {})

    def _set_status(self, body: JSON, wanted: JSON) -> None:
        known = body.get("status") or {}
        if any(known.get(key) != entry for key, entry in wanted.items()):
            self._api.patch(f"{path(body)}/status", {"status": wanted})

    def _create(self, body: JSON) -> None:
        LOGGER.info("makes %s %s", body["kind"], body["metadata"]["name"])
        try:
            self._api.create(path(body).rpartition("/")[0], body)
        except ApiError as error:
            if error.status != 409:
                raise

    def _delete(self, namespace: str, name: str) -> None:
        LOGGER.info("deletes pod %s", name)
        self._api.delete(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def _list(self, collection: str, kind: str) -> list[JSON]:
        try:
            found = self._api.get(collection)
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        # The items of a list do not say what they are.
        version = "/".join(collection.split("/")[2:4])
        return [{**one, "apiVersion": version, "kind": kind} for one in found["items"] if not _going(one)]

    def _try(self, act: Callable[..., None], body: JSON, *more: Any) -> None:
        """One workload that is refused, or gone meanwhile, does not stop the others."""
        try:
            act(body, *more)
        except ApiError as error:
            if error.status == 0:
                raise
            LOGGER.warning("%s: %s", body["metadata"]["name"], error)


def _template(body: JSON) -> JSON:
    found = rules.value(body, "template") or {}
    return dict(found.get("spec") or {}) if isinstance(found, dict) else {}


def _owner(body: JSON) -> str:
    return next((str(one["uid"]) for one in body["metadata"].get("ownerReferences", [])), "")


def _going(body: JSON) -> bool:
    return bool(body["metadata"].get("deletionTimestamp"))


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Controller(Api(Lab(sys.argv[1]).kubeconfig)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
