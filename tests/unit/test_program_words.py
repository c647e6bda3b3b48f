"""What a program said last, as a message shows it: a secret at the cut must not show its other half."""

from __future__ import annotations

import pytest

from cluster.masking import MASK, Masker
from cluster.programs import Ended


@pytest.mark.parametrize("shown", range(1, 20))
def test_a_secret_that_the_cut_would_halve_is_masked_before(shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "correct-horse-staple"
    masker = Masker()
    masker.register(secret)
    monkeypatch.setattr("cluster.programs.MASKER", masker)
    rest = " " + "x" * (500 - shown - 1)

    summary = Ended(1, f"FATAL: the password is {secret}{rest}").summary

    assert secret[-shown:] + rest not in summary
    assert summary.endswith(MASK[-shown:] + rest)


def test_what_a_program_said_in_many_lines_is_one_line() -> None:
    assert Ended(1, "pg_dump: error:\n  the server\tis away\n").summary == "pg_dump: error: the server is away"


def test_a_program_that_said_nothing_is_said_to_have_said_nothing() -> None:
    assert Ended(1, " \n").summary == "it said nothing"
