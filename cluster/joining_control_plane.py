"""What a machine needs beyond a token to join as a control-plane node, and what is seen of it before it counts as one.

Each new member of etcd makes its majority larger before it helps: none joins while one is unhealthy, and a member that
is left of an earlier life of this machine is taken out first. Nobody is done before the new member has a vote and is
healthy.
"""

from __future__ import annotations

from dataclasses import replace

from cluster import (
    control_plane,
    etcd_removal,
    join_certificates,
    join_observation,
    node,
    own_member,
    quorum,
    reach,
    rejoin_control_plane,
    taints,
)
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Blocked, Failed
from cluster.etcd_members import Member
from cluster.join_command import JoinCommand
from cluster.join_configuration import Registration
from cluster.membership import Membership
from cluster.options import RejoinOptions
from cluster.plan import Finding
from cluster.probing import probe
from cluster.record import Record
from cluster.step import Seen, Step

CERTIFICATES = "certificates"
"""The change: its value names the tokens of others that ended uploads when ours was made."""


def wanted(record: Record) -> bool:
    """Whether the machine is to join as a control-plane node. Pure."""
    return control_plane.joins_as(RejoinOptions.model_validate(record.options).role, record.found.labels)


def concerns(record: Record) -> bool:
    """Whether the machine is to be, or was, a control-plane node. Pure."""
    return wanted(record) or control_plane.labelled(record.found.labels)


def registration(downtime: Downtime, found: Membership) -> Registration:
    """How it is to register."""
    record = downtime.record
    if not wanted(record):
        return Registration(downtime.node)
    before = record.found
    return Registration(
        downtime.node,
        control_plane_taint=control_plane.keeps_taint(before.labels, before.taints),
        advertise_address=advertised(record.member, found),
    )


def advertised(former: Member | None, found: Membership) -> str:
    """The address at which its API server and etcd are to be reached: as before, if the machine still has it. Pure.

    Empty: kubeadm takes that of the default route.
    """
    before = former.addresses if former is not None else ()
    return next((one for one in before if one in found.addresses), "")


def require_removable(downtime: Downtime, found: Membership) -> None:
    """Before a machine is reset that has been a control-plane host: whether etcd can do without its member.

    Raises:
        Blocked: it cannot; or nobody could be asked.
    """
    if not _concerns_etcd(downtime, found):
        return
    view, own = etcd_removal.look(downtime, found.addresses)
    for one in own_member.objections(view.members, own) if own is not None else ():
        raise _blocked(one)


def clear_member(downtime: Downtime, found: Membership) -> None:
    """Take out the member that is left of an earlier life of this machine, which was reset just now.

    Raises:
        Blocked, Failed: as :func:`cluster.etcd_removal.remove`.
    """
    if _concerns_etcd(downtime, found) and etcd_removal.look(downtime, found.addresses)[1] is not None:
        etcd_removal.remove(downtime, None, found.addresses)


def member_left(downtime: Downtime, found: Membership) -> bool:
    """Whether a member of etcd is left of an earlier life of this machine."""
    return _concerns_etcd(downtime, found) and etcd_removal.look(downtime, found.addresses)[1] is not None


def require_all_healthy(downtime: Downtime, found: Membership) -> None:
    """Right before the join: whether every member of etcd is healthy.

    Raises:
        Blocked: one is not; or nobody could be asked.
    """
    view, _ = etcd_removal.look(downtime, found.addresses)
    for one in quorum.may_join({member.node: member.healthy for member in view.members}).blockers:
        raise _blocked(one)


def with_certificates(downtime: Downtime, command: JoinCommand) -> JoinCommand:
    """Upload the certificates, and the command with the key to them.

    Raises:
        Blocked: ``certificates-uploaded``: somebody else is at the same; ``no-cluster-configuration``.
        Failed: kubeadm failed.
    """
    forget_certificates(downtime)
    if join_certificates.uploaded(downtime.api):
        raise _blocked(rejoin_control_plane.FOREIGN_UPLOAD)
    configuration = join_certificates.cluster_configuration(downtime.api)
    if not configuration.get("apiVersion"):
        raise _blocked(rejoin_control_plane.NO_CONFIGURATION)
    foreign = " ".join(join_certificates.proxies(downtime.api))
    downtime.write(lambda old: records_of.change_is(old, CERTIFICATES, foreign, "intended"))
    with (
        downtime.lock.for_at_least(join_certificates.SECONDS + 15),
        join_observation.control_plane_session(downtime.api, downtime.settings, downtime.node) as (name, ssh),
    ):
        downtime.say("join", f"uploading the control plane's certificates on {name}")
        return replace(command, certificate_key=join_certificates.upload(ssh, reach.MASKER, configuration))


def forget_certificates(downtime: Downtime) -> None:
    """Delete what this rejoin has uploaded, if it has, and see it gone.

    Raises:
        Failed: it is still there.
    """
    made = next((one for one in downtime.record.changes if one.what == CERTIFICATES and one.state != "undone"), None)
    if made is None:
        return
    downtime.lock.check()
    join_certificates.delete(downtime.api, made.value.split())
    downtime.write(lambda old: records_of.change_is(old, CERTIFICATES, made.value, "undone"))


def is_marked(found: node.Object) -> bool:
    """Whether kubeadm has marked the Node as a control-plane node, which is the last that its join does. Pure."""
    return control_plane.labelled(found["metadata"].get("labels") or {})


def has_vote(downtime: Downtime, addresses: tuple[str, ...]) -> bool:
    """Whether the machine's member of etcd is there, has a vote, and is healthy."""
    _, own = etcd_removal.look(downtime, addresses)
    return own is not None and own.healthy and not own.learner


def _concerns_etcd(downtime: Downtime, found: Membership) -> bool:
    return concerns(downtime.record) or bool(found.control_plane)


def _blocked(one: Finding) -> Blocked:
    return Blocked(one.code, one.message, one.remedy)


def _not_seen(_: Downtime) -> Seen | None:
    return None


def _see_member(downtime: Downtime) -> Seen:
    seconds = downtime.settings.drain.back_minutes * 60
    last = "etcd could not be asked"

    def voting() -> Seen | None:
        nonlocal last
        try:
            view, own = etcd_removal.look(downtime)
        except Blocked as error:
            if error.code != "etcd-not-observed":
                raise
            last = error.message
            return None
        last = _state(own)
        if own is None or own.learner or not own.healthy:
            return None
        well = sum(one.healthy for one in view.members if not one.learner)
        return Seen(f"its member of etcd ({own.id}) has a vote and is healthy; {well} are, of {len(view.voting)}")

    seen = probe(voting, seconds)
    if seen is None:
        raise Failed(
            "etcd-member-missing",
            f"{downtime.node} has joined, but after {seconds / 60:.0f} minutes {last}. It stays out of service: the "
            f"taint {taints.text(taints.JOINING)} stands",
            f"See 'etcdctl member list' on a control-plane node, and the log of its etcd; then 'downtime resume "
            f"{downtime.node}' looks again.",
        )
    return seen


def _state(own: Member | None) -> str:
    if own is None:
        return "etcd has no member on it"
    return "its member of etcd has no vote yet" if own.learner else "its member of etcd is not healthy"


SEE_MEMBER = Step("see-member", _not_seen, _see_member)
