"""Whether somebody accepted, by typing the node's name, that no further member of etcd may fail. Pure.

It is accepted for the time that a node is down, or for good when it is removed: the one says nothing of the other.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from cluster import consent
from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from cluster.record import Approval, Record, approved

NO_TOLERANCE = "etcd-no-fault-tolerance"
"""The code of the blocker that a person can lift, by typing the node's name."""
ACCEPT = "accept"
"""The answer that accepts it; its item is the node."""
ASKED = "that no further member of etcd may fail"
"""So begins what the record says of a step that asks about it."""

_Chosen = TypeVar("_Chosen", PlannedOptions, UnplannedOptions, RemoveOptions)


def digest(node: str, options: Options) -> str:
    """What the question is about."""
    return consent.digest_of([node, "removed"] if isinstance(options, RemoveOptions) else [node])


def chosen(options: Options) -> str:
    """What was typed when the procedure was started; empty: nothing."""
    return "" if isinstance(options, RejoinOptions) else options.accept_lost_tolerance


def typed(options: Options, record: Record | None) -> str:
    """The name that counts: the node's, if that was typed at the start, or in the middle of its downtime."""
    given = acceptance(record, options) if record is not None else None
    return record.node if record is not None and given is not None else chosen(options)


def acceptance(record: Record, options: Options) -> Approval | None:
    """Who accepted it, and when; None: nobody did (yet)."""
    wanted = digest(record.node, options)
    about = [one for one in record.approvals if one.subject == "lost-tolerance" and one.digest == wanted]
    return about[-1] if about and about[-1].answer == ACCEPT else None


def with_typed(recorded: _Chosen, given: Options, node: str) -> _Chosen:
    """The recorded choices, with the name that whoever goes on typed now."""
    return recorded if chosen(given) != node else recorded.model_copy(update={"accept_lost_tolerance": node})


def approval(node: str, options: Options, who: str, at: datetime) -> Approval:
    """The acceptance, as the record keeps it."""
    about = digest(node, options)
    return Approval(subject="lost-tolerance", digest=about, items=(node,), answer=ACCEPT, who=who, at=at)


def with_acceptance(old: Record, options: Options, who: str, at: datetime) -> Record:
    """The record with what was typed when this run was started, as an answer like any other."""
    if chosen(options) != old.node or acceptance(old, options) is not None:
        return old
    return approved(old, approval(old.node, options, who, at))


def said(given: Approval, options: Options) -> str:
    """An acceptance in a sentence."""
    when = "once it is gone" if isinstance(options, RemoveOptions) else "while it is down"
    return f"{given.who} accepted, by typing the node's name, {ASKED} {when}"
