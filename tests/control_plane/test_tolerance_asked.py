"""A member of etcd fails in the middle of another one's downtime: where only tolerance is lost, a person is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import Waiting
from cluster.question import Answer, Question
from lab.simulated import cluster
from tests.control_plane import driving
from tests.control_plane.commands import command
from tests.control_plane.conftest import COUNTER
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.masters import Masters
from tests.control_plane.protocol_states import drained, machine_of, untouched
from tests.control_plane.served import answers, see_released, serve, the_record
from tests.prefect_runs import Runs

NODE = "master-2"


@pytest.fixture
def sick(three: Masters) -> Iterator[str]:
    """Of five members one whose host may fail."""
    made = [cluster.add_node(three.lab, f"master-x{next(COUNTER)}", "control-plane").node for _ in range(2)]
    yield made[0]
    for name in made:
        cluster.remove_node(three.lab, name)
    three.put_right()


@pytest.fixture(scope="module")
def served_three(three: Masters) -> Runs:
    return serve(three.lab)


def _waits_in_the_middle(masters: Masters, sick: str) -> Waiting:
    def fails(step: str, _text: str) -> None:
        if step == "see-gone":
            masters.fault(sick, "etcd-down")

    with pytest.raises(Waiting) as raised:
        driving.run(masters.settings, NODE, UNATTENDED, fails)
    return raised.value


def test_nobody_to_ask_it_waits_and_goes_on_once_somebody_decided_by_name(
    three: Masters, sick: str, tmp_path: Path
) -> None:
    boot = machine_of(three.lab, NODE).boot_id
    ended = _waits_in_the_middle(three, sick)
    assert (ended.code, ended.exit_code) == ("waiting-for-decision", 4)
    assert "3 healthy of 5 members are just a majority" in ended.message
    assert machine_of(three.lab, NODE).boot_id == boot
    assert drained(three.api, NODE)
    (status,) = command(three.lab, tmp_path, "status", NODE, "--output", "json").document
    assert status["now"]["waits_for"] == "somebody who accepts that no further member of etcd may fail"
    accept = f"downtime decide {NODE} --accept-lost-tolerance {NODE}"
    assert status["now"]["go_on"] == accept
    assert command(three.lab, tmp_path, "decide", NODE, "--accept-lost-tolerance", "master-3").code == 2
    assert command(three.lab, tmp_path, *accept.split()[1:], "--who", "Ada").code == 0
    record = driving.resume(three.settings, NODE)
    assert record.phase == "closed"
    assert [(one.subject, one.answer, one.who) for one in record.approvals] == [("lost-tolerance", "accept", "Ada")]
    assert machine_of(three.lab, NODE).boot_id != boot
    assert "LostToleranceAccepted" in three.events(NODE)
    assert untouched(three.api, NODE)


@pytest.mark.long
def test_whoever_is_there_is_asked_at_once_and_another_answer_leaves_the_machine_up(three: Masters, sick: str) -> None:
    asked: list[Question] = []
    boot = machine_of(three.lab, NODE).boot_id

    def fails(step: str, _text: str) -> None:
        if step == "see-gone":
            three.fault(sick, "etcd-down")

    def refuses(question: Question) -> Answer:
        asked.append(question)
        return Answer("refuse", "ada")

    with pytest.raises(Waiting):
        driving.run(three.settings, NODE, UNATTENDED, fails, refuses)
    assert [one.subject for one in asked] == ["lost-tolerance"]
    assert machine_of(three.lab, NODE).boot_id == boot
    record = driving.resume(three.settings, NODE, ask=lambda _: Answer("accept", "ben"))
    assert (record.phase, [one.who for one in record.approvals]) == ("closed", ["ben"])


@pytest.mark.long
@pytest.mark.timeout(900)
def test_served_run_asks_by_a_form_at_the_start_and_in_the_middle(
    three: Masters, sick: str, served_three: Runs
) -> None:
    _waits_in_the_middle(three, sick)
    run = served_three.start("resume-downtime", node=NODE, requested_by="frida", work_done=True)
    schema, text = served_three.wait_for_form(run, "lost-tolerance")
    assert set(schema["properties"]) == {"confirm_node", "who"}
    assert "3 healthy of 5 members are just a majority" in text
    see_released(three.api, NODE)
    assert served_three.answer(run, {"confirm_node": "master-3", "who": "anna"})["status"] == "REJECT"
    assert served_three.answer(run, {"confirm_node": NODE, "who": "anna"})["status"] == "ACCEPT"
    served_three.wait(run, "COMPLETED")
    record = the_record(three.api, NODE)
    assert (record["phase"], answers(record)) == ("closed", [("lost-tolerance", "accept", "anna")])

    # The member is still down: a new downtime needs it from its start.
    run = served_three.start("planned-maintenance", node="master-1", shut_down=False, interactive="evict")
    served_three.wait_for_form(run, "lost-tolerance")
    assert untouched(three.api, "master-1")
    assert served_three.answer(run, {"confirm_node": "master-1", "who": "anna"})["status"] == "ACCEPT"
    served_three.wait_for_form(run, "return")
    see_released(three.api, "master-1")
    # It goes through its flow from the top, with parameters in which no name was typed.
    assert served_three.answer(run, {"work": "done", "who": "ben"})["status"] == "ACCEPT"
    served_three.wait(run, "COMPLETED")
    given = answers(the_record(three.api, "master-1"))
    assert given == [("lost-tolerance", "accept", "anna"), ("return", "done", "ben")]
