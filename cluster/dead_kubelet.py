"""A node that is down while its machine answers over SSH: that machine is *not off*, and its containers may run.

What is done with it is chosen at the start, or decided later: it is left alone, its kubelet is restarted, or it is shut
down. The last two only after it has proven to be the node: by the boot that the node reported, or, when it was
restarted since and its kubelet never reported, by its machine id. A person who can be asked is asked once its workloads
start elsewhere, so that those need not wait for anybody.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cluster import consent, etcd_consent, outage, probing, reach
from cluster import node as node_
from cluster.downtime import Downtime
from cluster.errors import Blocked, Misused
from cluster.options import DeadKubelet, UnplannedOptions
from cluster.power import wait_for_status
from cluster.procedures import left
from cluster.question import Question
from cluster.record import Approval, Record, approved, change_is, noted
from cluster.signs_of_life import back, returned
from cluster.ssh import Ssh
from cluster.ssh_probe import State
from cluster.step import Made, Seen, Step
from cluster.waiting import nobody_to_ask

_RESTART_TIMEOUT = 60.0
_OFF_TIMEOUT = 30.0
_RESTART = ("systemctl", "restart", "kubelet")


def choice(record: Record, options: UnplannedOptions) -> DeadKubelet:
    """What is to be done with a machine that answers: the newest decision of a person, else as chosen. Pure."""
    answers: dict[str, DeadKubelet] = {"leave": "leave", "restart": "restart", "shut-down": "shut-down"}
    given = _decisions(record)
    return answers.get(given[-1], options.dead_kubelet) if given else options.dead_kubelet


def _decisions(record: Record) -> list[str]:
    return [one.answer for one in record.approvals if one.subject == "dead-kubelet"]


def question(downtime: Downtime) -> Question | None:
    """What a person is asked about a machine that answers; None: it was chosen or decided, or nobody can be asked."""
    if downtime.ask is None or chosen(downtime) != "ask":
        return None
    return Question("dead-kubelet", downtime.node, consent.digest_of([downtime.record.id]), patience_seconds=24 * 3600)


def ask(downtime: Downtime) -> None:
    """Ask a person what is to be done with the machine, if that is not known, and write the answer down.

    Raises:
        Waiting: they decide another time.
    """
    asked = question(downtime)
    if asked is not None and downtime.ask is not None:
        answer_given = downtime.ask(asked)
        if answer_given.given not in ("leave", "restart", "shut-down"):
            raise nobody_to_ask(asked)
        answer(downtime, answer_given.given, answer_given.who)


def answer(downtime: Downtime, given: DeadKubelet, who: str) -> None:
    """Write down what a person decided about the machine.

    Raises:
        Misused: nobody asks that in a downtime of another procedure.
    """
    if downtime.record.procedure != "unplanned":
        raise Misused(
            "nothing-to-decide",
            f"The {downtime.record.procedure} downtime of {downtime.node} does not ask what to do with its kubelet",
            f"'downtime status {downtime.node}' shows what it waits for.",
        )
    approval = Approval(
        subject="dead-kubelet",
        digest=consent.digest_of([downtime.node]),
        items=(downtime.node,),
        answer=given,
        who=who,
        at=datetime.now(UTC),
    )
    downtime.write(lambda old: old if approval in old.approvals else approved(old, approval))


def chosen(downtime: Downtime) -> DeadKubelet:
    """The same, of a downtime: ``ask`` until somebody decides, and until then it is left alone."""
    options = downtime.options
    return choice(downtime.record, options) if isinstance(options, UnplannedOptions) else "leave"


def stops(downtime: Downtime) -> bool:
    """Whether the machine is going to be shut down next although it runs, as chosen or decided."""
    if "see-machine" not in left(downtime.record)[:1] or chosen(downtime) != "shut-down":
        return False
    return outage.ssh_state(downtime) == "answers" and back(downtime) is None


def ended(downtime: Downtime, boot: str) -> None:
    """Write down which boot has ended: the node is back only with another."""
    if boot:
        downtime.write(lambda old: old.model_copy(update={"gone_boot": boot}))


def _off_or_silent(downtime: Downtime, state: State) -> Seen | None:
    status = reach.power(downtime).status(reach.host(downtime)).state
    if state == "answers":
        what = chosen(downtime)
        return Seen(f"SSH answers: the machine is not off; {_OFFERS[what]}") if what in _OFFERS else None
    if status == "off":
        ended(downtime, node_.boot_id(downtime.see_node()))
        return Seen("the power controller says that it is off", _shutdown(downtime))
    return Seen(f"SSH does not answer ({state}); the power controller says {status}", _shutdown(downtime))


_OFFERS = {
    "leave": "it is left alone, as chosen ('downtime decide' with --dead-kubelet restart or shut-down changes that)",
    "ask": "it is left alone until somebody decides ('downtime decide' with --dead-kubelet restart or shut-down)",
}


def _shutdown(downtime: Downtime) -> Made | None:
    """The shutdown of this downtime, if it was sent or perhaps sent."""
    sent = next((one for one in downtime.record.changes if one.what == "shutdown"), None)
    return Made("shutdown", sent.value, "made") if sent is not None and sent.state != "undone" else None


def act(downtime: Downtime) -> None:
    """Do what was chosen with a machine that answers.

    Raises:
        Blocked: ``host-identity``: it is another machine; ``recovery-gate``; sudo does not allow it.
        Failed: the machine said no.
    """
    what = chosen(downtime)
    if what == "restart":
        _restart_kubelet(downtime)
    elif what == "shut-down":
        _shut_down(downtime)


def _restart_kubelet(downtime: Downtime) -> None:
    with reach.ssh(downtime) as ssh:
        require_identity(downtime, ssh)
        downtime.write(lambda old: noted(old, "restarting the kubelet of the machine over SSH"))
        with downtime.lock.for_at_least(_RESTART_TIMEOUT * 2):
            ssh.run(_RESTART, _RESTART_TIMEOUT, sudo=True)


def _shut_down(downtime: Downtime) -> None:
    gate, options = downtime.record.gate, downtime.options
    overridden = isinstance(options, UnplannedOptions) and options.override_recovery_gate.strip()
    if (gate is None or gate.blocks) and not overridden:
        raise Blocked(
            "recovery-gate",
            f"{downtime.node} is not shut down: its machine still runs, and the disaster-recovery check did not pass "
            "when this downtime began",
            f"'downtime decide {downtime.node} --dead-kubelet leave' (or restart), or 'downtime abort {downtime.node}' "
            'and start again with --override-recovery-gate "reason".',
        )
    etcd_consent.settle(downtime)
    with reach.ssh(downtime) as ssh:
        boot = require_identity(downtime, ssh)
        etcd_consent.require(downtime)
        downtime.write(lambda old: change_is(old, "shutdown", boot, "intended"))
        ended(downtime, boot)
        with downtime.lock.for_at_least(_OFF_TIMEOUT * 2):
            ssh.power_off(boot, _OFF_TIMEOUT)
    seconds = downtime.settings.drain.off_minutes * 60
    power = reach.power(downtime)
    if power.status_kind != "none":
        wait_for_status(power, reach.host(downtime), "off", seconds)
    reach.see_silent(downtime, seconds)


def require_identity(downtime: Downtime, ssh: Ssh) -> str:
    """Prove that the machine is the node; the boot that it runs."""
    found = downtime.see_node()
    boot = ssh.boot_id()
    if boot == node_.boot_id(found):
        return boot
    machine = ssh.machine_id()
    if machine and machine == node_.machine_id(found):
        return boot
    raise Blocked(
        "host-identity",
        f"The machine at {reach.host(downtime).address} is not {downtime.node}: it runs boot {boot}, the node reported "
        f"{node_.boot_id(found) or 'none'}, and their machine ids differ. It was left alone",
        f"Correct the address of {downtime.node} in [hosts.addresses]; then 'downtime resume {downtime.node}'.",
    )


def _acted(downtime: Downtime) -> Seen:
    if chosen(downtime) != "restart":
        return Seen("it was shut down over SSH", _shutdown(downtime))
    came = _wait_until_back(downtime)
    if came is None:
        return Seen("its kubelet was restarted, but the node is not back")
    return Seen(returned(downtime, "its kubelet was restarted over SSH, and the node is back"))


def _wait_until_back(downtime: Downtime) -> Seen | None:
    # As long as a kubelet takes to start and report.
    return probing.probe(lambda: back(downtime), min(180.0, downtime.settings.drain.back_minutes * 60), first=1.0)


def _needs_nothing(downtime: Downtime) -> Seen | None:
    state = outage.ssh_state(downtime)
    came = back(downtime) if state == "answers" else None
    if came is None or _shutdown(downtime) is not None:
        return came or _off_or_silent(downtime, state)
    # Nothing was set on the node yet: it takes the course of one that came back by itself.
    return Seen(returned(downtime, came.proof))


SEE_MACHINE = Step("see-machine", _needs_nothing, _acted, act)
