"""What forbids planned maintenance of a node. Pure; each blocker only while a step that it concerns is left.

Before the taint: workloads, disruption budgets, limits. Before the shutdown: pods that stay, the host's identity, the
power controller. The way back is never blocked, and the recovery gate is judged once, before everything.
"""

from __future__ import annotations

from collections.abc import Iterator

from cluster import (
    capacity,
    consent,
    control_plane_blockers,
    drain_deadline,
    local_outage,
    lost_tolerance,
    service,
    taking_over,
    workloads_first,
)
from cluster import node as node_
from cluster import pods as pod_
from cluster.options import PlannedOptions
from cluster.plan import Finding
from cluster.planned_case import Case, listed, titles
from cluster.verdict import BLOCKER_CODE


def of(case: Case) -> tuple[Finding, ...]:
    """All of them, in the order of the steps that they concern."""
    found: list[Finding] = []
    if case.fresh:
        found += [*_readiness(case), *recovery(case)]
    if case.before_taint or case.before_shutdown:
        seen = case.observation
        found += taking_over.standing_in(case.name, seen.designated)
        found += taking_over.objections(seen, case.options.designate, recorded=case.record is not None)
        found += capacity.judge(case.name, seen.nodes, seen.down, case.settings.limits)
        if isinstance(case.options, PlannedOptions):
            found += control_plane_blockers.of(seen, lost_tolerance.typed(case.options, case.record), found)
    if case.before_taint:
        found += local_outage.mistyped(case.name, case.options.accept_outage)
        found += [*_service(case), *_own_pods(case), *_workloads(case), *_budgets(case), *_deadline(case)]
    if case.before_shutdown:
        found += [*_own_machine(case), *tolerating(case), *_host(case), *_power(case)]
    return tuple(found)


def _readiness(case: Case) -> Iterator[Finding]:
    if node_.ready(case.node):
        return
    said = node_.condition(case.node, "Ready")
    yield Finding(
        code="not-ready",
        message=f"{case.name} is not Ready ({said.get('message') or said.get('reason') or 'its state is not known'}): "
        "its pods could not be seen gone",
        remedy=f"For a node that failed: 'downtime plan unplanned {case.name}'.",
    )


def recovery(case: Case) -> Iterator[Finding]:
    """What the recovery gate forbids."""
    verdict = case.observation.recovery
    if verdict is None:
        yield Finding(
            code=BLOCKER_CODE,
            message="The disaster-recovery check was not made",
            remedy="Configure [recovery] store, and see 'downtime doctor'.",
        )
    elif verdict.blocks and not case.options.override_recovery_gate:
        yield Finding(code=BLOCKER_CODE, message=verdict.blocker_message(), remedy=verdict.remedy())


def _service(case: Case) -> Iterator[Finding]:
    found = service.degraded(case.observation.service)
    if found and node_.kind(case.node) == "system":
        yield Finding(
            code="service-degraded",
            message=f"The Run:ai service is degraded, and {case.name} is one of its system nodes: {listed(found)}",
            remedy="Bring the service into order first ('kubectl get pods -n runai' and '-n runai-backend').",
        )


def _own_pods(case: Case) -> Iterator[Finding]:
    if case.observation.own_pods:
        yield Finding(
            code="own-pod",
            message=f"This product, or what it depends on, runs on {case.name}: {listed(case.observation.own_pods)}; "
            "the drain would end it half-way",
            remedy="Move these pods to another node first, or run downtime from elsewhere.",
        )


def _own_machine(case: Case) -> Iterator[Finding]:
    if case.observation.own_machine:
        yield Finding(
            code="own-machine",
            message=f"This command runs on the machine of {case.name} itself: the shutdown would end it half-way",
            remedy="Run downtime on another machine.",
        )


def _workloads(case: Case) -> Iterator[Finding]:
    if case.options.interactive == "refuse" and case.unapproved:
        yield Finding(
            code="interactive-refused",
            message=f"There is interactive work on {case.name}, and this run was told to refuse its eviction: "
            f"{titles(case.unapproved)}",
            remedy="Have its owners save and stop it, or choose --interactive ask.",
        )


