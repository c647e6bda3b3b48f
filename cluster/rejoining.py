"""A machine becomes a node again: proven, cleared of an earlier join, joined with a token that does not outlive it.

The machine is judged anew in the same SSH session in which it is changed, each time: between the plan and the act, and
between a crash and its continuation, another machine may have got the address, or somebody may have joined this one.
"""

from __future__ import annotations

import contextlib

from cluster import (
    host_reset,
    join_observation,
    join_script,
    join_token_store,
    joining_control_plane,
    machine,
    membership,
    node,
    nodes,
    reach,
    rejoin_machine,
    version_skew,
)
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.join_command import JoinCommand
from cluster.join_configuration import api_version, render
from cluster.join_tokens import description
from cluster.joining import Joining
from cluster.membership import Membership
from cluster.options import RejoinOptions
from cluster.plan import Finding
from cluster.record import DELETED, RESET, Record, change_is
from cluster.ssh import Ssh
from cluster.step import Made, Seen, Step
from cluster.watching import until

# The kubelet has signed in when kubeadm is done, and makes its Node a moment later.
_REGISTERED_SECONDS = 90.0
_RENEWALS = 2


def options_of(downtime: Downtime) -> RejoinOptions:
    """The choices of this rejoin."""
    return RejoinOptions.model_validate(downtime.record.options)


def session(downtime: Downtime) -> Ssh:
    """A session on the machine that is to join; connects at its ``with``."""
    found = downtime.find_node()
    where = join_observation.host_of(downtime.settings, downtime.node, options_of(downtime), found)
    return reach.session(downtime.api, downtime.settings, where)


def _nothing_seen(_: Downtime) -> Seen | None:
    return None


def _prove(downtime: Downtime) -> None:
    with session(downtime) as ssh:
        seen = _require_right(downtime, ssh)
    found = seen.membership or Membership()
    downtime.write(lambda old: _with_machine(old, found))


def _with_machine(old: Record, found: Membership) -> Record:
    # From here on this very machine is meant, also where a person said so and nothing was recorded.
    return old.model_copy(update={"found": old.found.model_copy(update={"machine_id": found.machine_id})})


def _proven(downtime: Downtime) -> Seen:
    return Seen(f"the machine may become {downtime.node}: machine id {downtime.record.found.machine_id}")


PROVE_MACHINE = Step("prove-machine", _nothing_seen, _proven, _prove, during="returning")


def _nothing_left(downtime: Downtime) -> Seen | None:
    with session(downtime) as ssh:
        found = membership.look(ssh)
    if not found.clean or downtime.find_node() is not None or joining_control_plane.member_left(downtime, found):
        return None
    done = [change.what for change in downtime.record.changes if change.what in (RESET, DELETED)]
    return Seen(f"nothing of an earlier join is left{' (' + ', '.join(done) + ')' if done else ''}")


def _clear(downtime: Downtime) -> None:
    with session(downtime) as ssh:
        seen = _require_right(downtime, ssh)
        found = seen.membership or Membership()
        if not found.clean:
            _reset(downtime, ssh, found)
    joining_control_plane.clear_member(downtime, found)
    _delete_node(downtime)


def _reset(downtime: Downtime, ssh: Ssh, found: Membership) -> None:
    joining_control_plane.require_removable(downtime, found)
    about, seconds = downtime.record.found.machine_id, downtime.settings.removal.reset_seconds
    downtime.write(lambda old: change_is(old, RESET, about, "intended"))
    done = host_reset.reset(ssh, host_reset.authority_of(downtime.api), downtime.lock.for_at_least, seconds)
    downtime.write(lambda old: change_is(old, RESET, about, "made"))
    downtime.say("clear-machine", done)


def _delete_node(downtime: Downtime) -> None:
    """The Node that this machine was. Its pods ended with the reset: deleting it lets none of them run twice."""
    found = downtime.find_node()
    if found is None:
        return
    if node.machine_id(found) not in ("", downtime.record.found.machine_id):
        raise Blocked(
            "node-still-there",
            f"The Node {downtime.node} is another machine (machine id {node.machine_id(found)}) than the one that is "
            "to join; it was not deleted",
            f"'downtime run remove {downtime.node}' for that one, once this rejoin is over.",
        )
    uid = str(found["metadata"]["uid"])
    downtime.write(lambda old: change_is(old, DELETED, uid, "intended"))
    nodes.delete(downtime.api, downtime.node, downtime.lock, uid)
    downtime.write(lambda old: change_is(old, DELETED, uid, "made"))


