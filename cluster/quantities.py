"""Kubernetes' resource quantities (``500m``, ``2Gi``, ``1e3``) as exact numbers. Pure.

Exact, since a comparison of sums of halves and thousandths in floating point would now and then be wrong by the one
byte that matters.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ and ``suffix.go`` of
k8s.io/apimachinery 0.34: ``E`` alone is 10^18, ``E3`` an exponent.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_QUANTITY = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i)?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
# A 64-bit number has 19 digits; what is longer is nobody's memory, and would only cost time.
_LONGEST = 64


@lru_cache(maxsize=4096, typed=True)
def parse(quantity: str | int | float) -> Fraction:
    """The number that a quantity stands for (cores, bytes, pieces).

    Args:
        quantity: as JSON holds it: nearly always a text.

    Raises:
        ValueError: it is none.
    """
    text = str(quantity)
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST and not isinstance(quantity, bool) else None
    if match is None:
        raise ValueError(f"{text[:_LONGEST]!r} is no resource quantity")
    sign, number, suffix = match[1], match[2], match[3] or ""
    value = Fraction(number if not number.endswith(".") else number[:-1]) * _factor(suffix)
    return -value if sign == "-" else value


def _factor(suffix: str) -> Fraction:
    if suffix in _BINARY:
        return Fraction(1024 ** (_BINARY.index(suffix) + 1))
    exponent = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:] or 0)
    return Fraction(10) ** exponent


def text(resource: str, amount: Fraction) -> str:
    """For people: ``1.5`` cores, ``2.0 GiB``, ``4``; rounded to one decimal."""
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        return f"{float(amount / 1024**3):.1f} GiB"
    return f"{float(amount):.1f}".removesuffix(".0")
