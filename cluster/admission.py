"""Admission: of several nodes that want to go down in the same instant, only as many as the limits allow.

The ConfigMap ``fleet`` names the nodes that are down or about to go down. A node is added in one compare-and-swap
whose decision was made on exactly the content that is replaced: of two starts in the same instant the slower one
meets a conflict, looks again, and then sees the faster one.

An entry counts while its node has an open record, or a lock that is held (it is just being opened); an open record
counts without an entry as well. What a crash left behind between admission and record is removed by the next
admission, at the latest after ten minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster import names
from cluster.api import Api, Object
from cluster.api_errors import Conflict
from cluster.errors import Blocked, Failed
from cluster.lock import current_holder
from cluster.options import Procedure
from cluster.plan import Finding
from cluster.records import Records

_MAPS = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"
_PATH = f"{_MAPS}/{names.FLEET}"
_ATTEMPTS = 50
_OPENING = timedelta(minutes=10)


class Entry(BaseModel):
    """A node that is admitted to be down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str
    procedure: Procedure
    since: datetime
    designates: str = Field(default="", description="The node that stands in for it as a system node; empty: none.")


class Fleet(BaseModel):
    """All of them, by node name."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    format: int = Field(default=1, alias="schema")
    down: dict[str, Entry] = {}


@dataclass(frozen=True)
class Others:
    """The other nodes of the fleet.

    Attributes:
        down: those that are down by decision.
        designated: those that stand in as a system node, and for which one that is down.
    """

    down: frozenset[str]
    designated: Mapping[str, str]


Judge = Callable[[Others], list[Finding]]


def admit(
    api: Api,
    node: str,
    record: str,
    procedure: Procedure,
    judge: Judge,
    still_ours: Callable[[], None],
    designates: str = "",
) -> None:
    """Admit a node, unless the judge objects.

    Args:
        designates: the node that is to stand in for it. It is written in the same compare-and-swap, so of that node's
            own downtime and this one only one is admitted.
        still_ours: raises when the lock of the node is lost. Asked before each write: a holder that was overtaken would
            put its own record in the place of the new holder's, and nobody would ever take that entry out.
        judge: is given the *other* nodes that are down by decision, observes the rest freshly, and says what speaks
            against this node going down as well. Called anew after each lost race.

    Raises:
        Blocked: the first objection; nothing was changed.
    """
    for _ in range(_ATTEMPTS):
        present = api.get(_PATH)
        fleet = _as_it_is(api, _parse(present), node)
        objections = judge(_beside(fleet, node))
        if objections:
            first = objections[0]
            raise Blocked(first.code, first.message, first.remedy)
        own = fleet.down.get(node)
        same = own is not None and (own.record, own.designates) == (record, designates)
        if same and present is not None and fleet == _parse(present):
            return
        still_ours()
        entry = Entry(record=record, procedure=procedure, since=datetime.now(UTC), designates=designates)
        if _swap(api, present, fleet.model_copy(update={"down": {**fleet.down, node: entry}})):
            return
    raise _contended()


def check_again(api: Api, node: str, judge: Judge) -> None:
    """Ask the same question once more, before the machine goes down for good.

    Raises:
        Blocked: something speaks against it now.
    """
    objections = judge(others(api, node))
    if objections:
        raise Blocked(objections[0].code, objections[0].message, objections[0].remedy)


def dismiss(api: Api, node: str, record: str) -> None:
    """Take a node out of the fleet of those that are down, if this record put it there."""
    for _ in range(_ATTEMPTS):
        present = api.get(_PATH)
        fleet = _parse(present)
        own = fleet.down.get(node)
        if own is None or own.record != record:
            return
        rest = {name: entry for name, entry in fleet.down.items() if name != node}
        if _swap(api, present, fleet.model_copy(update={"down": rest})):
            return
    raise _contended()


def down(api: Api) -> frozenset[str]:
    """The nodes that are down by decision; without those whose start died before there was a record."""
    return frozenset(_as_it_is(api, _parse(api.get(_PATH)), "").down)


def others(api: Api, node: str) -> Others:
    """The same of all nodes but one, and who stands in for whom."""
    return _beside(_as_it_is(api, _parse(api.get(_PATH)), node), node)


def _beside(fleet: Fleet, node: str) -> Others:
    rest = {name: entry for name, entry in fleet.down.items() if name != node}
    return Others(frozenset(rest), {one.designates: name for name, one in rest.items() if one.designates})


def _as_it_is(api: Api, fleet: Fleet, asking: str) -> Fleet:
    """The fleet without what a crash left behind, and with every node that has an open record.

    The records are the truth: a fleet that somebody deleted, or whose clock was wrong, must let nobody go down.
    """
    opened = {record.node: record for record in Records(api).all_open() if record.node != asking}
    kept = {
        name: entry.model_copy(update={"designates": opened[name].relies_on}) if name in opened else entry
        for name, entry in fleet.down.items()
        if name == asking
        or (name in opened and opened[name].id == entry.record)
        or (name not in opened and _being_opened(api, name, entry))
    }
    known = {
        name: Entry(record=record.id, procedure=record.procedure, since=record.opened, designates=record.relies_on)
        for name, record in opened.items()
        if name not in kept
    }
    return fleet.model_copy(update={"down": {**kept, **known}})


def _being_opened(api: Api, name: str, entry: Entry) -> bool:
    # Opening takes seconds, and its process stops when it loses the lock: after this long it can only be dead. The
    # Lease of a dead holder still names him, so the name alone proves nothing.
    return datetime.now(UTC) - entry.since < _OPENING and bool(current_holder(api, name))


def _swap(api: Api, present: Object | None, fleet: Fleet) -> bool:
    body: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": names.FLEET, "namespace": names.NAMESPACE},
        "data": {"fleet": fleet.model_dump_json(by_alias=True)},
    }
    try:
        if present is None:
            api.create(_MAPS, body)
        else:
            body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
            api.replace(_PATH, body)
    except Conflict:
        return False
    return True


def _parse(present: Object | None) -> Fleet:
    if present is None:
        return Fleet()
    try:
        return Fleet.model_validate_json((present.get("data") or {}).get("fleet", "{}"))
    except ValidationError as error:
        raise Blocked(
            "fleet-damaged",
            f"ConfigMap {names.NAMESPACE}/{names.FLEET} cannot be read: {error.errors()[0]['msg']}. "
            "Nothing was changed.",
            "Mend it, or delete it when no node is in downtime ('downtime status' shows which are).",
        ) from error


def _contended() -> Failed:
    return Failed(
        "contended",
        "The list of nodes that are down is being written by others all the time",
        "Wait a little, then run the same command again.",
    )
