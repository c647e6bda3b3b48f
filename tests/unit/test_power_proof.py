"""Nothing but proof that a machine is off allows what would be a split brain on one that runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.power import PowerStatus
from cluster.power_proof import Confirmation, missing, proven

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ON, OFF, UNKNOWN = PowerStatus("on"), PowerStatus("off"), PowerStatus("unknown", "there is none")


def _word(minutes: float = 0, typed: str = "gpu-1", who: str = "ada", node: str = "gpu-1") -> Confirmation:
    return Confirmation(node=node, typed=typed, who=who, at=NOW - timedelta(minutes=minutes))


def test_the_power_controllers_word() -> None:
    proof = proven(OFF, None, NOW)
    assert proof is not None
    assert proof.by == "power-status"
    assert missing("gpu-1", OFF, None, NOW) == []


def test_a_persons_word_where_the_controller_does_not_know() -> None:
    proof = proven(UNKNOWN, _word(5), NOW)
    assert proof is not None
    assert (proof.by, proof.at) == ("person", NOW - timedelta(minutes=5))
    assert "ada confirmed by name that gpu-1" in proof.text


@pytest.mark.parametrize(
    ("minutes", "counts"), [(0, True), (14.9, True), (15, True), (15.1, False), (600, False), (-0.5, True), (-5, False)]
)
def test_a_persons_word_expires_after_fifteen_minutes(minutes: float, counts: bool) -> None:
    assert (proven(UNKNOWN, _word(minutes), NOW) is not None) == counts


def test_it_expires_whatever_time_zone_it_is_written_in() -> None:
    elsewhere = (NOW - timedelta(minutes=20)).astimezone(timezone(timedelta(hours=9)))
    assert proven(UNKNOWN, _word().model_copy(update={"at": elsewhere}), NOW) is None


@pytest.mark.parametrize("typed", ["", "yes", "gpu-11", "GPU-1", "gpu-1.example.org", "gpu-1 gpu-2"])
def test_only_the_nodes_name_confirms(typed: str) -> None:
    assert proven(UNKNOWN, _word(typed=typed), NOW) is None
    assert missing("gpu-1", UNKNOWN, _word(typed=typed), NOW)


def test_blanks_around_the_name_are_forgiven_a_nameless_person_is_not() -> None:
    assert proven(UNKNOWN, _word(typed=" gpu-1\n"), NOW) is not None
    assert proven(UNKNOWN, _word(who=" "), NOW) is None
    assert proven(UNKNOWN, _word(node="", typed=""), NOW) is None


def test_a_controller_that_says_on_refutes_a_person() -> None:
    assert proven(ON, _word(), NOW) is None
    assert missing("gpu-1", ON, _word(), NOW)[0].code == "not-off"


@pytest.mark.parametrize("status", [OFF, UNKNOWN])
def test_a_host_that_answers_refutes_everybody(status: PowerStatus) -> None:
    assert proven(status, _word(), NOW, host_answers=True) is None
    (found,) = missing("gpu-1", status, _word(), NOW, host_answers=True)
    assert "answers" in found.message


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (None, "nobody confirmed it"),
        (_word(20), "ada confirmed it at 2026-11-24 08:40:00 UTC, longer ago than 15 minutes"),
        (_word(typed="y"), "not the node's name"),
        (_word(-10), "still to come"),
    ],
)
def test_it_says_what_is_missing(word: Confirmation | None, says: str) -> None:
    (found,) = missing("gpu-1", UNKNOWN, word, NOW)
    assert found.code == "no-proof-of-power-off"
    assert says in found.message
    assert "there is none" in found.message
    assert "gpu-1" in found.remedy


STATES: st.SearchStrategy[Literal["on", "off", "unknown"]] = st.sampled_from(["on", "off", "unknown"])


@given(
    STATES,
    st.none()
    | st.builds(_word, st.integers(-60, 60), st.sampled_from(["gpu-1", "no", ""]), st.sampled_from(["ada", ""])),
    st.booleans(),
)
def test_without_proof_something_is_missing_and_a_machine_that_shows_life_is_never_off(
    state: Literal["on", "off", "unknown"], word: Confirmation | None, answers: bool
) -> None:
    status = PowerStatus(state)
    proof = proven(status, word, NOW, host_answers=answers)
    assert (proof is None) == bool(missing("gpu-1", status, word, NOW, host_answers=answers))
    if proof is not None:
        assert state != "on"
        assert not answers
        assert state == "off" or (word is not None and word.typed == "gpu-1" and NOW - word.at <= timedelta(minutes=15))
