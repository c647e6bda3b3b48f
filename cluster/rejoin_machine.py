"""Whether a machine may be reset and join as a node: the judgement that keeps a healthy machine from harm. Pure.

The address may be a wrong one. So the machine must be proven to be the one that is meant, and must not be a member of
anything else. It is judged when the plan is made, and again in the same SSH session in which it is changed.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster.formerly import Former
from cluster.joining import Joining
from cluster.membership import Membership, same_cluster
from cluster.plan import Finding


def objections(node: str, seen: Joining, confirmed: str, *, master: bool = False) -> tuple[Finding, ...]:
    """What speaks against this machine; empty: it may be reset, and join.

    Args:
        node: the name that it is to have.
        seen: what it says, and what is known.
        confirmed: the node's name as a person typed it once more; empty: nobody did.
        master: it was a control-plane node, or is to become one: then such a host's files may be on it.
    """
    if seen.problem is not None:
        return (seen.problem,)
    machine = seen.membership
    if machine is None:
        return (_unasked(node),)
    foreign = tuple(_foreign(node, seen, machine, master=master))
    # Of a machine that is something else it need not be said as well that it was not confirmed.
    return foreign or tuple(_unproven(node, seen, machine, confirmed))


def _foreign(node: str, seen: Joining, machine: Membership, *, master: bool) -> Iterator[Finding]:
    # Which control-plane node it was is known by its machine id alone: a person's word is not enough here.
    known = master and bool(seen.former.machine_id) and machine.machine_id == seen.former.machine_id
    if seen.others:
        yield _other_node(node, seen, ", ".join(seen.others))
    elif machine.control_plane and not known:
        yield Finding(
            code="control-plane-host",
            message=f"The machine at {seen.machine} is, or was, a control-plane host (it has "
            f"{', '.join(machine.control_plane)}). It was left alone",
            remedy=f"If the address is wrong, correct it ([hosts.addresses], or --host). If it is to become {node} all "
            f"the same, run 'kubeadm reset' on it by hand, then this again with --yes-rejoin {node}.",
        )
    if not machine.joined:
        return
    if not same_cluster(machine.authorities, seen.authorities):
        yield Finding(
            code="other-cluster",
            message=f"The machine at {seen.machine} belongs to another cluster: its certificate authority is not this "
            "one's. It was left alone",
            remedy="Correct the address ([hosts.addresses], or --host). If it is to leave that cluster for this one, "
            "remove it there first ('kubeadm reset').",
        )
    elif machine.node_name != node and not seen.others and not _half_joined(seen, machine):
        yield _other_node(node, seen, machine.node_name)


def _half_joined(seen: Joining, machine: Membership) -> bool:
    """A join that was cut before the kubelet had a certificate: there is no name yet, and the machine id tells."""
    return not machine.node_name and bool(seen.former.machine_id) and machine.machine_id == seen.former.machine_id


def _other_node(node: str, seen: Joining, name: str) -> Finding:
    who = f"the node {name}" if name else "a node whose name it does not tell"
    return Finding(
        code="other-node",
        message=f"The machine at {seen.machine} is {who}, not {node}. It was left alone",
        remedy=f"Correct the address of {node} ([hosts.addresses], or --host). If that machine is to become {node}, "
        f"'downtime run remove {name or 'OTHER'}' first.",
    )


def _unproven(node: str, seen: Joining, machine: Membership, confirmed: str) -> Iterator[Finding]:
    expected = seen.former.machine_id
    if expected and machine.machine_id == expected:
        return
    if machine.joined:
        yield _joined_unproven(node, seen, machine, expected)
    elif confirmed != node:
        yield _unconfirmed(node, seen, machine, seen.former)


def _joined_unproven(node: str, seen: Joining, machine: Membership, expected: str) -> Finding:
    known = f"its machine id is {machine.machine_id}, recorded is {expected}" if expected else "none is recorded"
    return Finding(
        code="host-identity",
        message=f"The machine at {seen.machine} has credentials of {node} on it, but it is not proven to be its "
        f"machine: {known}. It was left alone",
        remedy=f"If it is the right one, run 'kubeadm reset' on it by hand, then this again with --yes-rejoin {node}.",
    )


def _unconfirmed(node: str, seen: Joining, machine: Membership, former: Former) -> Finding:
    if former.machine_id:
        known = f"its machine id is {machine.machine_id}, but {former.source} says {former.machine_id}"
    else:
        known = f"nothing is recorded of {node} that would prove it (its machine id is {machine.machine_id})"
    return Finding(
        code="unconfirmed-machine",
        message=f"Whether the machine at {seen.machine} is to be {node} must be confirmed by a person: {known}",
        remedy=f"See that it is the right machine (a new or reinstalled one); then add --yes-rejoin {node}.",
    )


def _unasked(node: str) -> Finding:
    return Finding(
        code="host-unreachable",
        message=f"The machine that is to be {node} was not reached over SSH",
        remedy="See [hosts] in the configuration, or name its address with --host.",
    )
