"""A designation in words: its steps, and what a person should know of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import designation_mark, names
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions, UnplannedOptions
from cluster.plan import Finding
from cluster.record import Record
from cluster.system_placement import LABEL

Options = PlannedOptions | UnplannedOptions | RemoveOptions
_Words = tuple[str, tuple[str, ...]]


def designate(seen: Observation, options: Options) -> _Words:
    """The step that sets the label."""
    chosen, node = options.designate, seen.node_name
    stays = "; it stays one" if options.keep_designation else ", for as long as it is needed"
    return (
        f"Make {chosen} a Run:ai system node{stays}, and see that the system pods of {node} find a place",
        (f"set the label {LABEL} on {chosen}",),
    )


def undesignate(options: Options, record: Record | None) -> _Words:
    """The step that takes it off."""
    name = (record.designated if record is not None else "") or options.designate
    if record is not None and not record.designated and (record.aborted or record.done("designate")):
        return f"Nothing to take off: the label {LABEL} on {name} is not this downtime's", ()
    return (
        f"Move the system pods off {name} and take the label off, once they find a place elsewhere; what is bound to a "
        "volume there stays, and the label with it",
        (f"evict the system pods from {name}", f"remove the label {LABEL} from {name}"),
    )


def warnings(seen: Observation, options: Options, record: Record | None) -> Iterator[Finding]:
    """What a person should know."""
    if seen.node_name in seen.designated:
        other = seen.designated[seen.node_name]
        yield Finding(
            code="stood-in",
            message=f"{seen.node_name} stands in as a Run:ai system node for {other}, which is in downtime",
            remedy=f"Bring {other} back as soon as possible: 'downtime status {other}'.",
        )
    mark = designation_mark.read(seen.node or {})
    if mark is not None and seen.node_name not in seen.designated:
        yield Finding(
            code="left-designated",
            message=f"{seen.node_name} carries the mark of a designation for {mark.node} ({mark.record}) that no open "
            "downtime knows of: its label counts as somebody else's",
            remedy=f"If it is to be no Run:ai system node: 'kubectl label node {seen.node_name} {LABEL}-'; and "
            f"'kubectl annotate node {seen.node_name} {names.DESIGNATED_ANNOTATION}-'.",
        )
    name = record.relies_on if record is not None else ""
    place = next((one for one in seen.nodes if one.name == name), None)
    if name and (place is None or not place.can_take_over):
        how = "is gone" if place is None else "is not ready, or cordoned, or drained"
        yield Finding(
            code="designated-failed",
            message=f"{name}, which was designated to stand in for {seen.node_name}, {how} itself",
            remedy=f"Bring one of the two back; 'downtime plan unplanned {name}' says who else could be designated.",
        )
    if options.designate and isinstance(options, RemoveOptions):
        yield Finding(
            code="designation-lasts",
            message=f"{options.designate} stays a Run:ai system node, since {seen.node_name} does not come back",
            remedy=f"Once there is another one: 'kubectl label node {options.designate} {LABEL}-'.",
        )
