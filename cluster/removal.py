"""Removing a node for good: what is kept of it, its machine reset, its Node deleted and seen to stay away.

Deleting the Node of a machine that runs makes Kubernetes delete its pods by force, and they run twice. So the Node is
deleted only after its machine was reset, or with proof that it is off that is taken right then.
"""

from __future__ import annotations

from cluster import etcd_removal, eviction, host_reset, node, nodes, proven_off, reach
from cluster import pods as pod_
from cluster import record as records_of
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.planning import look_again
from cluster.procedures import left
from cluster.record import DELETED, RESET, Record
from cluster.restoration import to_keep
from cluster.ssh import Ssh
from cluster.step import Made, Seen, Step
from cluster.watching import until

# What went with the Node, and needs not be undone any more.
_ON_THE_NODE = ("cordon", "taint", "out-of-service")
# Nobody was reached: only then being off is what may explain it. Anything else is a machine that is there.
_NOBODY = ("host-unreachable", "ssh-lost", "no-address")


def changed(record: Record, what: str) -> str:
    """The value of a change that was made or intended; empty: it was not."""
    return next((one.value or "?" for one in record.changes if one.what == what and one.state != "undone"), "")


def dead_pods(downtime: Downtime) -> Seen | None:
    """For the wait until pods are gone: those of a machine that is off never go, and are not waited for.

    Raises:
        Blocked, Waiting: the node is not Ready, and nothing proves that its machine is off.
    """
    found = downtime.find_node()
    if found is None:
        return Seen("the Node is gone already, and its pods with it")
    if node.ready(found):
        return None
    proof, boot = proven_off.require(downtime), node.boot_id(found)
    downtime.write(lambda old: old.model_copy(update={"gone_boot": boot}))
    return Seen(f"{proof}: no pod of it runs, so none is waited for")


def ask_beforehand(downtime: Downtime) -> None:
    """Ask a person whether the machine is off, if the next step is going to need that and nothing proves it.

    A machine that answers while its reset is under way is not dead: the reset itself has stopped its kubelet.

    Raises:
        Waiting: there is nobody to ask.
        Blocked: the machine is on.
    """
    found = downtime.find_node()
    ended = _is_reset(downtime.record) or changed(downtime.record, DELETED)
    if changed(downtime.record, RESET) and not ended and reach.answers(downtime):
        return
    if found is not None and not node.ready(found) and not ended and "delete-node" in downtime.steps:
        if not proven_off.take(downtime) and (next_one := left(downtime.record)):
            downtime.write(lambda old: records_of.step_is(old, next_one[0], "asked"))
        proven_off.require(downtime)


def _saved(downtime: Downtime) -> Seen | None:
    kept = downtime.record.kept
    if kept is None:
        return None
    names = f"{len(kept.labels)} labels, {len(kept.annotations)} annotations, {len(kept.taints)} taints"
    names += f", member {downtime.record.member.id} of etcd" if downtime.record.member is not None else ""
    return Seen(f"kept for a rejoin: {names}, machine id {downtime.record.found.machine_id or 'not known'}")


def _save(downtime: Downtime) -> None:
    found = downtime.find_node()
    # Before anything is done: afterwards a member of the same name could be another one.
    master = found is not None and node.kind(found) == "control-plane"
    member = etcd_removal.look(downtime)[1] if master else None
    downtime.write(lambda old: etcd_removal.noted(_with_kept(old, found), member))


def _with_kept(old: Record, now: Object | None) -> Record:
    """From the Node as it is now: days may have passed since it was found. From what was found, if it is gone."""
    labels, annotations, taints = old.found.labels, old.found.annotations, list(old.found.taints)
    machine = old.found.machine_id
    if now is not None:
        metadata = now["metadata"]
        labels, taints = dict(metadata.get("labels") or {}), node.taints(now)
        annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if len(value) <= 4096}
        machine = node.machine_id(now) or machine
    kept = to_keep(labels, annotations, taints)
    found = old.found.model_copy(update={"machine_id": machine})
    return old.model_copy(update={"kept": kept, "found": found})


