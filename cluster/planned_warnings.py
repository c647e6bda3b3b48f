"""What a person should know before planned maintenance of a node; none of it forbids it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import (
    control_plane_blockers,
    designation_words,
    disruption,
    gpu_return,
    lost_tolerance,
    ownership,
    service,
    takeover,
    workloads_first,
)
from cluster import node as node_
from cluster import pods as pod_
from cluster import workloads as workloads_
from cluster.options import PlannedOptions
from cluster.plan import Finding
from cluster.planned_case import DRAIN, Case, listed, titles


def of(case: Case) -> tuple[Finding, ...]:
    """All of them."""
    found = [*_recreated(case), *_foreign(case)]
    found += designation_words.warnings(case.observation, case.options, case.record)
    if case.fresh:
        found += _recovery(case)
    if case.before_taint:
        found += takeover.outage(case.name, case.observation.outage_pods)
        found += [*_service(case), *_interrupted(case), *_workloads(case), *_budgets(case)]
        found += workloads_first.warnings(case)
    if case.before_shutdown:
        found += _shutdown(case)
    if (case.before_taint or case.before_shutdown) and isinstance(case.options, PlannedOptions):
        found += control_plane_blockers.warnings(case.observation, lost_tolerance.typed(case.options, case.record))
    if case.before_taint and "see-gpus" in case.left:
        found += _gpus(case)
    return tuple(found)


def _recreated(case: Case) -> Iterator[Finding]:
    uid = pod_.uid(case.node)
    if case.record is not None and case.record.node_uid and uid and case.record.node_uid != uid:
        yield Finding(
            code="node-recreated",
            message=f"The Node {case.name} was deleted and made anew since this downtime began",
            remedy=f"What this downtime had set on it went with the old one. See 'downtime status {case.name}'.",
        )


def _foreign(case: Case) -> Iterator[Finding]:
    if case.foreign("taint"):
        if case.sets("taint"):
            yield Finding(
                code="adopted-taint",
                message=f"{case.name} carries the taint {DRAIN} that somebody else set; it becomes this downtime's",
                remedy="It is removed at the end, as chosen with --adopt-taint.",
            )
        else:
            yield Finding(
                code="foreign-taint",
                message=f"{case.name} carries the taint {DRAIN} that this downtime did not set: it stays, and no "
                "workload comes back while it stands",
                remedy=f"Remove it when it is no longer wanted ('kubectl taint nodes {case.name} {DRAIN}-'), or choose "
                "--adopt-taint.",
            )
    if case.foreign("cordon"):
        yield Finding(
            code="foreign-cordon",
            message=f"{case.name} was cordoned by somebody else: it stays cordoned",
            remedy=f"'kubectl uncordon {case.name}' when that is no longer wanted.",
        )
    mark = ownership.read(case.node)
    if case.fresh and mark is not None and mark.owns:
        yield Finding(
            code="left-behind",
            message=f"{case.name} carries the mark of a downtime ({mark.record}) that is not open: what it set "
            f"({', '.join(mark.owns)}) counts as somebody else's",
            remedy=f"See 'downtime status {case.name}'; take it off by hand when it is not wanted.",
        )


def _gpus(case: Case) -> Iterator[Finding]:
    hindered = gpu_return.hindered(case.node, case.observation.pods)
    if hindered is not None:
        yield hindered


def _recovery(case: Case) -> Iterator[Finding]:
    verdict = case.observation.recovery
    if verdict is None:
        return
    if verdict.verdict == "overridden" or (verdict.blocks and case.options.override_recovery_gate):
        yield Finding(
            code="override-recovery-gate",
            message=f"The recovery gate is overridden: {case.options.override_recovery_gate or 'see its lines'}",
            remedy="Take a backup as soon as possible: until then a loss of the control plane's data is final.",
        )
    said = [
        f"{line.check}: {line.reason}" for line in verdict.lines if line.level == "WARN" and line.check != "override"
    ]
    if said:
        yield Finding(
            code="recovery-warning",
            message=f"The disaster-recovery check warns: {listed(said, 3)}",
            remedy="Look at the backups soon: 'downtime check-recovery'.",
        )


def _service(case: Case) -> Iterator[Finding]:
    found = service.degraded(case.observation.service)
    if found and node_.kind(case.node) != "system":
        yield Finding(
            code="service-degraded",
            message=f"The Run:ai service is degraded already: {listed(found)}",
            remedy="Think about bringing it into order first. Afterwards it must be no worse than now.",
        )


def _interrupted(case: Case) -> Iterator[Finding]:
    """Parts of the service that run once, and here: until they run elsewhere, they are missing."""
    observation = case.observation
    going = {workloads_.title_of(pod, observation.owners) for pod in observation.pods if pod_.must_go(pod)}
    single = sorted(
        title
        for title, one in observation.service.controllers.items()
        if title in going and one.wanted == 1 and "/DaemonSet/" not in title
    )
    if single:
        yield Finding(
            code="service-interrupted",
            message=f"Parts of the Run:ai service run on {case.name} alone, and are missing until they run elsewhere: "
            f"{listed(single)}",
            remedy="Tell the users of its interface. A database with a volume of this node only comes back with it.",
        )


def _workloads(case: Case) -> Iterator[Finding]:
    if case.unapproved and case.options.interactive == "ask":
        yield Finding(
            code="interactive-asks",
            message=f"Somebody will be asked about interactive work on {case.name}: {titles(case.unapproved)}",
            remedy="Tell its owners now, so that they save and stop it.",
        )
    evicted = [one for one in case.workloads if workloads_.needs_approval(one.kind) and one.fate in ("moves", "lost")]
    if evicted:
        yield Finding(
            code="interactive-evicted",
            message=f"Interactive work is going to be evicted: {titles(evicted)}",
            remedy="See that its owners have saved what they need.",
        )
    unknown = [one for one in case.workloads if one.kind == "unknown"]
    if unknown:
        yield Finding(
            code="unknown-workload",
            message=f"It is not known what kind of work this is, so it counts as interactive: {titles(unknown)}",
            remedy="If it is no researcher's work, name its namespace as service_namespaces under [drain].",
        )
    distributed = [one for one in case.workloads if one.kind == "distributed" and one.fate != "stays"]
    if distributed:
        yield Finding(
            code="distributed-work",
            message=f"Distributed work has workers here; it may end or restart as a whole: {titles(distributed)}",
            remedy="See that it writes checkpoints.",
        )
    lost = [one for one in case.workloads if one.fate == "lost"]
    if lost:
        yield Finding(
            code="work-lost",
            message=f"Nothing starts this work again elsewhere once it is evicted: {titles(lost)}",
            remedy="Its owners have to submit it again.",
        )
    yield from _local_data(case)


def _local_data(case: Case) -> Iterator[Finding]:
    named = {(one.namespace, name) for one in case.workloads for name in one.pods}
    found = [
        f"{pod_.full_name(pod)}: {', '.join(volumes)}"
        for pod in case.observation.pods
        if (pod_.namespace(pod), pod_.name(pod)) in named and pod_.must_go(pod) and (volumes := pod_.local_data(pod))
    ]
    if found:
        yield Finding(
            code="local-data",
            message=f"Work keeps data on the node that does not move with it: {listed(found, 5)}",
            remedy="Have its owners copy what they need to shared storage.",
        )


def _budgets(case: Case) -> Iterator[Finding]:
    observation = case.observation
    if not case.options.override_pdb:
        return
    for violation in disruption.violations(observation.pdbs, observation.pods, observation.owners):
        yield Finding(
            code="override-pdb",
            message=f"A PodDisruptionBudget is going to be violated ({case.options.override_pdb}): {violation}",
            remedy="Watch the service that it protects while the node is drained.",
        )


def _shutdown(case: Case) -> Iterator[Finding]:
    if case.tolerating and case.options.allow_tolerating:
        yield Finding(
            code="allow-tolerating",
            message=f"Pods that tolerate the drain taint go down with the machine ({case.options.allow_tolerating}): "
            f"{listed(case.tolerating)}",
            remedy="Watch them when the machine is back.",
        )
    if case.settings.power.status == "none":
        yield Finding(
            code="presumed-off",
            message=f"No power controller says whether {case.name} is off: that will only be presumed, when SSH is "
            "silent and the node's lease stands still",
            remedy='Look at the machine before you touch it, or set status = "command" under [power].',
        )
