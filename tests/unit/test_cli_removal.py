"""``downtime run remove``: nothing begins unless the node's name was typed once more, and one node at a time goes."""

from __future__ import annotations

import pytest

from tests.command_line import in_this_process


@pytest.mark.parametrize("typed", [(), ("--yes-remove", "gpu-2"), ("--yes",)])
def test_name_that_was_not_typed_is_exit_3_before_anything_is_looked_at(typed: tuple[str, ...]) -> None:
    error = in_this_process("run", "remove", "gpu-1", *typed, "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("not-confirmed", 3)
    assert "--yes-remove gpu-1" in str(error["remedy"])


def test_several_nodes_at_once_are_refused() -> None:
    words = ("run", "remove", "gpu-1", "gpu-2", "--yes-remove", "gpu-1", "--output", "json")
    error = in_this_process(*words).error
    assert (error["code"], error["exit_code"]) == ("one-at-a-time", 2)
