"""The forms that are answered by typing the node's name: they refuse any other text, and say what is asked."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from cluster.question import TYPED, Question
from cluster.record import Subject
from cluster.showing_reports import question_markdown
from tasks import forms

SAID = {
    "power-off": "off",
    "outage": "accept",
    "lost-tolerance": "accept",
    "removal": "confirmed",
    "rejoin": "confirmed",
}


def test_there_is_a_word_for_each_of_them() -> None:
    assert set(SAID) == TYPED
    assert set(get_args(Subject)) > TYPED


@pytest.mark.parametrize("subject", sorted(TYPED))
def test_only_the_name_of_the_node_is_an_answer(subject: Subject) -> None:
    question = Question(subject, "gpu-1.example", "digest", pods=("runai-backend/postgresql-0",))
    form = forms.of(question)
    given = form.model_validate({"confirm_node": "gpu-1.example", "who": "anna"})
    assert forms.answer(question, given, None)[:2] == (SAID[subject], "anna")
    for other in ("gpu-1", "gpu-1xexample", "gpu-1.example2", ""):
        with pytest.raises(ValidationError):
            form.model_validate({"confirm_node": other, "who": "anna"})


def test_form_about_an_outage_names_the_pods() -> None:
    text = question_markdown(Question("outage", "system-1", "digest", pods=("runai-backend/postgresql-0",)))
    assert "runai-backend/postgresql-0" in text
    assert "as long as system-1 is" in text
