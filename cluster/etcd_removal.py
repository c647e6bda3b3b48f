"""Taking a node's member of etcd out for good, through a control-plane host that stays, and seeing it gone.

``kubeadm reset`` on the machine takes its member out itself, but only warns where it could not; a machine that is off
does nothing. A member that stays counts in the majority for ever, so etcd would stop earlier than it must.

Who the member is, is written down before anything is done, and compared before it is removed. That it is gone already
is the end that was wanted.
"""

from __future__ import annotations

from collections.abc import Collection

from cluster import etcd, join_observation, nodes, own_member, proven_off
from cluster import node as node_
from cluster import record as records_of
from cluster.downtime import Downtime
from cluster.errors import Blocked, Failed
from cluster.etcd_members import EtcdView, Member
from cluster.plan import Finding
from cluster.probing import probe
from cluster.record import MEMBER_REMOVED, RESET, Record
from cluster.step import Made, Seen, Step

_SECONDS = 30.0
_GONE_SECONDS = 60.0


def look(downtime: Downtime, addresses: Collection[str] = ()) -> tuple[EtcdView, Member | None]:
    """All members of etcd as another host tells them, and the one of this node; None: it has none.

    Args:
        addresses: of its machine, beside those that its Node tells, if there is one.

    Raises:
        Blocked: ``etcd-not-observed``: nobody could be asked; ``etcd-member-unclear``.
    """
    view = etcd.look(downtime.api, downtime.settings, downtime.node)
    if not view.asked:
        raise _not_observed(downtime.node, view)
    own, others = _addresses(downtime)
    return view, own_member.of_node(view.members, downtime.node, {*own, *addresses}, others)


def remove(downtime: Downtime, recorded: Member | None, addresses: Collection[str] = ()) -> bool:
    """Take the member of this node out, if it still is one; whether it was.

    Its machine must have been reset, or be proven to be off: that is for the caller.

    Args:
        recorded: the member as it was written down; None: it is whatever is at these addresses.
        addresses: of its machine, beside those that its Node tells, if there is one.

    Raises:
        Blocked: it is not clear which member it is, or it is another one than recorded; etcd has no quorum, or would
            have none; no other control-plane host can be used.
        Failed: ``etcd-member-stays``.
    """
    own, others = _addresses(downtime)
    with join_observation.control_plane_session(downtime.api, downtime.settings, downtime.node) as (name, ssh):
        known = etcd.addresses([one for one in nodes.every(downtime.api) if node_.kind(one) == "control-plane"])
        members = etcd.members(ssh, known)
        found = own_member.of_node(members, downtime.node, {*own, *addresses}, others)
        if found is None:
            return False
        if recorded is not None and not own_member.same(recorded, found):
            raise _another(downtime.node, recorded, found)
        _raise_first(own_member.objections(members, found))
        downtime.write(lambda old: records_of.change_is(old, MEMBER_REMOVED, found.id, "intended"))
        downtime.say("remove-member", f"removing member {found.id} of etcd through {name}")
        with downtime.lock.for_at_least(_SECONDS + 15):
            ended = etcd.etcdctl(ssh, ("member", "remove", found.id), _SECONDS)
    if probe(lambda: True if look(downtime, addresses)[1] is None else None, _GONE_SECONDS) is None:
        said = " ".join((ended.stderr or ended.stdout).split())[:300]
        raise Failed(
            "etcd-member-stays",
            f"The member of {downtime.node} ({found.id}) is still one of etcd's after 'etcdctl member remove' on "
            f"{name} (exit {ended.exit_code}): {said or 'it printed nothing'}",
            f"See 'etcdctl member list' on {name}; then 'downtime resume {downtime.node}'.",
        )
    downtime.write(lambda old: records_of.change_is(old, MEMBER_REMOVED, found.id, "made"))
    return True


def _is_gone(downtime: Downtime) -> Seen | None:
    recorded = downtime.record.member
    view, found = look(downtime, recorded.addresses if recorded is not None else ())
    if found is not None:
        return None
    if recorded is None:
        return Seen("etcd has no member on this node")
    left = ", ".join(one.node for one in view.members)
    return Seen(
        f"its member of etcd ({recorded.id}) is gone; left are {left}", Made(MEMBER_REMOVED, recorded.id, "made")
    )


def _remove(downtime: Downtime) -> None:
    if not any(one.what == RESET and one.state == "made" for one in downtime.record.changes):
        downtime.say("remove-member", proven_off.require(downtime))
    recorded = downtime.record.member
    if recorded is None:
        raise Blocked(
            "etcd-member-unclear",
            f"A member of etcd is on {downtime.node} that was not there when its removal began. It was left alone",
            "See 'etcdctl member list' on a control-plane node, and who added it.",
        )
    remove(downtime, recorded, recorded.addresses)


def _seen_gone(downtime: Downtime) -> Seen:
    seen = _is_gone(downtime)
    if seen is None:
        raise Failed(
            "etcd-member-stays",
            f"A member of etcd is on {downtime.node} again, although it was removed",
            f"See 'etcdctl member list' on a control-plane node; then 'downtime resume {downtime.node}'.",
        )
    return seen


REMOVE_MEMBER = Step("remove-member", _is_gone, _seen_gone, _remove)


def noted(old: Record, member: Member | None) -> Record:
    """The record with the member that is to go; the first that was written down stays."""
    return old if old.member is not None else old.model_copy(update={"member": member})


def _addresses(downtime: Downtime) -> tuple[set[str], set[str]]:
    """The addresses of this node, if it is there, and those of all other control-plane nodes."""
    masters = [one for one in nodes.every(downtime.api) if node_.kind(one) == "control-plane"]
    known = etcd.addresses(masters)
    own = set(known.pop(downtime.node, ()))
    return own, {one for addresses in known.values() for one in addresses}


def _another(node: str, recorded: Member, found: Member) -> Blocked:
    return Blocked(
        "etcd-member-unclear",
        f"The member of etcd on {node} is {found.id} ({found.name or 'never started'}, {', '.join(found.addresses)}), "
        f"and was {recorded.id} ({recorded.name}, {', '.join(recorded.addresses)}) when this was begun: somebody added "
        "another one since. It was left alone",
        "See 'etcdctl member list' on a control-plane node, and who did that.",
    )


def _not_observed(node: str, view: EtcdView) -> Blocked:
    return Blocked(
        "etcd-not-observed",
        f"No control-plane host could be asked for the members of etcd: {'; '.join(view.problems) or 'there is none'}",
        "See on a control-plane host 'crictl ps --name etcd', and [hosts] in the configuration; then 'downtime resume "
        f"{node}'.",
    )


def _raise_first(found: Collection[Finding]) -> None:
    for one in found:
        raise Blocked(one.code, one.message, one.remedy)