def _cleared(downtime: Downtime) -> Seen:
    seen = _nothing_left(downtime)
    if seen is not None:
        return seen
    raise Failed(
        "not-cleared",
        f"The machine of {downtime.node} was reset, but traces of a join are on it again, or its Node is there again",
        f"See whether somebody else works on it; then 'downtime resume {downtime.node}'.",
    )


CLEAR_MACHINE = Step("clear-machine", _nothing_left, _cleared, _clear)


def _has_joined(downtime: Downtime) -> Seen | None:
    """Whether an earlier try got through: the Node is Ready, and the machine says that it is this Node.

    A control-plane node is marked as one, which is the last that kubeadm does.
    """
    if "join" not in downtime.record.steps:
        return None
    with session(downtime) as ssh:
        # Its process may have died while kubeadm went on.
        join_script.await_quiet(ssh, downtime.settings.hosts.join_timeout)
        says = membership.look(ssh)
    if says.node_name != downtime.node or says.machine_id != downtime.record.found.machine_id:
        return None

    wanted = joining_control_plane.wanted(downtime.record)

    def ready(now: dict[str, Object]) -> bool | None:
        found = next(iter(now.values()), None)
        if found is None or node.boot_id(found) != says.boot_id or not _is_ours(downtime, found):
            return None
        return True if node.ready(found) and (not wanted or joining_control_plane.is_marked(found)) else None

    fields = f"metadata.name={downtime.node}"
    if not until(downtime.api, nodes.NODES, ready, _REGISTERED_SECONDS, fields=fields):
        return None
    return _joined(downtime) if not wanted or joining_control_plane.has_vote(downtime, says.addresses) else None


def _is_ours(downtime: Downtime, found: Object) -> bool:
    return node.machine_id(found) == downtime.record.found.machine_id


def _join(downtime: Downtime) -> None:
    with session(downtime) as ssh:
        seen = _require_right(downtime, ssh)
        found = seen.membership or Membership()
        _require_fits(seen)
        if not found.clean:
            # A join that was cut in the middle: its own residue, on a machine that was just proven again.
            _reset(downtime, ssh, found)
        joining_control_plane.clear_member(downtime, found)
        _delete_node(downtime)
        if joining_control_plane.wanted(downtime.record):
            joining_control_plane.require_all_healthy(downtime, found)
        try:
            _join_with_token(downtime, ssh, found)
        except BaseException:
            # Also of a token whose making was cut off. What remains now is found by the step that deletes tokens, and
            # ends by itself; the first error is the one to tell.
            with contextlib.suppress(DowntimeError):
                forget_tokens(downtime)
            raise


def _join_with_token(downtime: Downtime, ssh: Ssh, found: Membership) -> None:
    about = description(downtime.node, downtime.record.id)
    downtime.write(lambda old: change_is(old, "token", about, "intended"))
    with downtime.lock.for_at_least(join_token_store.SECONDS + 15):
        command = _token(downtime)
    try:
        join_token_store.require_known(downtime.api, downtime.node)
        if joining_control_plane.wanted(downtime.record):
            command = joining_control_plane.with_certificates(downtime, command)
        how = joining_control_plane.registration(downtime, found)
        text = render(command, how, api_version(found.kubeadm_version))
        downtime.write(lambda old: change_is(old, "joined", found.machine_id, "intended"))
        downtime.say("join", "kubeadm join")
        seconds = downtime.settings.hosts.join_timeout
        with downtime.lock.for_at_least(seconds + join_script.MARGIN):
            join_script.run(ssh, found.machine_id, text, seconds)
    finally:
        # By its id, not by its description: whoever has taken over may have made another one by now.
        join_token_store.delete(downtime.api, command.token_id)
    joining_control_plane.forget_certificates(downtime)


def _token(downtime: Downtime) -> JoinCommand:
    with join_observation.control_plane_session(downtime.api, downtime.settings, downtime.node) as (
        name,
        control_plane,
    ):
        downtime.say("join", f"making a token on {name}")
        return join_token_store.create(control_plane, reach.MASKER, downtime.node, downtime.record.id)


