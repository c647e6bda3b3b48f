"""What is seen before a machine joins: plain values, from which a pure function says whether it may."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cluster.etcd_members import EtcdView, Member
from cluster.formerly import Former
from cluster.membership import Membership
from cluster.plan import Finding


class ControlPlaneJoining(BaseModel):
    """What concerns a machine that is, or was, a control-plane host."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    etcd: EtcdView = Field(default=EtcdView(), description="The members, as another control-plane host tells them.")
    member: Member | None = Field(default=None, description="The one that is left of an earlier life of the machine.")
    problem: Finding | None = Field(default=None, description="Why it is not clear which one that is.")
    configured: bool = Field(default=False, description="Whether kubeadm's configuration of the cluster can be read.")
    endpoint: str = Field(default="", description="The address of all API servers together; empty: there is none.")
    external_etcd: bool = Field(default=False, description="Whether etcd runs outside of the control-plane nodes.")
    uploaded: bool = Field(default=False, description="Whether certificates are uploaded now, by whomever.")


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
    as_control_plane: ControlPlaneJoining | None = Field(default=None, description="None: it is a worker.")
    control_plane_problem: Finding | None = Field(default=None, description="Why there is none.")
