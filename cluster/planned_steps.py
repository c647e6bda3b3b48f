"""The steps of planned maintenance in words: what each does to this node, and what it changes. Pure."""

from __future__ import annotations

from collections.abc import Callable

from cluster import designation_words, drain_deadline, notice, suspensions, workloads_first
from cluster import node as node_
from cluster import pods as pod_
from cluster.ownership import Thing
from cluster.plan import PlannedStep
from cluster.planned_case import DRAIN, Case, listed, titles
from cluster.showing_time import duration

_Words = tuple[str, tuple[str, ...]]
_NAMED: dict[Thing, str] = {"cordon": "the cordon", "taint": f"the taint {DRAIN}"}


def step(case: Case, name: str) -> PlannedStep:
    """One step of the plan."""
    words: dict[str, Callable[[Case], _Words]] = {
        "recovery-gate": _recovery_gate,
        "designate": lambda case: designation_words.designate(case.observation, case.options),
        "undesignate": lambda case: designation_words.undesignate(case.options, case.record),
        "cordon": lambda case: _setting(case, "cordon"),
        "approve-workloads": _approve_workloads,
        "evict": _evict,
        "taint": lambda case: _setting(case, "taint"),
        "see-gone": lambda case: (see_gone(case), ()),
        "shut-down": _shut_down,
        "see-off": _see_off,
        "approve-return": _approve_return,
        "power-on": lambda case: ("Switch the machine on", (f"switch on the machine of {case.name}",)),
        "see-back": _see_back,
        "untaint": lambda case: _taking_off(case, "taint"),
        "see-gpus": lambda _: ("See all GPUs allocatable that were recorded, while the node is still cordoned", ()),
        "uncordon": lambda case: _taking_off(case, "cordon"),
        "see-service": lambda _: ("See the Run:ai service no worse than before", ()),
        "resume-workloads": _resume_workloads,
        "close": lambda case: ("Close the record", (f"close the record of {case.name}",)),
    }
    summary, changes = words[name](case)
    return PlannedStep(name=name, summary=summary, changes=changes)


def _evict(case: Case) -> _Words:
    summary, changes = workloads_first.words(case)
    if not changes:
        return summary, changes
    seconds = drain_deadline.seconds(case.observation.pods, case.options, case.settings.drain, asked=True)
    return f"{summary}. The deadline is after {duration(seconds)}", changes


def see_gone(case: Case) -> str:
    """The step that sees the node drained, and how long it waits for that."""
    asked = workloads_first.STEP in case.left and not case.stands("taint")
    pods, drain = case.observation.pods, case.settings.drain
    seconds = drain_deadline.seconds(pods, case.options, drain, asked=asked)
    longest = max((drain_deadline.tolerated(pod, asked=asked) for pod in pods if pod_.must_go(pod)), default=0.0)
    why = f" (pods tolerate the taint for up to {duration(longest)})" if longest else ""
    return (
        f"See all pods gone that the taint takes away; it waits for them for {duration(seconds)} at most{why}, then "
        "names those that are left"
    )


def _recovery_gate(case: Case) -> _Words:
    verdict = case.observation.recovery
    said = "not checked" if verdict is None else verdict.verdict
    if said == "not-applicable":
        return "Recovery gate: not applicable, the control plane is not on this cluster (SaaS)", ()
    about = f", backup set {verdict.set}" if verdict is not None and verdict.set else ""
    return f"Recovery gate: could the control plane's data be restored? ({said}{about})", ()


def _setting(case: Case, thing: Thing) -> _Words:
    what = _NAMED[thing]
    if case.sets(thing):
        if case.stands(thing):
            return f"Take over {what} that somebody else set", (f"own {what} on {case.name}",)
        going = "pods of DaemonSets, and what else is left, are" if workloads_first.evicts(case) else "its pods are"
        why = "nothing new starts on the node" if thing == "cordon" else f"{going} evicted, with their grace periods"
        return f"Set {what}: {why}", (f"set {what} on {case.name}",)
    whose = "this downtime's" if case.owns(thing) else "somebody else's, and stays theirs"
    return f"Nothing to set: {what} stands ({whose})", ()


def _taking_off(case: Case, thing: Thing) -> _Words:
    what = _NAMED[thing]
    if case.removes(thing):
        return f"Take off {what}", (f"remove {what} from {case.name}",)
    if case.stands(thing):
        return f"Leave {what}: somebody else set it", ()
    return f"Nothing to take off: {what} does not stand", ()


def _approve_workloads(case: Case) -> _Words:
    words, changes = _about_interactive(case)
    words += _about_notice(case)
    if case.unaccepted:
        words += f"; and whether {listed(case.unaccepted)} may be down as long as the node is"
    return words, changes


def _about_notice(case: Case) -> str:
    notify = case.settings.notify
    chosen = case.options.notice_minutes
    minutes = notice.minutes(chosen, case.settings.drain.notice_minutes, notifies=notify.any)
    if not (notify.any or minutes):
        return ""
    count = len(notify.urls) + len(notify.blocks)
    told = f"tell its owners ({count} way{'' if count == 1 else 's'} configured)" if count else "write Events about it"
    return f"; before, {told}, and leave it to them for {minutes:g} minutes" if minutes else f"; before, {told}"


def _about_interactive(case: Case) -> _Words:
    if case.unapproved:
        return f"Ask a person what is to happen with interactive work: {titles(case.unapproved)}", ()
    if case.options.interactive == "evict":
        return "Interactive work may be evicted, as chosen; nobody is asked", ()
    return "Ask a person if there is interactive work by then; there is none to ask about now", ()


def _resume_workloads(case: Case) -> _Words:
    ours = suspensions.left(case.record) if case.record is not None else ()
    changes = tuple(f"resume {suspensions.key_of(one)}" for one in ours)
    return "Resume the workloads that this downtime has suspended through Run:ai's API, and no others", changes


def _shut_down(case: Case) -> _Words:
    how = "over SSH" if case.settings.power.off == "ssh" else "through its power controller"
    system = ", and the Run:ai service was seen to run elsewhere" if node_.kind(case.node) == "system" else ""
    return (
        f"Shut the machine down {how}, after it has proven to be {case.name}{system}",
        (f"shut down the machine of {case.name}",),
    )


def _see_off(case: Case) -> _Words:
    if case.settings.power.status == "none":
        return "See SSH silent and the node's lease standing still: presumed off", ()
    return "See the machine off: its power controller says so", ()


def _approve_return(case: Case) -> _Words:
    also = ", and has switched the machine on" if case.options.shut_down and case.options.power_on == "person" else ""
    return f"Wait until a person says that the work is done{also}: 'downtime resume {case.name}' says exactly that", ()


def _see_back(case: Case) -> _Words:
    boot = " with a new boot id" if case.options.shut_down else ""
    return f"See the node back: Ready{boot}, and its lease renewed", ()
