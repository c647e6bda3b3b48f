"""What etcd says of its members, and which node each of them is on. Pure: reads the output of ``etcdctl -w json``.

``member list`` tells who is a member, ``endpoint health --cluster`` who of them works. A member is healthy only if each
address at which it serves clients was asked and answered; what was not asked, or not told, is unhealthy.

kubeadm names a member as its node. The address is the better proof, since it is where the member really is; a member
that was added and never started has no name at all.

Sources: https://etcd.io/docs/v3.6/op-guide/runtime-configuration/ (a member without a name has not started; a learner
has no vote), and the types that etcdctl 3.6 prints (``MemberListResponse``, ``epHealth``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field


class Unreadable(ValueError):
    """The output is not what etcdctl prints."""


class Member(BaseModel):
    """One member of etcd."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="As etcdctl takes it: hexadecimal.")
    node: str = Field(description="The name of its node; of a member that is on none, its own name or id.")
    name: str = Field(default="", description="As etcd calls it; empty: it never started.")
    healthy: bool = False
    learner: bool = Field(default=False, description="Has no vote (yet).")
    started: bool = Field(default=True, description="False: it was added, and never came.")
    addresses: tuple[str, ...] = Field(default=(), description="Where it serves its peers.")


class EtcdView(BaseModel):
    """The members of etcd as one control-plane host told them, or why none did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: tuple[Member, ...] = ()
    asked: str = Field(default="", description="The node whose host told it; empty: nobody could.")
    problems: tuple[str, ...] = Field(default=(), description="Why other hosts could not be asked.")

    @property
    def voting(self) -> dict[str, bool]:
        """Every voting member by the name of its node, and whether it was seen healthy: for :mod:`cluster.quorum`."""
        return {one.node: one.healthy for one in self.members if not one.learner}

    def of(self, node: str) -> Member | None:
        """The member on a node, voting or not."""
        return next((one for one in self.members if one.node == node), None)


def read(members: str, health: str, nodes: Mapping[str, Collection[str]]) -> tuple[Member, ...]:
    """The members of etcd.

    Args:
        members: what ``etcdctl member list -w json`` printed.
        health: what ``etcdctl endpoint health --cluster -w json`` printed.
        nodes: the addresses of each node, by its name.

    Raises:
        Unreadable: one of them is not that, or there is no member at all.
    """
    working = _health(health)
    listed = _object(members, "member list").get("members")
    if not isinstance(listed, list) or not listed:
        raise Unreadable("the list of etcd's members is empty")
    taken: set[str] = set()
    found = []
    for one in sorted((_member(entry) for entry in listed), key=lambda known: not known.started):
        name = _node_of(one, nodes)
        # Two of one name must both count: a member that is overlooked makes the majority look smaller.
        name = f"{name} ({one.id})" if name in taken else name
        taken.add(name)
        urls = _urls(listed, one.id)
        healthy = bool(urls) and all(working.get(url, False) for url in urls)
        found.append(one.model_copy(update={"node": name, "healthy": healthy and one.started}))
    return tuple(sorted(found, key=lambda one: one.node))


def _member(entry: Any) -> Member:
    if not isinstance(entry, dict):
        raise Unreadable("a member of etcd is not an object")
    name = str(entry.get("name") or "")
    peers = tuple(_host(url) for url in _texts(entry.get("peerURLs")))
    return Member(
        id=_id(entry.get("ID")),
        node=name,
        name=name,
        learner=entry.get("isLearner") is True,
        started=bool(name),
        addresses=peers,
    )


def _id(value: Any) -> str:
    """etcdctl prints ids as numbers, and with ``--hex`` as texts."""
    try:
        number = int(value, 16) if isinstance(value, str) else value
    except ValueError as error:
        raise Unreadable(f"{value!r} is no id of a member of etcd") from error
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**64:
        raise Unreadable("a member of etcd has no id")
    return f"{number:x}"


def _node_of(member: Member, nodes: Mapping[str, Collection[str]]) -> str:
    by_address = (name for name, addresses in nodes.items() if set(addresses) & set(member.addresses))
    return next(by_address, member.node or member.id)


def _urls(listed: Iterable[Any], member: str) -> list[str]:
    return next((_texts(entry.get("clientURLs")) for entry in listed if _id(entry.get("ID")) == member), [])


def _health(text: str) -> dict[str, bool]:
    try:
        answers = json.loads(text)
    except ValueError as error:
        raise Unreadable("the health of etcd's members is not JSON") from error
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise Unreadable("the health of etcd's members is not a list")
    told = [(str(one.get("endpoint") or ""), one.get("health") is True) for one in answers]
    return {url: all(well for other, well in told if other == url) for url, _ in told}


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"etcd's {what} is not JSON") from error
    if not isinstance(document, dict):
        raise Unreadable(f"etcd's {what} is not an object")
    return document


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
