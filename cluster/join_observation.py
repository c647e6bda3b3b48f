"""Looking at everything that a rejoin depends on: the machine, the node that it was, the cluster, its control plane."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from cluster import control_plane, etcd, formerly, join_certificates, membership, nodes, own_member, reach
from cluster import node as node_
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import Blocked, DowntimeError, Misused
from cluster.formerly import Former
from cluster.hosts import Host, locate, split_address
from cluster.joining import ControlPlaneJoining, Joining
from cluster.membership import Membership
from cluster.options import RejoinOptions
from cluster.plan import Finding
from cluster.record import Record
from cluster.records import Records
from cluster.ssh import Ssh

TOKEN_COMMAND = ("kubeadm", "token", "create")
# The control plane publishes it in every namespace: https://kubernetes.io/docs/concepts/security/service-accounts/
_ROOT_CA = "/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt"


def look(
    api: Api, settings: Settings, name: str, options: RejoinOptions, node: Object | None, record: Record | None
) -> Joining:
    """Ask all of them. What could not be asked is said in the answer; nothing is changed.

    Args:
        node: the Node of that name, if there is one.
        record: the open record of this rejoin; None: it is still to begin.
    """
    former = former_of(api, name, node, record)
    where, found, problem = "", None, None
    try:
        host = host_of(settings, name, options, node)
        where = str(host)
        with reach.session(api, settings, host) as ssh:
            found = membership.look(ssh)
    except DowntimeError as error:
        problem = _finding(error)
    seen = around(api, name, former, where, found)
    was_one = control_plane.labelled(former.found.labels) or (found is not None and bool(found.control_plane))
    if was_one or control_plane.joins_as(options.role, former.found.labels):
        facts = control_plane_facts(api, settings, name, node, found.addresses if found is not None else ())
        seen = seen.model_copy(update={"as_control_plane": facts})
    try:
        with control_plane_session(api, settings, name) as (chosen, _):
            return seen.model_copy(update={"problem": problem, "control_plane": chosen})
    except DowntimeError as error:
        return seen.model_copy(update={"problem": problem, "control_plane_problem": _finding(error)})


def around(api: Api, name: str, former: Former, where: str, found: Membership | None) -> Joining:
    """What the cluster says to a machine that was looked at."""
    return Joining(
        former=former,
        machine=where,
        membership=found,
        others=_other_nodes(api, name, found) if found is not None else (),
        server_version=str((api.get("/version") or {}).get("gitVersion", "")),
        authorities=authorities(api),
    )


def control_plane_facts(
    api: Api, settings: Settings, name: str, node: Object | None, addresses: Collection[str]
) -> ControlPlaneJoining:
    """What the cluster says to a machine that was, or is to be, a control-plane host.

    Args:
        node: the Node of that name, if there is one.
        addresses: the machine's own.
    """
    view = etcd.look(api, settings, name)
    masters = [one for one in nodes.every(api) if node_.kind(one) == "control-plane" and node_.name(one) != name]
    others = {one for known in etcd.addresses(masters).values() for one in known}
    own = {*addresses, *(etcd.addresses([node])[name] if node is not None else ())}
    member, problem = None, None
    try:
        member = own_member.of_node(view.members, name, own, others)
    except DowntimeError as error:
        problem = _finding(error)
    configuration = join_certificates.cluster_configuration(api)
    return ControlPlaneJoining(
        etcd=view,
        member=member,
        problem=problem,
        configured=bool(configuration.get("apiVersion")),
        endpoint=str(configuration.get("controlPlaneEndpoint") or ""),
        external_etcd=bool((configuration.get("etcd") or {}).get("external")),
        uploaded=join_certificates.uploaded(api),
    )


def former_of(api: Api, name: str, node: Object | None, record: Record | None) -> Former:
    """What is known of the node: from the record of this rejoin, else as it is found out when one begins."""
    if record is not None:
        source = "the record" if record.kept is not None else ""
        return Former(found=record.found, kept=record.kept, source=source, member=record.member)
    return formerly.of(node, Records(api).closed_of(name))


def host_of(settings: Settings, name: str, options: RejoinOptions, node: Object | None) -> Host:
    """Where the machine is reached: as chosen, else as configured, else where the Node says.

    Raises:
        Misused: the chosen address is none.
        Blocked: no address is known.
    """
    if not options.host:
        return locate(settings.hosts, name, node_.address(node) if node is not None else None)
    try:
        return Host(name, *split_address(options.host, settings.hosts.port))
    except ValueError as error:
        raise Misused("bad-address", f"{options.host!r} is no address", f"For --host, {error}.") from None


def authorities(api: Api) -> tuple[str, ...]:
    """SHA-256 of the cluster's certificate authorities, as the control plane publishes them; none: it does not."""
    found = api.get(_ROOT_CA)
    return membership.fingerprints(str(((found or {}).get("data") or {}).get("ca.crt") or "").encode())


@contextmanager
def control_plane_session(api: Api, settings: Settings, apart: str = "") -> Iterator[tuple[str, Ssh]]:
    """A session on a control-plane host that is proven to be its node's, and may run kubeadm as root; and its name.

    Args:
        apart: a node that is not asked: it goes, or just comes.

    Raises:
        Blocked: there is none; with the reason of the last one that was tried.
    """
    with ExitStack() as stack:
        problem: DowntimeError | None = None
        masters = [one for one in nodes.every(api) if node_.kind(one) == "control-plane" and node_.ready(one)]
        for node in [one for one in masters if node_.name(one) != apart]:
            try:
                ssh = stack.enter_context(_proven(api, settings, node))
            except DowntimeError as error:
                problem = error
                continue
            yield node_.name(node), ssh
            return
        raise Blocked(
            "no-control-plane-host",
            "No control-plane host can be used: "
            + (problem.message if problem is not None else f"no {'other ' * bool(apart)}control-plane node is Ready"),
            problem.remedy if problem is not None else "See 'kubectl get nodes'.",
        )


@contextmanager
def _proven(api: Api, settings: Settings, node: Object) -> Iterator[Ssh]:
    where = locate(settings.hosts, node_.name(node), node_.address(node))
    with reach.session(api, settings, where) as ssh:
        if ssh.boot_id() != node_.boot_id(node):
            raise Blocked(
                "host-identity",
                f"the machine at {where} is not that node: its boot id is another one",
                f"Correct the address of {node_.name(node)} in [hosts.addresses].",
            )
        ssh.sudo_works(TOKEN_COMMAND)
        yield ssh


def _other_nodes(api: Api, name: str, found: Membership) -> tuple[str, ...]:
    same = (
        node_.name(one)
        for one in nodes.every(api)
        if node_.machine_id(one) == found.machine_id or (found.boot_id and node_.boot_id(one) == found.boot_id)
    )
    return tuple(sorted(one for one in same if one != name))


def _finding(error: DowntimeError) -> Finding:
    return Finding(code=error.code, message=error.message, remedy=error.remedy)
