"""The etcd of simulated control-plane hosts: who is a member, who is healthy, and what crictl and etcdctl say of it.

Nothing of it is the cluster's real etcd, which is one process. The states are those that a kubeadm host can be in, and
what is printed is what etcdctl 3.6 prints.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence

from lab.simulated.answers import Answer
from lab.simulated.host import Host

DOWN = ("etcd-down", "etcd-unhealthy")
REFUSED = "Error: context deadline exceeded\n"
TIMED_OUT = "Error: etcdserver: request timed out\n"


def healthy(host: Host) -> bool:
    """Whether its member works, as far as the host itself is concerned."""
    return host.power == "on" and "never-boots" not in host.faults and not set(DOWN) & set(host.faults)


def has_quorum(members: Sequence[Host]) -> bool:
    """Whether a majority of the members works."""
    return sum(healthy(one) for one in members) >= len(members) // 2 + 1


def crictl(host: Host, arguments: Sequence[str], peers: Sequence[Host], as_root: bool) -> Answer:
    """``crictl ps`` and ``crictl exec``, as far as etcd's container is concerned."""
    if "crictl-missing" in host.faults:
        return Answer(1, error="sudo: crictl: command not found\n")
    if not as_root:
        return Answer(1, error="FATA[0000] connect: permission denied: /run/containerd/containerd.sock\n")
    container = f"{uuid.uuid5(uuid.NAMESPACE_DNS, f'etcd.{host.node}').hex}{uuid.UUID(int=0).hex}"
    runs = bool(host.etcd) and "etcd-down" not in host.faults
    if list(arguments[:1]) == ["ps"]:
        return Answer(output=f"{container}\n" if runs else "")
    if list(arguments[:1]) != ["exec"] or len(arguments) < 3:
        return Answer(1, error=f"No help topic for {' '.join(arguments[:1])!r}\n")
    if arguments[1] != container or not runs or arguments[2] != "etcdctl":
        return Answer(1, error="FATA[0000] execing command in container: container not found\n")
    ended = etcdctl(host, arguments[3:], peers, as_root)
    if ended.status == 0:
        return ended
    said = f"FATA[0000] execing command in container: command terminated with exit code {ended.status}\n"
    return Answer(1, ended.output, ended.error + said, also=ended.also)


def etcdctl(host: Host, arguments: Sequence[str], peers: Sequence[Host], as_root: bool) -> Answer:
    """``etcdctl member list``, ``member remove`` and ``endpoint health --cluster``, against the host's own member."""
    members = sorted((one for one in peers if one.etcd), key=lambda one: one.etcd)
    if not as_root:
        return Answer(1, error="Error: open /etc/kubernetes/pki/etcd/healthcheck-client.key: permission denied\n")
    if not host.etcd or not healthy(host) or "etcd-mute" in host.faults:
        return Answer(1, error=REFUSED)
    words = [word for word in arguments if not word.startswith("-")]
    if words == ["endpoint", "health"] and "--cluster" in arguments:
        return _health(members)
    if not has_quorum(members):
        return Answer(1, error=TIMED_OUT)
    if words == ["member", "list"]:
        return Answer(output=json.dumps({"header": {"raft_term": 2}, "members": [_member(one) for one in members]}))
    if words[:2] == ["member", "remove"] and len(words) == 3:
        return _remove(members, words[2])
    return Answer(1, error=f"Error: unknown command {' '.join(words)!r}\n")


def leave(host: Host, peers: Iterable[Host]) -> str:
    """What ``kubeadm reset`` does with the host's own member: it goes, or stays with a warning; what it says of it."""
    members = [one for one in peers if one.etcd]
    if not host.etcd:
        return ""
    if "member-stays" in host.faults or len(members) < 2 or not has_quorum(members):
        return (
            "[reset] Failed to remove etcd member: context deadline exceeded, please manually remove this etcd member\n"
        )
    host.etcd = ""
    return ""


def _health(members: Sequence[Host]) -> Answer:
    quorum = has_quorum(members)
    told = []
    for one in members:
        well = quorum and healthy(one)
        entry: dict[str, object] = {"endpoint": _url(one, 2379), "health": well, "took": "9.1ms" if well else "5.0s"}
        told.append(entry if well else {**entry, "error": "context deadline exceeded"})
    well = all(entry["health"] for entry in told)
    return Answer(0 if well else 1, output=json.dumps(told), error="" if well else "Error: unhealthy cluster\n")


def _member(host: Host) -> dict[str, object]:
    told = {"ID": int(host.etcd, 16), "name": host.node}
    return {**told, "peerURLs": [_url(host, 2380)], "clientURLs": [_url(host, 2379)]}


def _remove(members: Sequence[Host], wanted: str) -> Answer:
    found = next((one for one in members if one.etcd == wanted), None)
    if found is None:
        return Answer(1, error="Error: etcdserver: member not found\n")
    found.etcd = ""
    return Answer(output=f"Member {wanted} removed from cluster 1f2e3d4c5b6a7988\n", also=(found,))


def _url(host: Host, port: int) -> str:
    return f"https://{host.address}:{port}"
