"""Asking with back-off: at least once, a last time at the deadline, never beyond it."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from cluster.probing import probe


def test_an_answer_at_once_is_not_waited_for() -> None:
    began = time.monotonic()
    assert probe(lambda: "yes", 60, first=30) == "yes"
    assert time.monotonic() - began < 5


def test_a_false_answer_is_an_answer() -> None:
    assert probe(lambda: False, 60, first=30) is False


def test_it_asks_until_there_is_an_answer() -> None:
    answers = iter([None, None, "third"])
    assert probe(lambda: next(answers), 30, first=0.01) == "third"


@pytest.mark.parametrize("deadline", [0, -1])
def test_without_time_it_asks_once(deadline: float) -> None:
    asked: list[float] = []
    assert probe(lambda: asked.append(0), deadline) is None
    assert len(asked) == 1


def test_the_pauses_grow_up_to_the_longest_and_the_last_look_is_at_the_deadline() -> None:
    began = time.monotonic()
    asked: list[float] = []
    assert probe(lambda: asked.append(time.monotonic() - began), 1.0, first=0.05, longest=0.3) is None
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    # 0.05 0.1 0.2 0.3 0.3 and what is left; a busy machine only makes pauses longer.
    assert 3 <= len(pauses) <= 7
    assert pauses[0] >= 0.05
    assert pauses[1] >= 0.1
    assert pauses[2] >= 0.2
    assert 1.0 <= asked[-1] < 3.0


def test_a_long_pause_is_cut_at_the_deadline() -> None:
    began = time.monotonic()
    assert probe(lambda: None, 0.3, first=100, longest=100) is None
    assert 0.3 <= time.monotonic() - began < 3


def test_what_the_check_raises_goes_through() -> None:
    def check() -> str | None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        probe(check, 10)


def test_setting_the_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    began = time.monotonic()
    assert probe(lambda: None, 0.2, first=0.01) is None
    assert time.monotonic() - began < 3
