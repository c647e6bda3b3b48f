"""A member of etcd fails in the middle of a removal or an unplanned recovery: a form asks before another one goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cluster import api as apis
from cluster import performing, planning
from cluster.downtime import Start, enter
from cluster.errors import Waiting
from lab.simulated import cluster
from tests.control_plane import recovering, removing
from tests.control_plane.conftest import COUNTER
from tests.control_plane.masters import NAMES, Masters
from tests.control_plane.protocol_states import machine_of
from tests.control_plane.removing import host, there
from tests.control_plane.served import answers, see_released, serve, the_record
from tests.prefect_runs import Runs

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def served_three(three: Masters) -> Runs:
    return serve(three.lab)


@pytest.fixture
def more(three: Masters) -> Iterator[Callable[[], str]]:
    """Makes one more control-plane node: with three alone, tolerance is lost from the start."""
    made: list[str] = []

    def make() -> str:
        made.append(cluster.add_node(three.lab, f"master-x{next(COUNTER)}", "control-plane").node)
        return made[-1]

    yield make
    for name in made:
        cluster.remove_node(three.lab, name)
    for name in NAMES:
        three.fault(name, "etcd-unhealthy", present=False)
    three.put_right()


def fails(masters: Masters, node: str, at: str) -> Callable[[str, str], None]:
    """A member becomes unhealthy when a step is told of."""

    def say(step: str, _text: str) -> None:
        if step == at:
            masters.fault(node, "etcd-unhealthy")

    return say


def form_is_answered(masters: Masters, served: Runs, node: str, says: str) -> str:
    """Go on by the deployment, and accept the loss in its form; the run."""
    run = served.start("resume-downtime", node=node, requested_by="frida", work_done=True)
    schema, text = served.wait_for_form(run, "lost-tolerance")
    assert set(schema["properties"]) == {"confirm_node", "who"}
    assert says in text
    see_released(masters.api, node)
    assert served.answer(run, {"confirm_node": "gpu-1", "who": "anna"})["status"] == "REJECT"
    assert served.answer(run, {"confirm_node": node, "who": "anna"})["status"] == "ACCEPT"
    return run


def test_a_removal_asks_before_the_machine_is_reset(
    three: Masters, more: Callable[[], str], served_three: Runs
) -> None:
    node, settings = more(), removing.settings_of(three.lab)
    api, options = apis.connect(settings.cluster), removing.options_of(node)
    _, plan = planning.plan(api, settings, node, options, depth="checksums")
    assert plan.feasible, plan.blockers
    start = Start("remove", node, options, plan.recovery, removing.WHO)
    with (
        pytest.raises(Waiting) as raised,
        enter(api, settings, start, fails(three, NAMES[0], "save")) as downtime,
    ):
        performing.perform_all(downtime)
    assert raised.value.code == "waiting-for-decision"
    assert host(three.lab, node)["joined"]

    run = form_is_answered(three, served_three, node, "2 healthy of 3 members are just a majority")
    served_three.wait(run, "COMPLETED")
    assert not there(three.api, node)
    assert node not in three.etcd().voting
    record = the_record(three.api, node)
    assert record["phase"] == "closed"
    assert ("lost-tolerance", "accept", "anna") in answers(record)


def test_a_recovery_asks_before_a_machine_that_runs_is_stopped(
    three: Masters, more: Callable[[], str], served_three: Runs
) -> None:
    node, sick = NAMES[1], more()
    more()
    machine = machine_of(three.lab, node)
    recovering.on_host(three.settings, machine, "systemctl", "stop", "kubelet")
    recovering.wait_for_ready(three.api, node, ready=False)
    stopping = recovering.UNATTENDED.model_copy(update={"dead_kubelet": "shut-down"})
    with pytest.raises(Waiting) as raised:
        recovering.run(three.settings, node, stopping, fails(three, sick, "judge-down"))
    assert raised.value.code == "waiting-for-decision"
    left = machine_of(three.lab, node)
    assert (left.power, left.boot_id) == ("on", machine.boot_id)

    run = form_is_answered(three, served_three, node, "3 healthy of 5 members are just a majority")
    served_three.wait(run, "COMPLETED")
    record = the_record(three.api, node)
    assert record["phase"] == "closed"
    assert ("lost-tolerance", "accept", "anna") in answers(record)
    assert machine_of(three.lab, node).boot_id != machine.boot_id
