"""The steps of unplanned recovery in words: what each does to this node, and what it changes. Pure."""

from __future__ import annotations

from collections.abc import Callable

from cluster import designation_words
from cluster.ownership import Thing
from cluster.plan import PlannedStep
from cluster.planned_case import DRAIN
from cluster.unplanned_case import Case

_Words = tuple[str, tuple[str, ...]]
_OUT = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
_NAMED: dict[Thing, str] = {
    "cordon": "the cordon",
    "taint": f"the taint {DRAIN}",
    "out-of-service": f"the taint {_OUT}",
}


def step(case: Case, name: str) -> PlannedStep:
    """One step of the plan."""
    words: dict[str, Callable[[Case], _Words]] = {
        "judge-down": _judge_down,
        "see-machine": _see_machine,
        "see-services": lambda _: ("See its services back as they were: heartbeats, DaemonSets' pods, GPUs", ()),
        "designate": lambda case: designation_words.designate(case.observation, case.options),
        "undesignate": lambda case: designation_words.undesignate(case.options, case.record),
        "cordon": lambda case: _setting(case, "cordon", "nothing new starts on the node"),
        "taint": lambda case: _setting(case, "taint", "its workloads start elsewhere now, not after Kubernetes' 350 s"),
        "reset": _reset,
        "prove-off": lambda _: ("If pods or volumes stay stuck: see proof that the machine is off, or wait", ()),
        "out-of-service": _out_of_service,
        "clear-out-of-service": lambda case: _taking_off(case, "out-of-service"),
        "approve-return": _approve_return,
        "power-on": lambda case: ("Switch the machine on", (f"switch on the machine of {case.name}",)),
        "see-back": lambda _: ("See the node back: Ready, its lease renewed; with a new boot id if it was off", ()),
        "stable": lambda case: (
            f"See it steadily Ready for {case.settings.drain.stable_seconds:g} s, and not for the fourth time in an "
            "hour",
            (),
        ),
        "untaint": lambda case: _taking_off(case, "taint"),
        "see-gpus": lambda _: ("See all GPUs allocatable that were recorded, while the node is still cordoned", ()),
        "uncordon": lambda case: _taking_off(case, "cordon"),
        "see-service": lambda _: ("See the Run:ai service no worse than before", ()),
        "close": lambda case: ("Close the record", (f"close the record of {case.name}",)),
    }
    summary, changes = words[name](case)
    return PlannedStep(name=name, summary=summary, changes=changes)


def _judge_down(case: Case) -> _Words:
    return (
        f"Give it {case.options.grace_seconds} s since its last sign of life; if it comes back, only see its services "
        "back, and touch nothing",
        (),
    )


def _see_machine(case: Case) -> _Words:
    match case.options.dead_kubelet:
        case "restart":
            return "If its SSH answers, it is not off: restart its kubelet", (f"restart the kubelet of {case.name}",)
        case "shut-down":
            return "If its SSH answers, it is not off: shut it down", (f"shut down the machine of {case.name}",)
        case "ask":
            return (
                "See whether its SSH answers: then it is not off, and a person decides, later, what to do with it",
                (),
            )
        case _:
            return "See whether its SSH answers: then it is not off", ()


def _setting(case: Case, thing: Thing, why: str) -> _Words:
    what = _NAMED[thing]
    if case.sets(thing):
        if case.stands(thing):
            return f"Take over {what} that somebody else set", (f"own {what} on {case.name}",)
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


def _reset(case: Case) -> _Words:
    times = f"at most {case.options.resets} times in an hour"
    return f"Reset its power, {times}, and see whether it comes back", (f"reset the power of {case.name}, {times}",)


def _out_of_service(case: Case) -> _Words:
    if case.sets("out-of-service"):
        return (
            f"Only with proof, taken again: set {_NAMED['out-of-service']}, and see its pods and volumes released",
            (f"set {_NAMED['out-of-service']} on {case.name}",),
        )
    return "See its pods and volumes released", ()


def _approve_return(case: Case) -> _Words:
    also = ", and has switched the machine on" if case.options.power_on == "person" else ""
    return f"Wait until a person says that it may return{also}: 'downtime resume {case.name}' says exactly that", ()
