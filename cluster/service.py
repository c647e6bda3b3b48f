"""The health of the Run:ai service itself: what the operator says, and whether its controllers have their pods.

Before a downtime it tells whether the service can bear it; afterwards it must be no worse. Counted are the controllers
of the namespaces ``runai`` and ``runai-backend``, by what they want and what is ready, so that a pod that moved, or a
controller that was scaled down meanwhile, is no difference.
"""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel, ConfigDict, Field

from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.api_errors import NotFound

NAMESPACE, BACKEND_NAMESPACE = "runai", "runai-backend"
# The object that the operator reads and reports its state in: the public Run:ai documentation.
_CONFIG = f"/apis/run.ai/v1/namespaces/{NAMESPACE}/runaiconfigs/runai"
_KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}


class Controller(BaseModel):
    """How many pods a controller wants, and how many of them are ready."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wanted: int
    ready: int

    @property
    def missing(self) -> int:
        """How many are not ready."""
        return max(0, self.wanted - self.ready)


class ServiceHealth(BaseModel):
    """The Run:ai service at one moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    found: bool = Field(default=False, description="Whether the object runaiconfig runai/runai exists.")
    available: bool | None = Field(default=None, description="Its condition Available; None: it has none.")
    reason: str = Field(default="", description="Why it is not available, in the operator's words.")
    controllers: dict[str, Controller] = Field(default={}, description="By namespace/Kind/name.")

    @property
    def not_ready(self) -> tuple[str, ...]:
        """The controllers of which pods are missing, with their numbers."""
        return tuple(_numbers(title, one) for title, one in sorted(self.controllers.items()) if one.missing)

    @property
    def pods(self) -> int:
        """How many pods the service is made of."""
        return sum(one.wanted for one in self.controllers.values())

    @property
    def ready(self) -> int:
        """How many of them are ready."""
        return sum(one.wanted - one.missing for one in self.controllers.values())


def gather(api: Api) -> ServiceHealth:
    """Look at the service now: nine small requests.

    Raises:
        DowntimeError: the API server cannot be reached, or forbids one of them.
    """
    config = api.get(_CONFIG)
    controllers: dict[str, Controller] = {}
    for namespace in (NAMESPACE, BACKEND_NAMESPACE):
        for plural, kind in _KINDS.items():
            for one in api.iterate(f"/apis/apps/v1/namespaces/{namespace}/{plural}"):
                controllers[f"{namespace}/{kind}/{pod_.name(one)}"] = _controller(one)
    available, reason = _availability(config)
    return ServiceHealth(found=config is not None, available=available, reason=reason, controllers=controllers)


def projects(api: Api) -> tuple[str, ...]:
    """The names of the Run:ai projects; none where Run:ai is not installed."""
    try:
        return tuple(sorted(pod_.name(one) for one in api.iterate("/apis/run.ai/v1/projects")))
    except NotFound:
        return ()


def degraded(health: ServiceHealth) -> list[str]:
    """What is wrong with the service; empty: nothing that can be seen."""
    return [*_operator(health), *(f"{one} pods ready" for one in health.not_ready)]


def worse(before: ServiceHealth, after: ServiceHealth, apart: Collection[str] = ()) -> list[str]:
    """What is wrong with the service that was not wrong before; empty: it is no worse.

    Args:
        apart: controllers that are not judged, as what they lack has other reasons.
    """
    found = _operator(after) if before.available or not _operator(before) else []
    for title, old in sorted(before.controllers.items()):
        new = after.controllers.get(title)
        if new is None:
            found.append(f"{title} is gone")
        elif title not in apart and new.missing > old.missing:
            found.append(f"{_numbers(title, new)} pods ready, before {old.ready} of {old.wanted}")
    return found


def _operator(health: ServiceHealth) -> list[str]:
    if not health.found:
        return ["runaiconfig runai/runai was not found"]
    if health.available:
        return []
    said = "is not Available" if health.available is False else "does not say whether it is Available"
    return [f"runaiconfig runai/runai {said}{f': {health.reason}' if health.reason else ''}"]


def _availability(config: Object | None) -> tuple[bool | None, str]:
    conditions = pod_.objects(pod_.mapping(pod_.mapping(config).get("status")).get("conditions"))
    condition = next((one for one in conditions if one.get("type") == "Available"), None)
    if condition is None or condition.get("status") not in ("True", "False"):
        return None, ""
    if condition["status"] == "True":
        return True, ""
    words = (str(condition.get(key) or "") for key in ("reason", "message"))
    return False, " ".join(": ".join(word for word in words if word).split())[:300]


def _controller(found: Object) -> Controller:
    spec, status = pod_.mapping(found.get("spec")), pod_.mapping(found.get("status"))
    # A DaemonSet counts in its status; the others default to one replica.
    wanted = status.get("desiredNumberScheduled", spec.get("replicas", 1))
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    return Controller(wanted=int(pod_.number(wanted)), ready=int(pod_.number(ready)))


def _numbers(title: str, one: Controller) -> str:
    return f"{title} has {one.ready} of {one.wanted}"
