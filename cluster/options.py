"""What a person may choose when a procedure starts. Recorded at the start, and the same until its end."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Procedure = Literal["planned", "unplanned", "remove", "rejoin"]
Interactive = Literal["ask", "evict", "refuse"]


class PlannedOptions(BaseModel):
    """The choices of planned maintenance."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    reason: str = Field(default="", max_length=500, description="Why: shown in the record, Events and the report.")
    interactive: Interactive = Field(
        default="ask", description="Interactive workloads: ask a person, evict them, or refuse to go on."
    )
    shut_down: bool = Field(default=True, description="Shut the machine down after the drain, and see it back.")
    power_on: Literal["controller", "person"] = Field(
        default="person", description="Who switches the machine on again: the power controller, or a person."
    )
    hold: bool = Field(
        default=True, description="Wait, before the return, until a person says that the work on the machine is done."
    )
    eviction_minutes: int | None = Field(
        default=None, ge=1, le=10080, description="Give up when pods are still there after so many minutes."
    )
    adopt_taint: bool = Field(default=False, description="Make a runai=drain taint set by hand ours: it is removed.")
    allow_tolerating: str = Field(
        default="", max_length=500, description="Why pods that tolerate the drain taint may go down with the machine."
    )
    override_pdb: str = Field(default="", max_length=500, description="Why PodDisruptionBudgets may be violated.")
    override_recovery_gate: str = Field(
        default="", max_length=500, description="Why the node may go down without a good recovery check."
    )
