"""What forbids that a machine joins as a control-plane node, or that one that was such a host is reset. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import own_member, quorum
from cluster.joining import ControlPlaneJoining
from cluster.plan import Finding
from cluster.rejoin_case import Case

NO_CONFIGURATION = Finding(
    code="no-cluster-configuration",
    message="The ConfigMap kube-system/kubeadm-config, from which a control-plane node joins, is not there or not "
    "readable",
    remedy="See 'kubectl get configmap -n kube-system kubeadm-config -o yaml'.",
)
FOREIGN_UPLOAD = Finding(
    code="certificates-uploaded",
    message="The control plane's certificates are uploaded already (Secret kube-system/kubeadm-certs), by somebody "
    "else: he may be joining a control-plane node, and new ones would make his key useless",
    remedy="Wait until he is done; or, if nobody is, 'kubectl delete secret -n kube-system kubeadm-certs'. They end by "
    "themselves two hours after their upload.",
)


def objections(case: Case) -> Iterator[Finding]:
    """All of them; of a machine that neither was nor is to be a control-plane host there are none."""
    facts = case.seen.as_control_plane
    if facts is None:
        return
    if facts.problem is not None:
        yield facts.problem
    if not facts.external_etcd:
        yield from _etcd(case, facts)
    if case.control_plane:
        yield from _join(case, facts)


def _etcd(case: Case, facts: ControlPlaneJoining) -> Iterator[Finding]:
    if not facts.etcd.asked:
        yield Finding(
            code="etcd-not-observed",
            message="No control-plane host could be asked for the members of etcd: "
            f"{'; '.join(facts.etcd.problems) or 'there is none'}",
            remedy="See on a control-plane host 'crictl ps --name etcd', and [hosts] in the configuration.",
        )
        return
    own = facts.member
    if own is not None:
        # It goes before anything joins.
        yield from own_member.objections(facts.etcd.members, own)
    if case.control_plane:
        others = {one.node: one.healthy for one in facts.etcd.members if own is None or one.id != own.id}
        yield from quorum.may_join(others).blockers


def _join(case: Case, facts: ControlPlaneJoining) -> Iterator[Finding]:
    if facts.external_etcd:
        yield Finding(
            code="external-etcd",
            message="The cluster's etcd runs outside of its control-plane nodes: this version joins control-plane "
            "nodes only where each has a member of its own",
            remedy="Join it by hand: 'kubeadm init phase upload-certs --upload-certs' and 'kubeadm join "
            "--control-plane'.",
        )
    if not facts.configured:
        yield NO_CONFIGURATION
    elif not facts.endpoint:
        yield Finding(
            code="no-control-plane-endpoint",
            message="The cluster has no address for all its API servers together (controlPlaneEndpoint): kubeadm joins "
            "no further control-plane node to it",
            remedy="Give it one: https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/"
            "high-availability/",
        )
    if facts.uploaded and not _own_upload(case):
        yield FOREIGN_UPLOAD


def _own_upload(case: Case) -> bool:
    changes = case.record.changes if case.record is not None else ()
    return any(one.what == "certificates" and one.state != "undone" for one in changes)
