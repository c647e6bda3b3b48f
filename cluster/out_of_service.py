"""Releasing what Kubernetes holds for a dead node, with proof that its machine is off, and only with it.

The taint ``node.kubernetes.io/out-of-service`` makes Kubernetes force-delete the node's pods and detach its volumes.
If the machine runs after all, they are in use twice. So proof is taken immediately before the taint is set, however
often this is begun anew; while the taint stands the machine is watched; and until the taint is off again nothing is
switched on. Whatever ends this step, an interruption included, takes the taint off first.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from cluster import dead_kubelet, events, eviction, held, names, outage, ownership, proven_off, reach
from cluster import node as node_
from cluster import record as records_of
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Blocked, Failed, LockLost, Waiting
from cluster.machine import POWER_ON
from cluster.outage_facts import ANSWERS
from cluster.record import Record
from cluster.signs_of_life import back, sees_renewals, unless_back
from cluster.ssh_probe import answers
from cluster.step import Made, Seen, Step
from cluster.waiting import nobody_to_ask
from cluster.watching import until

TAINT = f"{names.OUT_OF_SERVICE_KEY}={names.OUT_OF_SERVICE_VALUE}:NoExecute"
# How often the machine is looked at while the taint stands.
_LOOK_SECONDS = 2.0
_LIVING_SECONDS = 300.0


def _nothing_to_prove(downtime: Downtime) -> Seen | None:
    if dead_kubelet.question(downtime) is not None and outage.ssh_state(downtime) == "answers":
        return None  # not off: there is somebody who can be asked what to do with it
    holds = held.by(downtime)
    if not holds:
        return Seen("no pod and no volume is stuck on the node: no proof is needed", None)
    found = proven_off.take(downtime)
    return _proven(downtime, found, holds) if found else None


def _proven(downtime: Downtime, proof: str, holds: held.Held) -> Seen:
    dead_kubelet.ended(downtime, node_.boot_id(downtime.see_node()))
    return Seen(f"off: {proof}. Stuck on it: {holds}")


def _get_proof(downtime: Downtime) -> None:
    if outage.ssh_state(downtime) == "answers":
        if dead_kubelet.question(downtime) is not None:
            downtime.write(_without_proof_though_it_answers)
        dead_kubelet.ask(downtime)
        dead_kubelet.act(downtime)
    # A kubelet that lives although its node is not Ready ends its pods by itself.
    if sees_renewals(downtime):
        until(downtime.api, eviction.PODS, _none_stuck, _LIVING_SECONDS, fields=f"spec.nodeName={downtime.node}")
    if back(downtime) is None and held.by(downtime):
        _require(downtime)


def _none_stuck(now: dict[str, Object]) -> bool | None:
    return None if eviction.remaining(list(now.values())) else True


def _require(downtime: Downtime) -> str:
    """Proof, or the end of this run, with what is stuck by name.

    Raises:
        Waiting: there is none (yet).
        Blocked: what is said contradicts what is seen.
    """
    name, runs = downtime.node, outage.ssh_state(downtime) == "answers"
    without = _without_proof_though_it_answers if runs else _without_proof
    try:
        found = proven_off.take(downtime)
        if found:
            return found
        downtime.write(without)
        if runs:  # nobody is asked whether it is off
            raise nobody_to_ask(proven_off.question(downtime))
        return proven_off.require(downtime)
    except (Waiting, Blocked) as error:
        if error.code not in ("still-on", "waiting-for-power-off"):
            raise
        downtime.write(without)
        offer = (
            f"'downtime decide {name} --dead-kubelet restart' (or shut-down) deals with the machine, which runs. "
            if runs
            else ""
        )
        raise Waiting(
            "waiting-for-power-off",
            f"{'The machine of ' + name + ' answers over SSH: it is not off. ' if runs else ''}{error.message}. Stuck "
            f"on {name} until it is back or proven to be off: {held.by(downtime)}",
            f"{offer}{error.remedy} Or bring it back, then 'downtime resume {name}'.",
        ) from None


def _seen_proven(downtime: Downtime) -> Seen:
    came = back(downtime)
    if came is not None:
        return came
    holds = held.by(downtime)
    if not holds:
        return Seen("no pod and no volume is stuck on the node any more", None)
    return _proven(downtime, _require(downtime), holds)


def ask_beforehand(downtime: Downtime) -> None:
    """See proof once more before the taint is set, while a person can still be asked: a task cannot suspend a run.

    Right after ``prove-off`` it holds. A run that goes on later may find that a person's word has expired.
    """
    step = "out-of-service"
    if step not in downtime.steps or downtime.record.done(step) or downtime.ask is None or _ours(downtime):
        return
    told = proven_off.words_of(downtime.record, datetime.now(UTC)) is not None
    if told or reach.power(downtime).status(reach.host(downtime)).state == "off":
        return
    if held.by(downtime) and back(downtime) is None:
        _require(downtime)


PROVE_OFF = unless_back(Step("prove-off", _nothing_to_prove, _seen_proven, _get_proof))


def _nothing_held(downtime: Downtime) -> Seen | None:
    if _ours(downtime):
        return None  # left by a process that ended: it is taken off, and only with new proof set anew
    seen = back(downtime) if held.by(downtime) else Seen("nothing is stuck on the node")
    # One that an earlier process intended may have stood: it is not as if there had never been one.
    return seen._replace(change=_undone_if_known(downtime)) if seen is not None else None


def _undone_if_known(downtime: Downtime) -> Made | None:
    known = any(change.what == "out-of-service" for change in downtime.record.changes)
    return Made("out-of-service", TAINT, "undone") if known else None


def _ours(downtime: Downtime) -> bool:
    return ownership.owns(downtime.see_node(), downtime.record.id, "out-of-service")


def _release(downtime: Downtime) -> None:
    if _ours(downtime):
        _withdraw(downtime)
        _require_still_off(downtime)  # nobody watched since
    _prove_again(downtime)
    try:
        downtime.change_node(lambda old: ownership.put_out_of_service(old, downtime.record.id, downtime.lock.epoch))
        downtime.say("out-of-service", f"{TAINT} stands; the machine is watched")
        _see_released(downtime)
    except LockLost:
        raise  # another process goes on from here, and takes it off
    except BaseException:
        _withdraw(downtime)
        raise


def _prove_again(downtime: Downtime) -> None:
    found = proven_off.take(downtime)
    if not found and downtime.ask is not None:
        found = _require(downtime)
    if not found:
        downtime.write(_without_proof)
        raise Waiting(
            "waiting-for-power-off",
            f"The proof that {downtime.node} is off does not hold any more, so nothing is released. Stuck on it: "
            f"{held.by(downtime)}",
            f"Look at the machine; then 'downtime decide {downtime.node} --confirm-off {downtime.node}' and, within 15 "
            f"minutes, 'downtime resume {downtime.node}'.",
        )
    downtime.write(lambda old: records_of.noted(old, f"proof taken again: {found}"))


def _without_proof(old: Record) -> Record:
    return records_of.step_is(old, "prove-off", "asked")


def _without_proof_though_it_answers(old: Record) -> Record:
    return records_of.step_is(old, "prove-off", "asked", ANSWERS)


def _take_off(downtime: Downtime) -> None:
    downtime.change_node(lambda old: ownership.put_in_service(old, downtime.record.id, downtime.lock.epoch))


def _withdraw(downtime: Downtime) -> None:
    _take_off(downtime)
    downtime.write(lambda old: records_of.change_is(old, "out-of-service", TAINT, "undone"))


def _see_released(downtime: Downtime) -> None:
    """Watch the node's pods and volumes go, and its machine stay off.

    Raises:
        Failed: ``host-answers``: it is not off; ``still-held``: they do not go.
    """
    seconds = downtime.settings.drain.off_minutes * 60
    looked = 0.0

    def judge(now: dict[str, Object]) -> bool | None:
        nonlocal looked
        if time.monotonic() - looked >= _LOOK_SECONDS:
            _require_still_off(downtime)
            looked = time.monotonic()
        if eviction.remaining(list(now.values())):
            return None
        return None if outage.attachments(downtime.api, downtime.node) else True

    fields = f"spec.nodeName={downtime.node}"
    if until(downtime.api, eviction.PODS, judge, seconds, fields=fields, every=_LOOK_SECONDS) is None:
        raise Failed(
            "still-held",
            f"With the out-of-service taint set for {seconds / 60:.0f} minutes, still stuck on {downtime.node}: "
            f"{held.by(downtime)}. The taint was taken off again",
            f"See to these (finalizers, the CSI driver); then 'downtime resume {downtime.node}' tries again.",
        )


def _require_still_off(downtime: Downtime) -> None:
    where = reach.host(downtime)
    seen = answers(where, min(_LOOK_SECONDS, downtime.settings.hosts.connect_timeout))
    status = reach.power(downtime).status(where).state
    if seen.state in ("silent", "unknown") and status != "on":
        return
    why = "the power controller says on" if status == "on" else f"something answers at {where.address} ({seen.reason})"
    _say_loudly(downtime, why)
    proven_off.void(downtime)
    raise Failed(
        "host-answers",
        f"STOPPED: {downtime.node} IS NOT OFF: {why}, while its pods and volumes were being released as if it were. "
        "The out-of-service taint was taken off; what was released already may run twice",
        f"Look at the machine of {downtime.node} now, and at what started elsewhere; cut its power or stop its "
        f"containers. Then 'downtime resume {downtime.node}'.",
    )


def _say_loudly(downtime: Downtime, why: str) -> None:
    downtime.say("out-of-service", f"STOP: {downtime.node} is not off: {why}")
    text = f"its machine is not off, although that was proven: {why}; the out-of-service taint is taken off"
    events.emit(downtime.api, downtime.node, downtime.record.node_uid, "MachineNotOff", text, warning=True)
    downtime.write(lambda old: _without_proof_though_it_answers(records_of.noted(old, text)))


def _released(downtime: Downtime) -> Seen:
    holds = held.by(downtime)
    if holds:
        raise Failed(
            "still-held",
            f"Something new is stuck on {downtime.node}: {holds}",
            f"'downtime resume {downtime.node}' tries again.",
        )
    return Seen("its pods and volumes are released", Made("out-of-service", TAINT, "made"))


OUT_OF_SERVICE = Step(
    "out-of-service",
    _nothing_held,
    _released,
    _release,
    intends=(("out-of-service", TAINT),),
    during="stopping",
    after="off",
)


def _is_off_the_node(downtime: Downtime) -> Seen | None:
    found = downtime.see_node()
    if _ours(downtime):
        return None
    stands = node_.out_of_service(found)
    said = "the out-of-service taint is somebody else's: it stays" if stands else "the out-of-service taint is off"
    return Seen(said, _undone_if_known(downtime))


def _seen_off_the_node(downtime: Downtime) -> Seen:
    seen = _is_off_the_node(downtime)
    if seen is None:
        raise Failed(
            "out-of-service-stands",
            f"The out-of-service taint of this downtime still stands on {downtime.node}",
            f"'downtime resume {downtime.node}' tries again.",
        )
    return seen


CLEAR_OUT_OF_SERVICE = Step("clear-out-of-service", _is_off_the_node, _seen_off_the_node, _take_off)


def require_in_service(downtime: Downtime) -> None:
    """Refuse to give power to a machine whose pods are being force-deleted.

    Raises:
        Blocked: the out-of-service taint stands on the node, whoever set it.
    """
    if node_.out_of_service(downtime.see_node()):
        raise Blocked(
            "out-of-service-stands",
            f"{downtime.node} carries the taint {names.OUT_OF_SERVICE_KEY}: while it stands its machine is not "
            "switched on",
            f"If nobody needs it any more: 'kubectl taint nodes {downtime.node} {names.OUT_OF_SERVICE_KEY}-', then "
            f"'downtime resume {downtime.node}'.",
        )


def _switch_on(downtime: Downtime) -> None:
    require_in_service(downtime)
    POWER_ON.change(downtime)


POWER_ON_IN_SERVICE = unless_back(replace(POWER_ON, change=_switch_on))
