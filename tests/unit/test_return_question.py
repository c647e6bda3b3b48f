"""Who is asked whether the work on a machine is done is told whether it was off when it was last looked at."""

from __future__ import annotations

from cluster import showing_reports, waiting
from cluster.question import Question


def test_a_machine_that_was_switched_on_meanwhile_is_not_called_off() -> None:
    runs = "it was off, and RUNS again: the node reports another boot since"
    asked = Question("return", "gpu-1", "d", found=runs)
    assert runs in showing_reports.question_markdown(asked)
    assert runs in waiting.nobody_to_ask(asked).message


def test_nothing_is_said_of_a_machine_that_was_not_shut_down() -> None:
    asked = Question("return", "gpu-1", "d")
    assert "last looked at" not in showing_reports.question_markdown(asked)
    assert "last looked at" not in waiting.nobody_to_ask(asked).message