def _seen_saved(downtime: Downtime) -> Seen:
    seen = _saved(downtime)
    if seen is None:
        raise AssertionError("what was written is there")
    return seen


SAVE = Step("save", _saved, _seen_saved, _save)


def _needs_no_reset(downtime: Downtime) -> Seen | None:
    if _is_reset(downtime.record):
        return _reset_seen(downtime)
    # Told by the power controller alone: a person's word is asked for only where nobody answers.
    if reach.power(downtime).status(reach.host(downtime)).state == "off" and (proof := proven_off.take(downtime)):
        return Seen(f"not reset: {proof}")
    return None


def _reset(downtime: Downtime) -> None:
    if not changed(downtime.record, RESET):
        _, plan = look_again(downtime)
        if plan.blockers:
            first = plan.blockers[0]
            raise Blocked(first.code, first.message, first.remedy)
        found = downtime.find_node()
        if found is not None and node.ready(found):
            eviction.require_still_drained(downtime)
    try:
        with reach.ssh(downtime) as ssh:
            reset_machine(downtime, ssh)
    except DowntimeError as error:
        found = downtime.find_node()
        # A Ready node that is not reached is no machine that is off: something about the way to it is wrong.
        if error.code not in _NOBODY or (found is not None and node.ready(found)):
            raise
        proof = proven_off.require(downtime)
        downtime.say("reset-host", f"not reset: {proof}")


def reset_machine(downtime: Downtime, ssh: Ssh) -> None:
    """Reset the machine at the other end, once it has proven to be the node's. Written down before and after."""
    machine = require_identity(downtime, ssh)
    downtime.write(lambda old: records_of.change_is(old, RESET, machine, "intended"))
    authority = host_reset.authority_of(downtime.api)
    done = host_reset.reset(ssh, authority, downtime.lock.for_at_least, downtime.settings.removal.reset_seconds)
    downtime.say("reset-host", done)
    downtime.write(lambda old: records_of.change_is(records_of.noted(old, done), RESET, machine, "made"))


def require_identity(downtime: Downtime, ssh: Ssh) -> str:
    """Prove that the machine of this session is the node's; its machine id.

    The boot ids must be the same. A machine whose reset was begun may have restarted since, with a kubelet that tells
    nobody; and one whose Node is gone has none to be compared with: then the machine ids must be the same.

    Raises:
        Blocked: it is another machine, or nobody can say.
    """
    found, told, machine = downtime.find_node(), ssh.boot_id(), ssh.machine_id()
    if found is not None and told == node.boot_id(found):
        return machine
    known = changed(downtime.record, RESET) or (downtime.record.found.machine_id if found is None else "")
    if known == machine:
        return machine
    raise Blocked(
        "host-identity",
        f"The machine at {reach.host(downtime).address} is not {downtime.node}: it runs boot {told} and has the "
        f"machine id {machine}; the node reported boot {node.boot_id(found or {}) or 'none'}. It was left alone",
        f"Correct the address of {downtime.node} in [hosts.addresses]; if the machine restarted just now, "
        f"'downtime resume {downtime.node}' once the node is Ready.",
    )


def _reset_seen(downtime: Downtime) -> Seen:
    if _is_reset(downtime.record):
        machine = changed(downtime.record, RESET)
        return Seen("kubeadm reset done, its kubelet is stopped and disabled", Made(RESET, machine, "made"))
    return Seen(f"not reset: {proven_off.require(downtime)}")


def _is_reset(record: Record) -> bool:
    return any(one.what == RESET and one.state == "made" for one in record.changes)


RESET_HOST = Step("reset-host", _needs_no_reset, _reset_seen, _reset, during="stopping", after="off")


def _is_deleted(downtime: Downtime) -> Seen | None:
    found = downtime.find_node()
    if found is None:
        return _with_all_that_was_on_it(downtime, "the Node is gone")
    if found["metadata"]["uid"] == downtime.record.node_uid:
        return None
    if changed(downtime.record, DELETED):
        return _with_all_that_was_on_it(downtime, "the Node is gone; another of its name came")
    raise Blocked(
        "node-recreated",
        f"The Node {downtime.node} was deleted and made anew by somebody else since the removal began. It was left "
        "alone",
        f"Find out who did that. If it is to go as well, delete it by hand; then 'downtime resume {downtime.node}'.",
    )


