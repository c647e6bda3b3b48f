"""The measurement's arithmetic: what never moves is no ratio, and nothing is left out to look better."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from bench.results import ALONE, Course, Result
from bench.work import NOTEBOOK, TRAINING

NEVER: Mapping[str, float | None] = {"train-1-gpu-3": 340.0, "train-2-gpu-3": 350.0, "note-gpu-3": None}


def result(note: float | None = 70.0, alone: Mapping[str, float | None] = NEVER) -> Result:
    own = {"train-1-gpu-1": 30.0, "train-2-gpu-1": 40.0, "note-gpu-1": note}
    courses = [Course("downtime", "gpu-1", own), Course(ALONE, "gpu-3", alone)]
    return Result("a lab", 30, courses, 370.0, 45.0, 40, 300)


def test_a_statefulset_that_never_moves_is_said_to_and_is_no_infinite_ratio() -> None:
    made = result()
    assert "never (watched 370 s)" in made.text()
    assert made.document()["ratios"] == {"downtime": 0.2}
    json.dumps(made.document(), allow_nan=False)


def test_the_ratio_is_of_everything_by_what_kubernetes_alone_moves() -> None:
    made = result()
    handled = made.handled[0]
    assert (handled.of_kind(TRAINING), handled.of_kind(NOTEBOOK), handled.all_of_it) == (40.0, 70.0, 70.0)
    assert (made.alone.of_kind(TRAINING), made.alone.of_kind(NOTEBOOK), made.alone.all_of_it) == (350.0, None, None)
    assert made.ratio(handled) == pytest.approx(70 / 350)
    assert made.good


def test_a_workload_that_downtime_did_not_move_makes_no_ratio() -> None:
    made = result(note=None)
    assert made.ratio(made.handled[0]) is None
    assert not made.good
    assert "none" in made.text()


def test_a_ratio_over_the_target_is_no_success() -> None:
    assert not result(note=90.0).good


def test_without_a_comparison_there_is_no_ratio() -> None:
    made = result(alone={"train-1-gpu-3": None})
    assert not made.good
    assert "time (never)" in made.text()


def test_the_grace_and_kubernetes_own_times_are_stated() -> None:
    text = result().text()
    for said in ("Grace 30 s", "leases of 40 s", "tolerations of 300 s", "NotReady was seen 45 s", "at most 0.25"):
        assert said in text
