"""What a person should know before a node is recovered; none of it forbids it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import control_plane_blockers, designation_words, disruption, flapping, gpu_return, ownership
from cluster import workloads as workloads_
from cluster.plan import Finding
from cluster.planned_case import DRAIN, listed, titles
from cluster.unplanned_case import Case


def of(case: Case) -> tuple[Finding, ...]:
    """All of them."""
    found = [*_foreign(case)]
    found += designation_words.warnings(case.observation, case.options, case.record)
    if case.fresh:
        found += [*_recovery(case), *_flapping(case)]
    if case.before_taint:
        found += control_plane_blockers.lost(case.observation)
        found += [*_machine(case), *_budgets(case), *_workloads(case), *_storm(case), *_own_pods(case)]
    if "prove-off" in case.left:
        found += [*_proof(case)]
    if case.before_taint:
        found += _gpus(case)
    return tuple(found)


def _foreign(case: Case) -> Iterator[Finding]:
    if case.foreign("taint"):
        adopted = case.sets("taint")
        yield Finding(
            code="adopted-taint" if adopted else "foreign-taint",
            message=f"{case.name} carries the taint {DRAIN} that this downtime did not set; "
            f"{'it becomes its own' if adopted else 'it stays, and no workload comes back while it stands'}",
            remedy="It is removed at the end, as chosen with --adopt-taint."
            if adopted
            else f"Remove it when it is no longer wanted ('kubectl taint nodes {case.name} {DRAIN}-').",
        )
    if case.foreign("cordon"):
        yield Finding(
            code="foreign-cordon",
            message=f"{case.name} was cordoned by somebody else: it stays cordoned",
            remedy=f"'kubectl uncordon {case.name}' when that is no longer wanted.",
        )
    if case.foreign("out-of-service"):
        yield Finding(
            code="foreign-out-of-service",
            message=f"Somebody else set the out-of-service taint on {case.name}: its pods are force-deleted, and the "
            "machine is not switched on while it stands",
            remedy="If its machine is not surely off, take the taint off now: 'kubectl taint nodes "
            f"{case.name} node.kubernetes.io/out-of-service-'.",
        )
    mark = ownership.read(case.node)
    if case.fresh and mark is not None and mark.owns:
        yield Finding(
            code="left-behind",
            message=f"{case.name} carries the mark of a downtime ({mark.record}) that is not open: what it set "
            f"({', '.join(mark.owns)}) counts as somebody else's",
            remedy=f"See 'downtime status {case.name}'; take it off by hand when it is not wanted.",
        )


def _recovery(case: Case) -> Iterator[Finding]:
    verdict = case.observation.recovery
    if verdict is not None and verdict.blocks:
        yield Finding(
            code="recovery-gate",
            message=f"The disaster-recovery check fails, which forbids nothing here, as the node is down already: "
            f"{verdict.blocker_message()}",
            remedy=verdict.remedy() or "Take a backup as soon as possible.",
        )


def _flapping(case: Case) -> Iterator[Finding]:
    recent = [one for one in case.facts.returns if case.observation.taken - one < flapping.WINDOW]
    if recent:
        yield Finding(
            code="failed-before",
            message=f"{case.name} came back from a failure {len(recent)} times within the last hour; after more than "
            f"{flapping.MOST_RETURNS} it stays out of service",
            remedy="Find out why it fails.",
        )


def _machine(case: Case) -> Iterator[Finding]:
    if not case.machine_answers:
        return
    then = {
        "ask": "what to do with it (leave it, restart its kubelet, shut it down) is asked once its workloads start "
        "elsewhere, or decided by 'downtime decide' with --dead-kubelet",
        "leave": "it is left alone; --dead-kubelet restart restarts its kubelet, shut-down shuts it down",
        "restart": "its kubelet is restarted first",
        "shut-down": "it is shut down over SSH, after it has proven to be the node",
    }[case.options.dead_kubelet]
    yield Finding(
        code="machine-runs",
        message=f"The machine of {case.name} answers over SSH: it is not off, only its kubelet does not report; {then}",
        remedy="See 'systemctl status kubelet' and 'journalctl -u kubelet' on it. Its containers may still run.",
    )


def _gpus(case: Case) -> Iterator[Finding]:
    hindered = gpu_return.hindered(case.node, case.observation.pods)
    if hindered is not None:
        yield hindered


def _budgets(case: Case) -> Iterator[Finding]:
    observation = case.observation
    for violation in disruption.violations(observation.pdbs, observation.pods, observation.owners):
        yield Finding(
            code="pdb",
            message=f"A PodDisruptionBudget is violated, or is going to be: {violation}",
            remedy="Nothing is gained by sparing pods of a dead node; watch the service that it protects.",
        )


def _workloads(case: Case) -> Iterator[Finding]:
    lost = [one for one in case.workloads if one.fate == "lost"]
    if lost:
        yield Finding(
            code="work-lost",
            message=f"Nothing starts this work again elsewhere: {titles(lost)}",
            remedy="Its owners have to submit it again.",
        )
    asked = [one for one in case.workloads if workloads_.needs_approval(one.kind) and one.fate != "lost"]
    if asked:
        yield Finding(
            code="interactive-evicted",
            message=f"Interactive work was on the node, and starts anew elsewhere if it can: {titles(asked)}",
            remedy="Tell its owners: what they had in memory is gone.",
        )


def _storm(case: Case) -> Iterator[Finding]:
    if case.options.override_storm.strip():
        yield Finding(
            code="override-storm",
            message=f"The storm guard is overridden: {case.options.override_storm}",
            remedy="Watch whether more nodes follow.",
        )


def _own_pods(case: Case) -> Iterator[Finding]:
    if case.observation.own_pods:
        yield Finding(
            code="own-pod-lost",
            message=f"What this product depends on was on the node, and has to start elsewhere: "
            f"{listed(case.observation.own_pods)}",
            remedy="'--local' goes on without Prefect.",
        )


def _proof(case: Case) -> Iterator[Finding]:
    if case.settings.power.status == "none":
        yield Finding(
            code="no-power-status",
            message=f"No power controller says whether {case.name} is off: pods and volumes that stay stuck on it are "
            "released only when a person confirms that, by name",
            remedy=f"Look at the machine, then 'downtime decide {case.name} --confirm-off {case.name}'.",
        )
    if case.facts.attachments:
        yield Finding(
            code="volumes-attached",
            message=f"Volumes are attached to the dead node: {listed(case.facts.attachments)}",
            remedy="They can be used elsewhere once the node is back, or proven to be off.",
        )