def _budgets(case: Case) -> Iterator[Finding]:
    if case.options.override_pdb:
        return
    for violation in workloads_first.unasked(case):
        yield Finding(
            code="pdb",
            message=f"The drain ignores PodDisruptionBudgets, and would violate one: {violation}",
            remedy="Start more replicas elsewhere (or wait until they are ready), or choose --eviction, which waits "
            'for that; if the disruption is accepted: --override-pdb "reason", which is recorded.',
        )


def _deadline(case: Case) -> Iterator[Finding]:
    minutes = case.options.eviction_minutes or case.settings.drain.eviction_minutes
    asked = workloads_first.STEP in case.left and not case.stands("taint")
    longest = drain_deadline.longest(case.observation.pods, asked=asked)
    if minutes is None or minutes * 60 >= longest:
        return
    slow = [pod for pod in case.observation.pods if drain_deadline.longest([pod], asked=asked) > minutes * 60]
    yield Finding(
        code="eviction-deadline",
        message=f"The eviction deadline of {minutes:g} min is shorter than pods may take to end (up to "
        f"{longest / 60:.1f} min): {listed([pod_.full_name(pod) for pod in slow])}",
        remedy=f"Choose --eviction-minutes {int(longest // 60) + 1} or more, or leave it out.",
    )


def tolerating(case: Case) -> Iterator[Finding]:
    """Pods that the drain leaves there, and that go down with the machine."""
    allowed = consent.agreed(case.record, "tolerating", consent.ALLOW)
    left = [pod for pod in case.tolerating if pod not in allowed]
    if left and not case.options.allow_tolerating:
        yield Finding(
            code="tolerates-drain",
            message=f"Pods tolerate the drain taint and would go down with the machine: {listed(left)}",
            remedy="Delete or move them with their owners; if they may go down with it: "
            '--allow-tolerating "reason", which is recorded.',
        )


def _host(case: Case) -> Iterator[Finding]:
    host = case.observation.host
    if case.observation.power_status == "off":
        return  # There is nothing to shut down; a machine that is off cannot be asked.
    if host is None:
        # A downtime that goes on asks the machine itself, right before it is shut down.
        if case.fresh:
            yield _unasked(case)
        return
    if host.problem is not None:
        yield host.problem
    elif not host.reachable:
        yield _unasked(case)
    elif not host.boot_id or host.boot_id != node_.boot_id(case.node):
        yield Finding(
            code="host-identity",
            message=f"The machine that is configured for {case.name} is another one: it runs boot "
            f"{host.boot_id or '(unknown)'}, the node reports {node_.boot_id(case.node) or 'none'}",
            remedy=f"Correct the address of {case.name} in [hosts.addresses]. If the machine restarted just now, wait "
            "until the node has reported it.",
        )


def _unasked(case: Case) -> Finding:
    return Finding(
        code="host-unreachable",
        message=f"The machine of {case.name} was not reached over SSH, so it cannot be proven to be the node",
        remedy="See [hosts] in the configuration, and 'downtime doctor'.",
    )


def _power(case: Case) -> Iterator[Finding]:
    if "power-on" in case.left and case.settings.power.on == "person":
        yield Finding(
            code="power-on-unconfigured",
            message=f"{case.name} is to be switched on by its power controller, but none is configured for that",
            remedy='Set on = "command" under [power] in the configuration, or choose --power-on person.',
        )
    status, host = case.observation.power_status, case.observation.host
    if status == "unknown" and (host is None or host.problem is None):
        yield Finding(
            code="power-status-unknown",
            message=f"The power controller does not say whether {case.name} is on, so it could not be seen off",
            remedy="See what the status command under [power.command] prints: it must be 'on' or 'off'.",
        )
    elif status == "off" and node_.ready(case.node):
        yield Finding(
            code="power-mismatch",
            message=f"The power controller says that {case.name} is off, but the node is Ready: it seems to be another "
            "machine's",
            remedy="Correct the configuration of the power controller for this node. If the machine went down just "
            "now, wait until the node is not Ready.",
        )
