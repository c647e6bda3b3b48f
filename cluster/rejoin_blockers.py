"""What forbids a rejoin, and what a person should know about it. Pure; nothing blocks any more after the join."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import node as node_
from cluster import rejoin_control_plane, rejoin_machine, version_skew
from cluster.plan import Finding
from cluster.planned_case import listed
from cluster.rejoin_case import Case
from cluster.restoration import DEFAULT_ROLES


def of(case: Case) -> tuple[Finding, ...]:
    """All of them."""
    found: list[Finding] = [*_role(case)]
    if case.before_join:
        found += [*_node(case), *_machine(case), *_versions(case), *_control_plane(case)]
    return tuple(found)


def warnings(case: Case) -> tuple[Finding, ...]:
    """What should be known before it is begun."""
    return (*_source(case), *_residue(case), *_cordoned(case)) if case.before_join else ()


def _role(case: Case) -> Iterator[Finding]:
    listed_roles = ", ".join(sorted(DEFAULT_ROLES))
    if case.options.role and case.options.role not in DEFAULT_ROLES:
        yield Finding(
            code="unknown-role",
            message=f"{case.options.role[:60]!r} is no role of a node",
            remedy=f"Choose --role, one of: {listed_roles}.",
        )
    elif case.kept is None and not case.options.role:
        yield Finding(
            code="no-role",
            message=f"Nothing is recorded of {case.name}: what role it is to have is not known",
            remedy=f"Choose --role, one of: {listed_roles}.",
        )


def _node(case: Case) -> Iterator[Finding]:
    node = case.observation.node
    if node is None or case.under_way:
        return
    if node_.ready(node):
        yield Finding(
            code="node-ready",
            message=f"There is a Ready node {case.name} in the cluster: it has joined already",
            remedy=f"If it lacks its labels, set them with kubectl. If another machine is to take its place: "
            f"'downtime run remove {case.name}' first.",
        )
        return
    machine = case.seen.membership
    if machine is not None and node_.machine_id(node) != machine.machine_id:
        yield Finding(
            code="node-still-there",
            message=f"The Node {case.name} is still there (not Ready), and was another machine (machine id "
            f"{node_.machine_id(node) or 'unknown'}): deleting it would let its pods run twice if that machine lives",
            remedy=f"'downtime run remove {case.name}' first, with proof that the old machine is off.",
        )
    elif case.working_pods and (machine is None or not machine.clean):
        yield Finding(
            code="pods-on-node",
            message=f"The Node {case.name} is still there (not Ready), with pods that were not told to end: "
            f"{listed(case.working_pods)}; clearing the machine would end them",
            remedy=f"If the machine only failed: 'downtime run unplanned {case.name}'. Else drain it: "
            f"'downtime run remove {case.name}', then this again.",
        )


def _machine(case: Case) -> Iterator[Finding]:
    yield from rejoin_machine.objections(case.name, case.seen, case.options.confirmed, master=case.concerns_etcd)


def _versions(case: Case) -> Iterator[Finding]:
    machine = case.seen.membership
    if machine is None:
        return
    yield from version_skew.judge(case.seen.server_version, machine.kubelet_version, machine.kubeadm_version)
    if not machine.run_in_memory:
        yield Finding(
            code="run-on-disk",
            message=f"/run of {case.seen.machine} is not in memory: the join token would be written to a disk",
            remedy="Mount a tmpfs on /run, as systemd does.",
        )


def _control_plane(case: Case) -> Iterator[Finding]:
    if case.seen.control_plane_problem is not None:
        yield case.seen.control_plane_problem
    yield from rejoin_control_plane.objections(case)


def _source(case: Case) -> Iterator[Finding]:
    former = case.seen.former
    if case.record is None and former.at is not None and "earlier downtime" in former.source:
        yield Finding(
            code="old-record",
            message=f"What {case.name} gets back is from {former.source}, of {former.at:%Y-%m-%d %H:%M} UTC; what was "
            "changed on the node since is not known",
            remedy="Compare its labels afterwards: 'kubectl get node --show-labels'.",
        )


def _residue(case: Case) -> Iterator[Finding]:
    machine = case.seen.membership
    node = case.observation.node
    if node is not None and node_.ready(node):
        return  # It is blocked: nothing will be reset.
    if machine is not None and not machine.clean:
        alive = ", and its kubelet runs" if machine.kubelet_active else ""
        yield Finding(
            code="residue",
            message=f"An earlier join left traces on {case.seen.machine}{alive}: it is reset first, which ends every "
            "container of Kubernetes on it",
            remedy="Nothing is to be done, if nobody works there outside of the cluster.",
        )


def _cordoned(case: Case) -> Iterator[Finding]:
    if case.record is None and case.seen.former.found.unschedulable:
        yield Finding(
            code="was-cordoned",
            message=f"{case.name} was cordoned by somebody else before; after the rejoin it is not",
            remedy=f"'kubectl cordon {case.name}' afterwards, if it must stay out of service.",
        )
