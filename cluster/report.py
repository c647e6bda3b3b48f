"""The report of a downtime: what was done and seen, and where each workload went. For people first."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cluster import suspensions
from cluster.errors import DowntimeError, Waiting
from cluster.notice import Notice, Obstacle
from cluster.options import Procedure
from cluster.plan import Finding, Plan, Whereabouts
from cluster.record import Approval, Moment, Phase, Record, StepState
from cluster.verdict import Verdict

Outcome = Literal["planned", "done", "aborted", "waiting", "blocked", "failed"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Report(_Model):
    """What a run did, or would do (a plan), and how it ended."""

    outcome: Outcome
    node: str
    procedure: Procedure
    phase: Phase | None = None
    reason: str = ""
    who: str = ""
    opened: datetime | None = None
    updated: datetime | None = None
    steps: dict[str, StepState] = {}
    went: tuple[Whereabouts, ...] = Field(default=(), description="Where the workloads went when the node was drained.")
    workloads: tuple[Whereabouts, ...] = Field(default=(), description="Where they are now.")
    gate: Verdict | None = None
    approvals: tuple[Approval, ...] = ()
    notices: tuple[Notice, ...] = Field(default=(), description="What the owners of interactive work were told.")
    obstacles: tuple[Obstacle, ...] = Field(default=(), description="Decisions that could not be carried out, and why.")
    standing: tuple[str, ...] = Field(default=(), description="What this product changed and did not undo.")
    warnings: tuple[Finding, ...] = Field(default=(), description="What somebody should still see to.")
    timeline: tuple[Moment, ...] = ()
    plan: Plan | None = None
    why: Finding | None = Field(default=None, description="Why the run ended before the downtime did.")


def of_plan(plan: Plan, reason: str = "") -> Report:
    """The report of a dry run: the plan."""
    outcome: Outcome = "planned" if plan.feasible else "blocked"
    return Report(
        outcome=outcome, node=plan.node, procedure=plan.procedure, reason=reason, gate=plan.recovery, plan=plan
    )


def of_record(record: Record, workloads: tuple[Whereabouts, ...] = (), outcome: Outcome | None = None) -> Report:
    """The report of a downtime, from its record."""
    ended: Outcome = "aborted" if record.aborted else "done"
    return Report(
        outcome=outcome or ("waiting" if record.open else ended),
        node=record.node,
        procedure=record.procedure,
        phase=record.phase,
        reason=record.reason,
        who=record.who,
        opened=record.opened,
        updated=record.updated,
        steps=record.steps,
        went=record.went,
        workloads=workloads,
        gate=record.gate,
        approvals=record.approvals,
        notices=record.notices,
        obstacles=record.obstacles,
        standing=record.standing(),
        warnings=suspensions.warnings(record),
        timeline=record.timeline,
    )


def of_ended(record: Record, error: Exception, workloads: tuple[Whereabouts, ...] = ()) -> Report:
    """The report of a run that ended before the downtime did: it waits for somebody, was refused, or failed."""
    outcome: Outcome = "failed"
    if isinstance(error, DowntimeError):
        outcome = "waiting" if isinstance(error, Waiting) else "blocked" if error.exit_code == 3 else "failed"
        why = Finding(code=error.code, message=error.message, remedy=error.remedy)
    else:
        why = Finding(
            code="unexpected",
            message=f"Something happened that this program does not know ({type(error).__name__}); the log of this run "
            "has the details",
            remedy=f"'downtime resume {record.node}' goes on; 'downtime abort {record.node}' backs out.",
        )
    return of_record(record, workloads, outcome).model_copy(update={"why": why})