def _delete(downtime: Downtime) -> None:
    delete_node(downtime, downtime.record.node_uid)


def delete_node(downtime: Downtime, uid: str) -> None:
    """Delete the Node of this uid, whose machine was reset or is proven to be off now.

    Raises:
        Blocked, Waiting: there is no such proof.
    """
    if not _is_reset(downtime.record):
        downtime.say("delete-node", proven_off.require(downtime))
    downtime.write(lambda old: records_of.change_is(old, DELETED, uid, "intended"))
    nodes.delete(downtime.api, downtime.node, downtime.lock, uid)


def _with_all_that_was_on_it(downtime: Downtime, proof: str) -> Seen:
    downtime.write(_without_things_on_it)
    return Seen(proof, Made(DELETED, downtime.record.node_uid, "made"))


def _without_things_on_it(old: Record) -> Record:
    new = old
    for one in old.changes:
        if one.what in _ON_THE_NODE and one.state != "undone":
            new = records_of.change_is(new, one.what, one.value, "undone")
    return new


def _deletion_seen(downtime: Downtime) -> Seen:
    def judge(now: dict[str, Object]) -> Seen | None:
        return None if downtime.record.node_uid in now else Seen("the Node is gone")

    seconds = 60.0
    seen = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={downtime.node}")
    if seen is None:
        raise Failed(
            "node-stays",
            f"The Node {downtime.node} was deleted, but is still there after {seconds:.0f} s: a finalizer holds it",
            f"See 'kubectl get node {downtime.node} -o yaml'; then 'downtime resume {downtime.node}'.",
        )
    return _with_all_that_was_on_it(downtime, seen.proof)


DELETE_NODE = Step("delete-node", _is_deleted, _deletion_seen, _delete)


def _never_seen_away(_: Downtime) -> Seen | None:
    return None


def _send_away(downtime: Downtime) -> None:
    """A Node that came back, of the machine that was removed, is removed once more. Any other one is left alone."""
    found = downtime.find_node()
    if found is None:
        return
    machine = downtime.record.found.machine_id
    if not machine or node.machine_id(found) != machine:
        raise _came_back(downtime, "it is another machine's, or does not tell")
    downtime.say("see-away", "it came back: its machine is reset, and the Node deleted again")
    try:
        with reach.ssh(downtime) as ssh:
            if _is_reset(downtime.record):
                _require_still_out(downtime, ssh)
            else:
                reset_machine(downtime, ssh)
    except Blocked as error:
        raise _came_back(
            downtime, f"its kubelet registered it, and its machine cannot be reset: {error.message}"
        ) from None
    delete_node(downtime, pod_.uid(found))


def _require_still_out(downtime: Downtime, ssh: Ssh) -> None:
    """A machine that was reset joins only by somebody's will: that is not undone."""
    require_identity(downtime, ssh)
    try:
        host_reset.require_out(ssh)
    except Failed:
        raise _came_back(downtime, "its machine was reset, so somebody joined it anew") from None


def _see_away(downtime: Downtime) -> Seen:
    seconds = downtime.settings.removal.away_seconds
    came = until(
        downtime.api,
        nodes.NODES,
        lambda now: True if now else None,
        seconds,
        fields=f"metadata.name={downtime.node}",
    )
    if came:
        raise _came_back(downtime, "its kubelet runs, and registered it again")
    return Seen(f"it stayed away for {seconds:g} s")


def _came_back(downtime: Downtime, why: str) -> Failed:
    return Failed(
        "came-back",
        f"A Node {downtime.node} is there again after it was deleted: {why}",
        f"If the machine is the one that was removed, 'downtime resume {downtime.node}' resets it and deletes the Node "
        "again; else see who joined it.",
    )


SEE_AWAY = Step("see-away", _never_seen_away, _see_away, _send_away)
STEPS = (SAVE, RESET_HOST, etcd_removal.REMOVE_MEMBER, DELETE_NODE, SEE_AWAY)