def _joined(downtime: Downtime) -> Seen:
    def there(now: dict[str, Object]) -> Object | None:
        return next((one for one in now.values() if node.machine_id(one)), None)

    fields = f"metadata.name={downtime.node}"
    found = until(downtime.api, nodes.NODES, there, _REGISTERED_SECONDS, fields=fields)
    machine_id = downtime.record.found.machine_id
    if found is None:
        raise Failed(
            "not-registered",
            f"kubeadm joined the machine, but after {_REGISTERED_SECONDS:.0f} s there is no Node {downtime.node}",
            f"See 'journalctl -u kubelet' on the machine; 'downtime resume {downtime.node}' resets it and tries again.",
        )
    if node.machine_id(found) != machine_id:
        raise Failed(
            "joined-other",
            f"The Node {downtime.node} is another machine ({node.machine_id(found)}) than the one that joined",
            f"See which machines call themselves {downtime.node}.",
        )
    return Seen(f"the machine has joined as {downtime.node}", Made("joined", machine_id, "made"))


JOIN = Step("join", _has_joined, _joined, _join)


def forget_tokens(downtime: Downtime) -> None:
    """Delete every join token that was made for this node, and uploaded certificates, and see them gone.

    Raises:
        Failed: one is still there.
    """
    try:
        joining_control_plane.forget_certificates(downtime)
    finally:
        # Whatever became of the certificates, the token goes.
        downtime.lock.check()
        join_token_store.delete_all(downtime.api, downtime.node)
        if any(change.what == "token" and change.state != "undone" for change in downtime.record.changes):
            downtime.write(_token_is_gone)


def _token_is_gone(old: Record) -> Record:
    value = next((change.value for change in old.changes if change.what == "token"), "")
    return change_is(old, "token", value, "undone")


def _token_seen_gone(downtime: Downtime) -> Seen:
    forget_tokens(downtime)
    return Seen("no join token for this node exists, and none of the certificates that it uploaded")


DELETE_TOKEN = Step("delete-token", _nothing_seen, _token_seen_gone)


def _see_joined(downtime: Downtime) -> Seen:
    seconds = downtime.settings.drain.back_minutes * 60

    def judge(now: dict[str, Object]) -> str | None:
        found = next(iter(now.values()), None)
        return node.boot_id(found) if found is not None and node.ready(found) and _is_ours(downtime, found) else None

    boot = until(downtime.api, nodes.NODES, judge, seconds, fields=f"metadata.name={downtime.node}")
    if boot is None:
        raise _not_ready(downtime, seconds, "the node is not Ready")
    with session(downtime) as ssh:
        told = ssh.boot_id()
    if told != boot:
        raise _not_ready(downtime, seconds, f"the machine runs boot {told}, the node reports {boot}")
    wait = max(60.0, 3 * machine.lease_seconds(downtime))
    if machine.lease_renewals(downtime, wait) < _RENEWALS:
        raise _not_ready(downtime, wait, "it is called Ready, but its kubelet does not renew the node's lease")
    return Seen(f"Ready, with the machine's own boot {boot}, and its lease is being renewed")


SEE_JOINED = Step("see-joined", _nothing_seen, _see_joined)


def _not_ready(downtime: Downtime, seconds: float, why: str) -> Failed:
    return Failed(
        "not-back",
        f"{downtime.node} has joined, but is not in order after {seconds / 60:.0f} minutes: {why}. It stays out of "
        "service: the taint that it joined with stands",
        f"Look at its kubelet and its network plugin; then 'downtime resume {downtime.node}' looks again.",
    )


def _require_right(downtime: Downtime, ssh: Ssh) -> Joining:
    """Judge the machine at the other end of this very session.

    Raises:
        Blocked: it is not the one, or is something else as well. Nothing was done to it.
    """
    former = join_observation.former_of(downtime.api, downtime.node, None, downtime.record)
    found = membership.look(ssh)
    seen = join_observation.around(downtime.api, downtime.node, former, str(ssh.host), found)
    confirmed = options_of(downtime).confirmed
    master = joining_control_plane.concerns(downtime.record)
    _raise_first(rejoin_machine.objections(downtime.node, seen, confirmed, master=master))
    return seen


def _require_fits(seen: Joining) -> None:
    found = seen.membership or Membership()
    _raise_first(tuple(version_skew.judge(seen.server_version, found.kubelet_version, found.kubeadm_version)))


def _raise_first(found: tuple[Finding, ...]) -> None:
    if found:
        raise Blocked(found[0].code, found[0].message, found[0].remedy)
