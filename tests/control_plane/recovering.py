"""Unplanned recovery of simulated hosts, driven from the test's own process; and what is seen of it from outside."""

from __future__ import annotations

from typing import Any

from cluster import api as apis
from cluster import coming_back, config, performing, planners, planning, proven_off, waiting
from cluster.config import Settings
from cluster.downtime import Say, Start, enter, go_on, silent
from cluster.hosts import locate
from cluster.masking import Masker
from cluster.options import Options, UnplannedOptions
from cluster.record import Record
from cluster.records import Records
from cluster.ssh import Ssh
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from lab.runai.workloads import Work, interactive
from lab.simulated.host import Host

JSON = dict[str, Any]
WHO = "tester"
OUT = "node.kubernetes.io/out-of-service"
# Through everything without a person, and impatient: the lab's leases live for 8 s.
UNATTENDED = UnplannedOptions(reason="test", grace_seconds=10, power_on="controller", hold=False)


def settings_of(lab: Lab, **sections: dict[str, Any]) -> Settings:
    """The lab's configuration as it is now, made impatient, with values of sections changed."""
    base = config.load(lab.config)
    changes: dict[str, dict[str, Any]] = {
        "cluster": {"lock_seconds": 4},
        "hosts": {"connect_timeout": 0.5},
        "drain": {"stable_seconds": 3, "back_minutes": 0.6, "off_minutes": 1, "gpu_minutes": 0.5},
    }
    for name, values in sections.items():
        changes[name] = {**changes.get(name, {}), **values}
    return base.model_copy(
        update={name: getattr(base, name).model_copy(update=values) for name, values in changes.items()}
    )


def run(settings: Settings, node: str, options: Options = UNATTENDED, say: Say = silent) -> Record:
    """Plan, enter, perform; the record as it is at the end. Raises what the product raises."""
    api = apis.connect(settings.cluster)
    _, made = planning.plan(api, settings, node, options)
    refusal = planners.refusal(made)
    if refusal is not None:
        raise refusal
    with enter(api, settings, Start(made.procedure, node, options, made.recovery, WHO), say) as downtime:
        performing.perform_all(downtime)
        return downtime.record


def resume(settings: Settings, node: str, *, abort: bool = False) -> Record:
    """Go on with the downtime, or back out of it."""
    api = apis.connect(settings.cluster)
    with go_on(api, settings, node, silent, abort=abort) as downtime:
        waiting.answer_by_resuming(downtime, WHO)
        performing.perform_all(downtime)
        return downtime.record


def confirm_off(settings: Settings, node: str, typed: str) -> None:
    """Say that the machine is off, by typing a name."""
    with go_on(apis.connect(settings.cluster), settings, node) as downtime:
        proven_off.confirm(downtime, typed, WHO)


def accept_flapping(settings: Settings, node: str, typed: str) -> None:
    """Let a node return although it keeps failing, by typing a name."""
    with go_on(apis.connect(settings.cluster), settings, node) as downtime:
        coming_back.accept_flapping(downtime, typed, WHO)


def record_of(settings: Settings, node: str) -> Record:
    """The newest record of a node."""
    found = Records(apis.connect(settings.cluster)).read(node)
    assert found is not None
    return found


def opened(settings: Settings, node: str) -> bool:
    """Whether the node has an open record."""
    return Records(apis.connect(settings.cluster)).open_of(node) is not None


def fail(lab: Lab, api: Api, host: Host) -> None:
    """Cut the power of a host, and wait until its node is not ready."""
    power(lab, host.node, "off")
    wait_for_ready(api, host.node, ready=False)


def wait_for_ready(api: Api, node: str, *, ready: bool) -> None:
    until(lambda: is_ready(api, node) is ready, seconds=40, what=f"{node} to be {'Ready' if ready else 'not Ready'}")


def is_ready(api: Api, node: str) -> bool:
    conditions = api.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def taints(api: Api, node: str) -> list[str]:
    """The keys of the taints that no node of itself has."""
    found = api.get(f"/api/v1/nodes/{node}")["spec"].get("taints", [])
    return [one["key"] for one in found if one["key"] in ("runai", OUT)]


def untouched(api: Api, node: str) -> bool:
    """Whether nothing of this product is on the node."""
    found = api.get(f"/api/v1/nodes/{node}")
    marks = [key for key in found["metadata"].get("annotations", {}) if key.startswith("runai-downtime/")]
    return not marks and not taints(api, node) and not found["spec"].get("unschedulable", False)


def notebook(api: Api, make_object: Any, node: str) -> JSON:
    """A StatefulSet whose pod runs on the node and can run nowhere else; the pod."""
    name = f"notebook-{node}"
    make_object(interactive(name, Work(node=node, user="anna", grace_seconds=2)))
    path = f"/api/v1/namespaces/runai-team-a/pods/{name}-0"
    until(lambda: (api.find(path) or {}).get("status", {}).get("phase") == "Running", seconds=30, what=path)
    return api.get(path)


def path_of(pod: JSON) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def is_there(api: Api, pod: JSON) -> bool:
    """Whether this very pod, and not one that took its name, still exists."""
    found = api.find(path_of(pod))
    return found is not None and found["metadata"]["uid"] == pod["metadata"]["uid"]


def hold_fast(api: Api, pod: JSON, *, held: bool = True) -> None:
    """Give a pod a finalizer, so that it does not go whatever is done; or take it away."""
    finalizers = ["lab/held"] if held else None
    api.patch(path_of(pod), {"metadata": {"finalizers": finalizers}})


def on_host(settings: Settings, host: Host, *command: str) -> None:
    """Run a command as root on a host, as its administrator would."""
    where = locate(settings.hosts, host.node, None)
    with Ssh(where, settings.hosts.model_copy(update={"connect_timeout": 5}), Masker()) as ssh:
        ssh.run(command, sudo=True)
