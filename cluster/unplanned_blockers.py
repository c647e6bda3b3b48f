"""What forbids the recovery of a node. Pure; each blocker only while a step that it concerns is left.

The node is down already, so neither disruption budgets nor the recovery gate forbid anything that is done *because* it
is down. What would stop a machine that still runs (a shutdown, a power reset) is gated as everywhere. The way back is
never blocked.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import capacity, etcd_quorum, lost_tolerance, storm, taking_over
from cluster import node as node_
from cluster.plan import Finding
from cluster.planned_case import listed
from cluster.unplanned_case import Case
from cluster.verdict import BLOCKER_CODE


def of(case: Case) -> tuple[Finding, ...]:
    """All of them, in the order of the steps that they concern."""
    found: list[Finding] = []
    if case.fresh:
        seen = case.observation
        found += [*_not_down(case), *_recovery(case), *_power(case)]
        found += capacity.judge(case.name, seen.nodes, seen.down, case.settings.limits)
        found += _etcd(case)
    if case.before_taint:
        found += taking_over.objections(case.observation, case.options.designate, recorded=not case.fresh)
        found += [*_storm(case), *_own_pods(case)]
    return tuple(found)


def _not_down(case: Case) -> Iterator[Finding]:
    if case.alive and not case.options.said_down:
        yield Finding(
            code="not-down",
            message=f"{case.name} is Ready, and its kubelet renewed the node's lease "
            f"{case.facts.silent_for(case.observation.taken):.0f} s ago: there is nothing to recover from",
            remedy=f"For work on a healthy node: 'downtime plan planned {case.name}'. If it is down all the same (or "
            "was, and its services are to be verified): --said-down.",
        )


def _recovery(case: Case) -> Iterator[Finding]:
    verdict = case.observation.recovery
    if not case.adds_downtime or case.options.override_recovery_gate.strip():
        return
    if verdict is None or verdict.blocks:
        said = "the disaster-recovery check was not made" if verdict is None else verdict.blocker_message()
        yield Finding(
            code=BLOCKER_CODE,
            message=f"A machine that may still run is to be stopped or reset, and {said}",
            remedy=f"{verdict.remedy() if verdict is not None else ''} Or choose neither --resets nor "
            '--dead-kubelet shut-down; or --override-recovery-gate "reason", which is recorded.'.strip(),
        )


def _power(case: Case) -> Iterator[Finding]:
    power = case.settings.power
    if "power-on" in case.left and power.on == "person":
        yield Finding(
            code="power-on-unconfigured",
            message=f"{case.name} is to be switched on by its power controller, but none is configured for that",
            remedy='Set on = "command" under [power] in the configuration, or choose --power-on person.',
        )
    if "reset" in case.left and (power.command.reset is None or power.status == "none"):
        yield Finding(
            code="reset-unconfigured",
            message=f"Power resets of {case.name} were asked for, but no command for that, or none that says whether "
            "it has power, is configured",
            remedy='Give "reset" and "status" under [power.command], and set status = "command"; or no --resets.',
        )


def _etcd(case: Case) -> Iterator[Finding]:
    """A machine that still runs may have a member of etcd that still works; and nobody could see one back, unasked."""
    others = any(one.kind == "control-plane" and one.name != case.name for one in case.observation.nodes)
    if node_.kind(case.node) != "control-plane" or not others:
        return
    found = etcd_quorum.objections(case.observation.etcd, case.name, lost_tolerance.typed(case.options, case.record))
    yield from (one for one in found if case.adds_downtime or one.code == etcd_quorum.NOT_OBSERVED)


def _storm(case: Case) -> Iterator[Finding]:
    if case.options.override_storm.strip():
        return
    known = case.observation.down | ({case.name} if case.record is not None else set())
    yield from storm.judge(
        case.observation.nodes, known, case.facts.api_ready, (case.facts.answering, case.facts.asked)
    )


def _own_pods(case: Case) -> Iterator[Finding]:
    if case.observation.own_pods and node_.ready(case.node):
        yield Finding(
            code="own-pod",
            message=f"This product, or what it depends on, runs on {case.name}, and the node is still called Ready: "
            f"{listed(case.observation.own_pods)}",
            remedy="Run downtime from elsewhere, or wait until the node is not Ready.",
        )
