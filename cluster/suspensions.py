"""What a record says of workloads that were suspended through Run:ai's API, and the step that resumes them. Pure.

One change each: what it is called holds the workload's key, its value where the API resumes it (``workspaces/ID``).
``intended``: it was asked for, perhaps; ``made``: seen stopped, and its pods gone; ``undone``: it runs again, or it is
nobody's affair any more.
"""

from __future__ import annotations

from typing import Literal

from cluster import record as records_of
from cluster.plan import Finding, Workload
from cluster.record import Change, Record
from cluster.runai_workloads import Collection

STEP = "resume-workloads"
_WHAT = "suspended "
# A ConfigMap holds 1 MiB.
_MOST_WORKLOADS = 200
_LEFT = " is not resumed: "
_NOT_TRIED = "it was not tried yet"
_AFTER_RETURN, _AFTER_DRAIN = "see-service", "see-gone"


def ordered(names: tuple[str, ...], kept: bool) -> tuple[str, ...]:
    """The steps, with that of the resumption where it belongs.

    After the node and the Run:ai service are back, whose API resumes: it may have been down with the node. Of a node
    that does not come back, after its drain: what was suspended does not need the node.

    Args:
        kept: whether the API was configured when the downtime was opened.
    """
    after = _AFTER_RETURN if _AFTER_RETURN in names else _AFTER_DRAIN
    if not kept or after not in names:
        return names
    at = names.index(after) + 1
    return (*names[:at], STEP, *names[at:])


def what(key: str) -> str:
    """The name of the change, for a workload's key."""
    return f"{_WHAT}{key}"


def key_of(change: Change) -> str:
    """The key of the workload that was suspended."""
    return change.what.removeprefix(_WHAT)


def target(change: Change) -> tuple[Collection, str]:
    """Under which path, and under which id, the API knows it."""
    return target_of(change.value)


def target_of(value: str) -> tuple[Collection, str]:
    """The same, from the value of the change."""
    path, _, id_ = value.partition("/")
    known: dict[str, Collection] = {"workspaces": "workspaces", "trainings": "trainings", "distributed": "distributed"}
    return known.get(path, "workspaces"), id_


def left(record: Record) -> tuple[Change, ...]:
    """The suspensions that stand, or perhaps do."""
    return tuple(one for one in record.changes if one.what.startswith(_WHAT) and one.state != "undone")


def of(record: Record, key: str) -> Change | None:
    """The suspension of a workload that stands, or perhaps does; None: there is none."""
    return next((one for one in left(record) if key_of(one) == key), None)


def with_state(record: Record, key: str, value: str, state: Literal["intended", "made", "undone"], note: str) -> Record:
    """The record with the newest state of one suspension, and a line in its timeline.

    What is asked for once more is intended from then on.
    """
    present = next((one for one in record.changes if one.what == what(key)), None)
    same = present is not None and (present.value, present.state) == (value, state) and state != "intended"
    new = record if same else records_of.change_is(record, what(key), value, state)
    return records_of.noted(new, note[:1000])


def with_workload(record: Record, one: Workload) -> Record:
    """The record, with a workload that is suspended before the drain: the report tells where it went, too."""
    others = tuple(two for two in record.suspended if two.key != one.key)
    return record.model_copy(update={"suspended": (*others, one)[-_MOST_WORKLOADS:]})


def not_resumed(record: Record, key: str, why: str) -> Record:
    """The record, with the reason why a workload could not be resumed."""
    return records_of.noted(record, f"{key}{_LEFT}{why}"[:1000])


def why_left(record: Record, key: str) -> str:
    """The last reason why it could not be resumed."""
    beginning = f"{key}{_LEFT}"
    found = (one.text.removeprefix(beginning) for one in reversed(record.timeline) if one.text.startswith(beginning))
    return next(found, _NOT_TRIED)


def by_hand(change: Change) -> str:
    """What a person does to resume it."""
    collection, id_ = target(change)
    command = "workspace" if collection == "workspaces" else "training"
    more = " (of a distributed one with its framework: 'runai training pytorch resume …')"
    return (
        f"Resume it in the Run:ai UI (Workloads, select it, Resume), or by 'runai {command} resume --uuid={id_}'"
        f"{more if collection == 'distributed' else ''}; its owner can do that as well."
    )


def warnings(record: Record) -> tuple[Finding, ...]:
    """What is still suspended although the downtime has passed the step that resumes it."""
    if record.open and not record.done(STEP):
        return ()
    return tuple(
        Finding(
            code="still-suspended",
            message=f"{key_of(one)} {'was' if one.state == 'made' else 'was perhaps'} suspended by this downtime, and "
            f"could not be resumed: {why_left(record, key_of(one))}",
            remedy=by_hand(one),
        )
        for one in left(record)
    )


def outcome(record: Record) -> str:
    """What came of all of them, for the proof of the step."""
    ours = [one for one in record.changes if one.what.startswith(_WHAT)]
    if not ours:
        return "this downtime suspended no workload"
    over = [key_of(one) for one in ours if one.state == "undone"]
    failed = [f"{key_of(one)} ({why_left(record, key_of(one))})" for one in left(record)]
    done = f"no more suspended: {', '.join(over)}" if over else "none is resumed"
    return f"{done}; NOT resumed: {'; '.join(failed)}" if failed else done
