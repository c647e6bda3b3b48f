"""The steps of a rejoin in words: what each does, and what it changes. Pure."""

from __future__ import annotations

from collections.abc import Callable

from cluster import taints
from cluster.plan import PlannedStep
from cluster.rejoin_case import Case

_Words = tuple[str, tuple[str, ...]]


def step(case: Case, name: str) -> PlannedStep:
    """One step of the plan."""
    words: dict[str, Callable[[Case], _Words]] = {
        "prove-machine": _prove,
        "clear-machine": _clear,
        "join": _join,
        "delete-token": lambda case: (f"See the join token{' and the certificates' * case.control_plane} gone", ()),
        "see-joined": lambda case: (f"See {case.name} Ready, on this very machine, and its lease renewed", ()),
        "see-member": lambda case: (f"See the member of etcd on {case.name} with a vote, and healthy", ()),
        "cordon": lambda case: (
            "Set the cordon, before the taint that it joined with comes off",
            (f"set the cordon on {case.name}",),
        ),
        "untaint-joining": lambda case: (
            f"Take off the taint {taints.text(taints.JOINING)}: still cordoned, so only DaemonSets start",
            (f"remove the taint {taints.text(taints.JOINING)} from {case.name}",),
        ),
        "restore": _restore,
        "see-gpus": _gpus,
        "uncordon": lambda case: ("Take off the cordon", (f"remove the cordon from {case.name}",)),
        "close": lambda case: ("Close the record", (f"close the record of {case.name}",)),
    }
    summary, changes = words[name](case)
    return PlannedStep(name=name, summary=summary, changes=changes)


def _prove(case: Case) -> _Words:
    by = "its machine id is the recorded one" if case.seen.former.machine_id else "a person confirmed it by name"
    return f"Prove that {case.seen.machine or 'the machine'} is to be {case.name}: {by}", ()


def _clear(case: Case) -> _Words:
    machine, node = case.seen.membership, case.observation.node
    changes = []
    if machine is not None and not machine.clean:
        changes.append(f"reset the machine of {case.name} (kubeadm reset)")
    facts = case.seen.as_control_plane
    if facts is not None and facts.member is not None:
        changes.append(f"remove the member {facts.member.id} ({facts.member.name or 'never started'}) of etcd")
    if node is not None:
        changes.append(f"delete the Node {case.name} (uid {node['metadata'].get('uid', '')})")
    return ("Take off what an earlier join left" if changes else "Nothing of an earlier join is left"), tuple(changes)


def _join(case: Case) -> _Words:
    where = case.seen.control_plane or "a control-plane node"
    if case.control_plane:
        return (
            f"Make a token for 15 minutes on {where} and upload the control plane's certificates, join as a "
            "control-plane node; both are deleted whether that worked or not",
            (
                f"make and delete a join token on {where}",
                "make and delete the Secret kube-system/kubeadm-certs",
                f"join the machine as the control-plane node {case.name} (kubeadm join)",
            ),
        )
    return (
        f"Make a token for 15 minutes on {where}, and join with it; the token is deleted whether that worked or not",
        (f"make and delete a join token on {where}", f"join the machine as {case.name} (kubeadm join)"),
    )


def _restore(case: Case) -> _Words:
    kept = case.kept
    changes = [f"label {key}={value}" for key, value in sorted(case.labels.items())]
    if kept is not None:
        changes += [f"annotation {key}" for key in sorted(kept.annotations)]
        changes += [f"taint {taints.text(one)}" for one in kept.taints]
    from_where = f"from {case.seen.former.source}" if case.seen.former.source else "of its role"
    if case.options.role and kept is not None:
        from_where += f", with the role {case.options.role}"
    return f"Set labels, annotations and taints {from_where}", tuple(changes)


def _gpus(case: Case) -> _Words:
    had = ", ".join(f"{count} {name}" for name, count in case.gpus.items() if count)
    if had:
        return f"See {had} allocatable, while the node is still cordoned", ()
    if case.kept is None and case.options.role == "gpu-worker":
        return "See GPUs allocatable, while the node is still cordoned", ()
    return "No GPUs to see: none are recorded", ()
