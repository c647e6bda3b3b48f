"""``docs/hazards.md`` names tests that exist, for every hazard that must be covered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
HAZARDS = ROOT / "docs" / "hazards.md"
MUST_BE_NAMED = (
    "foreign taint",
    "foreign cordon",
    "cordoned before",
    "drain taint set by hand",
    "dead holder",
    "frozen holder",
    "host name differs from node name",
    "wrong address",
    "host offline at removal",
    "kubelet alive after the deletion",
    "reboot after removal",
    "Ready node of the same name",
    "flapping",
    "kubelet dead, machine alive",
    "while the out-of-service taint stands",
    "API server restarts",
    "SSH is cut in the middle of a join",
    "storm",
    "quorum",
    "last system node",
    "PodDisruptionBudget that allows nothing",
    "alert for a node that is off on purpose",
    "own pod or Prefect's on the node",
)
"""The beginning or a part of what stands in the first column."""


class Row(NamedTuple):
    """One hazard."""

    hazard: str
    answer: str
    tests: str


def rows() -> list[Row]:
    """The lines of the table, without its head."""
    lines = [line for line in HAZARDS.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]
    assert all(len(one) == 3 for one in cells), [one for one in cells if len(one) != 3]
    return [Row(*one) for one in cells[1:]]


def named(tests: str) -> list[tuple[str, str]]:
    """The tests that a row names: file (without folder: that of the one before) and a part of the name; empty: all.

    Raises:
        ValueError: it is not written as it should be.
    """
    found, folder = [], ""
    parts = re.findall(r"`([^`]+)`([^`]*)", tests)
    if not parts or not tests.startswith("`"):
        raise ValueError(tests)
    for path, names in parts:
        folder, name = path.rsplit("/", 1) if "/" in path else (folder, path)
        pieces = [one.strip() for one in names.split(",") if one.strip()]
        found += [(f"tests/{folder}/{name}.py", one) for one in pieces or [""]]
    return found


def missing(tests: str) -> list[str]:
    """Those of them that do not exist."""
    found = []
    for path, piece in named(tests):
        file = ROOT / path
        text = file.read_text() if file.is_file() else ""
        if not re.search(rf"^def test_\w*{re.escape(piece)}", text, re.MULTILINE):
            found.append(f"{path}: {piece}")
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.hazard[:50])
def test_every_test_that_is_named_exists(row: Row) -> None:
    assert row.hazard
    assert row.answer
    assert missing(row.tests) == []


@pytest.mark.parametrize("wanted", MUST_BE_NAMED)
def test_what_can_go_wrong_has_a_row(wanted: str) -> None:
    assert [row for row in rows() if wanted.lower() in row.hazard.lower()]


def test_a_test_that_does_not_exist_would_be_seen() -> None:
    cell = "`unit/test_hazards` a_test_that_does_not_exist_would, nothing_of_the_kind, `test_no_such_file`"
    assert missing(cell) == [
        "tests/unit/test_hazards.py: nothing_of_the_kind",
        "tests/unit/test_no_such_file.py: ",
    ]
