"""A person's word holds for minutes, from when it was given: one that waited for a process is asked for again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cluster import api as apis
from cluster import out_of_service, performing, planning, waiting
from cluster.config import Settings
from cluster.downtime import Ask, Start, enter, go_on, silent
from cluster.errors import Waiting
from cluster.question import Answer, Question
from cluster.record import Record
from cluster.records import Records
from cluster.step import perform
from lab.api import Api
from lab.layout import Lab
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import UNATTENDED, WHO, fail, is_there, notebook, record_of, settings_of

NO_STATUS = {"power": {"status": "none"}}
BY_PERSON = UNATTENDED.model_copy(update={"power_on": "person"})
pytestmark = pytest.mark.long


class Person:
    """Answers in turn; notes what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.asked: list[Question] = []
        self._left = list(answers)

    def __call__(self, question: Question) -> Answer:
        self.asked.append(question)
        if not self._left:
            raise waiting.nobody_to_ask(question)
        return self._left.pop(0)


def _recover(settings: Settings, node: str, ask: Ask) -> Record:
    api = apis.connect(settings.cluster)
    _, made = planning.plan(api, settings, node, BY_PERSON)
    with (
        pytest.raises(Waiting),
        enter(api, settings, Start("unplanned", node, BY_PERSON, made.recovery, WHO), silent, ask) as downtime,
    ):
        performing.perform_all(downtime)
    return record_of(settings, node)


def _ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def test_answer_that_waited_too_long_is_asked_for_again_and_counts_from_when_it_was_given(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    settings, young = settings_of(lab, **NO_STATUS), _ago(5)
    person = Person(Answer("off", "anna", _ago(16)), Answer("off", "anna", young))
    record = _recover(settings, host.node, person)
    assert [one.subject for one in person.asked] == ["power-off", "power-off", "return"]
    assert person.asked[0].digest != person.asked[1].digest, "the old answer would be found again"
    assert [one.at for one in record.approvals if one.subject == "power-off"][-1] == young
    assert not is_there(lab_api, stuck)


def test_proof_that_expired_since_is_asked_for_again_before_the_taint_is_set(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    settings = settings_of(lab, **NO_STATUS)
    known = _recover(settings, host.node, Person())
    steps = {**known.steps, "prove-off": known.steps["taint"]}
    api = apis.connect(settings.cluster)
    Records(api).update(host.node, known.epoch, lambda old: old.model_copy(update={"steps": steps}))

    person = Person(Answer("off", "anna"))
    with go_on(api, settings, host.node, silent, person) as downtime:
        out_of_service.ask_beforehand(downtime)
        assert [one.subject for one in person.asked] == ["power-off"]
        assert is_there(lab_api, stuck)
        out_of_service.ask_beforehand(downtime)
        assert len(person.asked) == 1, "a word that holds is not asked for twice"
        perform(downtime, out_of_service.OUT_OF_SERVICE)
    assert not is_there(lab_api, stuck)
