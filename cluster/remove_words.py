"""A permanent removal in words: its steps, and what a person should know before it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cluster import lost_tolerance, planned_steps, planned_warnings, removal_quorum
from cluster import node as node_
from cluster.options import RemoveOptions
from cluster.plan import Finding, Loss, PlannedStep
from cluster.planned_case import Case, listed
from cluster.remove_blockers import before_reset

_Words = tuple[str, tuple[str, ...]]
# They speak of a node that comes back.
_OF_A_RETURN = ("foreign-taint", "foreign-cordon", "adopted-taint", "node-recreated")


def step(case: Case, name: str) -> PlannedStep:
    """One step of the plan; those that planned maintenance has as well are said in its words."""
    words: dict[str, Callable[[Case], _Words]] = {
        "see-gone": _see_gone,
        "save": _save,
        "reset-host": _reset_host,
        "remove-member": _remove_member,
        "delete-node": _delete_node,
        "see-away": _see_away,
    }
    if name not in words:
        return planned_steps.step(case, name)
    summary, changes = words[name](case)
    return PlannedStep(name=name, summary=summary, changes=changes)


def warnings(case: Case, *, fresh: bool) -> tuple[Finding, ...]:
    """What a person should know.

    Args:
        fresh: the removal is still to begin.
    """
    found = [one for one in planned_warnings.of(case) if one.code not in _OF_A_RETURN]
    if fresh and case.record is not None:
        found = [_taken_over(case), *found]
    if before_reset(case):
        found += [*_lost(case), *_tolerating(case), *_unproven(case)]
        if isinstance(case.options, RemoveOptions):
            found += removal_quorum.warnings(case.observation, lost_tolerance.typed(case.options, case.record))
    return tuple(found)


def losses(case: Case) -> tuple[Loss, ...]:
    """What is lost with the node: data on it alone, pods that can run nowhere else, work that nothing starts again."""
    if not before_reset(case):
        return ()
    owners = {f"{one.namespace}/{pod}": one.owner for one in case.workloads for pod in one.pods}
    lost = [one for one in case.workloads if one.fate == "lost"]
    covered = {f"{one.namespace}/{pod}" for one in lost for pod in one.pods}
    volumes = [
        Loss(
            what="volume",
            name=one.name,
            owner=one.owner,
            why=f"its data lies on this node alone ({f'claim {one.claim}' if one.claim else 'not claimed'})",
        )
        for one in case.observation.local_volumes
    ]
    pods = [
        Loss(what="pod", name=name, owner=owners.get(name, ""), why="it can run on no other node")
        for name in case.observation.bound_pods
        if name not in covered
    ]
    works = [
        Loss(what="workload", name=f"{one.namespace}/{one.name}", owner=one.owner, why="nothing starts it again")
        for one in lost
    ]
    return (*volumes, *pods, *works)


def _see_gone(case: Case) -> _Words:
    if node_.ready(case.node):
        return planned_steps.see_gone(case), ()
    return "Wait for no pod: nothing ends them on a machine that is off. See proof that it is off", ()


def _save(case: Case) -> _Words:
    return (
        "Keep what a rejoin needs: labels, annotations and taints that are the administrator's, and the machine id",
        (f"write it into the record of {case.name}",),
    )


def _reset_host(case: Case) -> _Words:
    if case.observation.power_status == "off":
        return "Nothing to reset: the machine is off", ()
    return (
        f"Reset the machine over SSH, after it has proven to be {case.name}: kubeadm reset, what that leaves behind, "
        "and its kubelet disabled; if it does not answer, go on only with proof that it is off",
        (f"reset the machine of {case.name}", "disable its kubelet"),
    )


def _remove_member(case: Case) -> _Words:
    return (
        f"See the member of etcd on {case.name} gone, which the reset removes; else remove it through another "
        "control-plane host",
        (f"remove the member of {case.name} from etcd",),
    )


def _delete_node(case: Case) -> _Words:
    return f"Delete the Node {case.name}", (f"delete the Node {case.name}",)


def _see_away(case: Case) -> _Words:
    return f"See it stay away for {case.settings.removal.away_seconds:g} s", ()


def _taken_over(case: Case) -> Finding:
    record = case.record
    assert record is not None
    return Finding(
        code="taken-over",
        message=f"{case.name} is in downtime ({record.procedure}, opened {record.opened:%Y-%m-%d %H:%M} UTC by "
        f"{record.who}): the removal takes that over, with what was found and changed",
        remedy=f"If it is to return instead: 'downtime resume {case.name}'.",
    )


def _lost(case: Case) -> Iterator[Finding]:
    seen = case.observation
    if seen.local_volumes:
        said = [
            f"{one.name} ({one.claim or 'not claimed'}{f', of {one.owner}' if one.owner else ''})"
            for one in seen.local_volumes
        ]
        yield Finding(
            code="local-volumes-lost",
            message=f"Volumes lie on {case.name} alone, and their data is lost with it: {listed(said)}",
            remedy="Have their owners copy what they need to shared storage before the node goes.",
        )
    if seen.bound_pods:
        yield Finding(
            code="cannot-run-elsewhere",
            message=f"Pods can run on {case.name} alone, and will not start again: {listed(list(seen.bound_pods))}",
            remedy="Tell their owners; or give another node the labels that they ask for.",
        )


def _tolerating(case: Case) -> Iterator[Finding]:
    if case.tolerating and case.options.allow_tolerating:
        yield Finding(
            code="allow-tolerating",
            message=f"Pods that tolerate the drain taint end with the reset ({case.options.allow_tolerating}): "
            f"{listed(case.tolerating)}",
            remedy="Tell their owners.",
        )


def _unproven(case: Case) -> Iterator[Finding]:
    status, host = case.observation.power_status, case.observation.host
    if status == "off":
        yield Finding(
            code="comes-back-if-started",
            message=f"The machine of {case.name} is off and cannot be reset: if it is started as it is, its kubelet "
            "registers the node again",
            remedy="Before it is started: take its disk out, or its network off; then 'kubeadm reset -f' and "
            "'systemctl disable --now kubelet' on it.",
        )
    elif host is not None and not host.reachable and not node_.ready(case.node):
        yield Finding(
            code="proof-asked",
            message=f"The machine of {case.name} does not answer, and no power controller says that it is off: a "
            "person will be asked to look, and to confirm it by typing the node's name",
            remedy="Somebody must be where the machine is. Nothing is deleted without that.",
        )
