"""What Run:ai's REST API tells of workloads and their pods, and which of them is which of ours. Pure.

Source: https://run-ai-docs.nvidia.com/api (Pods, Workloads). ``type`` is a free text there; ``runai-job`` is any kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.plan import Workload

Collection = Literal["workspaces", "trainings", "distributed"]

STOPPED, STOPPING = "Stopped", "Stopping"
OVER = frozenset({"Completed", "Failed", "Deleting", "Terminating"})
"""Phases of what has ended, or is being deleted: there is nothing to suspend, and nothing to resume."""
_PREFIX = "runai-"
_WORDS: tuple[tuple[str, Collection], ...] = (
    ("workspace", "workspaces"),
    ("interactive", "workspaces"),
    ("distributed", "distributed"),
    ("mpi", "distributed"),
    ("pytorch", "distributed"),
    ("tfjob", "distributed"),
    ("tensorflow", "distributed"),
    ("xgboost", "distributed"),
    ("jax", "distributed"),
    ("train", "trainings"),
)
# What says only that it is a workload: its kind, as its owners and priority class tell it, decides.
_ANY = ("runai-job", "runaijob", "")
_OF_KIND: dict[str, Collection] = {
    "interactive": "workspaces",
    "training": "trainings",
    "distributed": "distributed",
}


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


T = TypeVar("T", bound=_Told)


class RestPod(_Told):
    """A pod, as the API tells it."""

    name: str
    workload_id: str = Field(alias="workloadId", min_length=1)
    project: str | None = Field(default=None, alias="projectName")
    workload: str | None = Field(default=None, alias="workloadName")
    node: str | None = Field(default=None, alias="nodeName")


class _Actions(_Told):
    suspend: bool | None = None


class RestWorkload(_Told):
    """A workload, as the API tells it."""

    id: str = Field(min_length=1)
    name: str = ""
    type: str = ""
    phase: str
    namespace: str | None = None
    project: str | None = Field(default=None, alias="projectName")
    submitted_by: str | None = Field(default=None, alias="submittedBy")
    actions: _Actions = Field(default=_Actions(), alias="actionsSupport")

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.project or self.namespace or '?'}/{self.name or '?'} (id {self.id})"


class Page(_Told):
    """A page of pods; ``next`` is the offset of the following one."""

    pods: tuple[RestPod, ...]
    next: int | None = None


def page(document: Any) -> Page:
    """A page of pods.

    Raises:
        ValueError: it is not as documented.
    """
    return _parsed(Page, document)


def workload(document: Any) -> RestWorkload:
    """The detail of a workload.

    Raises:
        ValueError: it is not as documented.
    """
    return _parsed(RestWorkload, document)


def _parsed(model: type[T], document: Any) -> T:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(one) for one in first["loc"]) or "the whole"
        raise ValueError(f"{place}: {first['msg']}") from None


def candidates(wanted: Workload, pods: Iterable[RestPod]) -> tuple[str, ...]:
    """Ids of the workloads that pods of this one may belong to: by pod name, and by project as far as it is told."""
    found = [one.workload_id for one in pods if one.name in wanted.pods and _of_project(wanted, one.project)]
    return tuple(dict.fromkeys(found))


def is_it(wanted: Workload, found: RestWorkload) -> bool:
    """Whether the API's workload is this one, by its namespace, else by its project; where neither is told: no."""
    if found.namespace:
        return found.namespace == wanted.namespace
    return bool(found.project) and _of_project(wanted, found.project)


def _of_project(wanted: Workload, project: str | None) -> bool:
    return not project or project == wanted.project or f"{_PREFIX}{project}" == wanted.namespace


def collection(wanted: Workload, found: RestWorkload) -> Collection | None:
    """Under which path it is suspended and resumed; None: the API has none for what it is."""
    told = found.type.lower()
    if told in _ANY:
        return _OF_KIND.get(wanted.kind)
    return next((path for word, path in _WORDS if word in told), None)
