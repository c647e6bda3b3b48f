"""What a procedure is going to do, before it does it: the plan, as people, scripts and flows see it.

A plan is made by one pure function per procedure from an observation, and is the contract of ``downtime plan
--output json``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster.gate import Verdict
from cluster.options import Procedure

NodeKind = Literal["control-plane", "system", "gpu-worker", "cpu-worker"]
WorkloadKind = Literal["training", "interactive", "inference", "distributed", "unknown"]
Fate = Literal["moves", "waits", "needs-approval", "lost", "stays"]

Held = Literal["as-forecast", "better", "worse", "open"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Model):
    """Something that speaks against going on (a blocker), or that a person should know (a warning)."""

    code: str = Field(description="Stable kebab-case word, for scripts.")
    message: str = Field(description="One sentence: what was found.")
    remedy: str = Field(description="What to do about it.")


class PlannedStep(_Model):
    """One step of the plan."""

    name: str = Field(description="The step's name, the same as in the record and in the Prefect graph.")
    summary: str = Field(description="What it does, for a person.")
    changes: tuple[str, ...] = Field(default=(), description="What it changes; empty: it only looks.")


class Forecast(_Model):
    """Whether what moves would find room on the other nodes as they are now. A forecast: it promises nothing."""

    says: Literal["fits-now", "will-wait", "unknown"]
    why: str = Field(default="", description="Why it will wait, or what the forecast does not know.")
    at: datetime | None = Field(default=None, description="When it was made, of one made as the drain began.")


class Elsewhere(_Model):
    """Pods of a workload that are not on the node."""

    pods: int = Field(description="How many there are; those that have ended are not counted.")
    waiting: int = Field(default=0, description="How many of them are on no node yet.")
    nodes: tuple[str, ...] = Field(default=(), description="On which nodes, the first twenty by name.")
    grouped: bool = Field(default=False, description="Whether they share a PodGroup with those on the node.")


class Workload(_Model):
    """What a researcher submitted, with its pods on the node."""

    name: str
    namespace: str
    project: str = ""
    owner: str = Field(default="", description="The researcher, as the workload's annotations or labels name them.")
    kind: WorkloadKind
    pods: tuple[str, ...] = Field(description="Names of its pods on this node.")
    gpus: float = Field(default=0, description="GPUs that its pods on this node ask for: whole ones, slices, shares.")
    whole_gpus: int = Field(default=0, description="Those among them that are whole.")
    shared_gpus: tuple[str, ...] = Field(default=(), description="Slices and shares of GPUs, in words.")
    controller: str = Field(default="", description="Kind/name of the topmost owner; empty: a bare pod.")
    fate: Fate
    since: AwareDatetime | None = Field(default=None, description="When the oldest of its pods here started.")
    priority_class: str = Field(default="", description="Name of its priority class, as far as known.")
    grace_seconds: float = Field(default=0, description="The longest time that one of its pods here may take to end.")
    local_data: tuple[str, ...] = Field(default=(), description="Volumes whose data does not move with its pods.")
    budgets: tuple[str, ...] = Field(default=(), description="PodDisruptionBudgets that cover pods of it here.")
    elsewhere: Elsewhere | None = Field(default=None, description="Its pods on other nodes. None: not looked for.")
    disturbs: str = Field(default="", description="Of one that runs elsewhere too: why all of it may be disturbed.")
    forecast: Forecast | None = Field(
        default=None, description="Of one that moves: whether it would find room now. None: none was made."
    )

    @property
    def key(self) -> str:
        """What makes it the same workload in two observations."""
        return f"{self.namespace}/{self.controller or f'Pod/{self.name}'}"


class Loss(_Model):
    """What goes with a node that is removed for good, and does not come back by itself."""

    what: Literal["volume", "pod", "workload"]
    name: str = Field(description="A volume's own name; namespace/name of a pod or workload.")
    owner: str = Field(default="", description="The researcher, as far as known.")
    why: str = Field(description="Why it is lost, for a person.")


class StaysBehind(_Model):
    """A pod that the drain does not take away, or that is likely not to go."""

    pod: str = Field(description="namespace/name.")
    why: Literal["static", "daemon", "tolerates", "tolerates-for-a-time", "finalizer", "terminating", "not-deleted"]
    detail: str = Field(description="Why it stays, in words.")
    remedy: str = Field(default="", description="What to do about it, or that nothing has to be done.")


class Candidate(_Model):
    """A node that could be designated as a Run:ai system node."""

    name: str
    room: bool = Field(description="Whether the system pods that must move would find a place.")
    gpus: int = Field(description="GPUs that it can allocate.")
    interactive: int = Field(description="Interactive workloads on it, or such of an unknown kind.")
    reasons: tuple[str, ...] = Field(description="What speaks for and against it, in words.")


class Whereabouts(_Model):
    """Where a workload of a drained node went: reported, never a condition."""

    workload: str
    namespace: str
    owner: str = ""
    kind: str
    now: Literal["running", "waiting", "finished", "deleted", "suspended", "still-here", "unknown"]
    detail: str = Field(default="", description="On which node, or the scheduler's reason.")
    forecast: Forecast | None = Field(default=None, description="What was said as the drain began; None: nothing.")
    held: Held = Field(
        default="open",
        description="The forecast against what happened: as it said; worse: said to fit, and it waits or had to; "
        "better: said to wait, and it was placed at once; open: there was none, or it cannot be told (yet).",
    )


class Plan(_Model):
    """The plan of one procedure for one node: steps that are left, what blocks, what to know."""

    procedure: Procedure
    node: str
    cluster: str = Field(description="Address of the API server.")
    roles: tuple[str, ...] = ()
    kind: NodeKind = "cpu-worker"
    feasible: bool
    steps: tuple[PlannedStep, ...] = ()
    blockers: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    workloads: tuple[Workload, ...] = ()
    stays: tuple[StaysBehind, ...] = Field(
        default=(), description="Before a drain: pods that it leaves on the node, as far as that can be told now."
    )
    losses: tuple[Loss, ...] = Field(default=(), description="Of a removal: what is lost with the node.")
    candidates: tuple[Candidate, ...] = Field(
        default=(), description="Of a system node that no other can take over from: who could stand in, the best first."
    )
    recovery: Verdict | None = None
    continued: bool = Field(default=False, description="The node is in downtime already: these are the steps left.")
