"""What is seen before a machine joins: plain values, from which a pure function says whether it may."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cluster.formerly import Former
from cluster.membership import Membership
from cluster.plan import Finding


class Joining(BaseModel):
    """A machine that is to join, the node that it was, and the cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    former: Former
    machine: str = Field(default="", description="Where the machine is reached, for messages.")
    membership: Membership | None = Field(default=None, description="None: it was not asked, or did not answer.")
    problem: Finding | None = Field(default=None, description="Why the machine could not be asked.")
    others: tuple[str, ...] = Field(default=(), description="Other nodes of the cluster that are this very machine.")
    server_version: str = Field(default="", description="gitVersion of the API server; empty: not known.")
    authorities: tuple[str, ...] = Field(default=(), description="SHA-256 of the cluster's certificate authorities.")
    control_plane: str = Field(default="", description="The control-plane node on which the token will be made.")
    control_plane_problem: Finding | None = Field(default=None, description="Why there is none.")
