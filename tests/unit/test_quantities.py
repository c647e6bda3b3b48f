"""Resource quantities are read exactly, or not at all."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.quantities import parse, text


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("0", 0),
        ("500m", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        (".5", Fraction(1, 2)),
        ("1.", 1),
        ("1.5Gi", 3 * 2**29),
        ("2Ki", 2048),
        ("1k", 1000),
        ("1M", 10**6),
        ("1Mi", 2**20),
        ("1G", 10**9),
        ("1T", 10**12),
        ("1Ti", 2**40),
        ("1P", 10**15),
        ("1Pi", 2**50),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("1e3", 1000),
        ("1E3", 1000),
        ("1e+3", 1000),
        ("12e-1", Fraction(6, 5)),
        ("100u", Fraction(1, 10000)),
        ("1n", Fraction(1, 10**9)),
        ("-2", -2),
        ("+2", 2),
        ("128974848", 128974848),
        (4, 4),
        (0.5, Fraction(1, 2)),
    ],
)
def test_every_notation(quantity: str | int | float, value: Fraction | int) -> None:
    assert parse(quantity) == value


@pytest.mark.parametrize(
    "quantity",
    ["", "Gi", "1K", "1g", "1ki", "1KI", "1 Gi", "1Gi ", "1e", "1e1.5", "1ee3", "0x10", "١", "1,5", "nan", "inf", True],
)
def test_what_is_no_quantity_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match="no resource quantity"):
        parse(quantity)


def test_an_endless_one_is_refused_at_once() -> None:
    for quantity in ("9" * 10**6, "1e999999999"):
        with pytest.raises(ValueError, match="no resource quantity"):
            parse(quantity)


@given(st.integers(0, 10**15), st.sampled_from(["", "m", "k", "Ki", "Mi", "G", "e3", "E-2"]))
def test_twice_as_much_is_twice_as_much(number: int, suffix: str) -> None:
    assert parse(f"{2 * number}{suffix}") == 2 * parse(f"{number}{suffix}")


@given(st.lists(st.integers(0, 10**6), max_size=20))
def test_sums_are_exact(thousandths: list[int]) -> None:
    assert sum((parse(f"{one}m") for one in thousandths), Fraction(0)) * 1000 == sum(thousandths)


@given(st.text(max_size=8))
def test_any_text_is_read_or_refused(quantity: str) -> None:
    try:
        parse(quantity)
    except ValueError as error:
        assert "no resource quantity" in str(error)  # noqa: PT017 (either way is right; only another error is not)


def test_for_people() -> None:
    assert text("cpu", parse("1500m")) == "1.5"
    assert text("cpu", parse("2")) == "2"
    assert text("memory", parse("2Gi")) == "2.0 GiB"
    assert text("nvidia.com/gpu", parse("4")) == "4"
