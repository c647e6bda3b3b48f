"""What a person confirms by typing the node's name: asked only where it can help, and for exactly what was shown."""

from __future__ import annotations

import pytest

from cluster import confirming
from cluster.errors import Blocked
from cluster.options import PlannedOptions, RejoinOptions, RemoveOptions
from cluster.plan import Finding, Loss, Plan
from cluster.question import Answer
from cluster.showing_reports import question_markdown

SCRATCH = Loss(what="volume", name="scratch", owner="frida", why="its data lies on this node alone")
UNCONFIRMED = Finding(code="unconfirmed-machine", message="Is the machine with id 12 to be it?", remedy="See.")
READY = Finding(code="node-ready", message="It has joined already", remedy="Nothing.")


def _plan(*blockers: Finding, losses: tuple[Loss, ...] = (), continued: bool = False) -> Plan:
    return Plan(
        procedure="remove",
        node="gpu-1",
        cluster="c",
        feasible=not blockers,
        blockers=blockers,
        losses=losses,
        continued=continued,
    )


def test_removal_is_confirmed_below_what_is_lost_and_for_nothing_else() -> None:
    asked = confirming.question(_plan(losses=(SCRATCH,)), RemoveOptions())
    other = confirming.question(_plan(), RemoveOptions())
    assert asked is not None
    assert other is not None
    assert asked.digest != other.digest
    assert asked.items == ("volume scratch",)
    assert "| volume | scratch | frida | its data lies on this node alone |" in question_markdown(asked)
    assert "Nothing is known that is lost" in question_markdown(other)


def test_removal_that_is_blocked_under_way_or_typed_already_is_not_asked_about() -> None:
    assert confirming.question(_plan(READY), RemoveOptions()) is None
    assert confirming.question(_plan(continued=True), RemoveOptions()) is None
    for typed in ("gpu-1", "gpu-2"):
        assert confirming.question(_plan(), RemoveOptions(confirmed=typed)) is None
    assert confirming.question(_plan(), PlannedOptions()) is None


def test_machine_is_asked_about_only_if_that_is_all_that_forbids_the_rejoin() -> None:
    asked = confirming.question(_plan(UNCONFIRMED), RejoinOptions())
    assert asked is not None
    assert "id 12" in question_markdown(asked)
    assert confirming.question(_plan(UNCONFIRMED, READY), RejoinOptions()) is None
    assert confirming.question(_plan(), RejoinOptions()) is None
    assert confirming.question(_plan(UNCONFIRMED), RejoinOptions(confirmed="gpu-2")) is None


def test_another_name_than_the_nodes_confirms_nothing() -> None:
    asked = confirming.question(_plan(), RemoveOptions())
    assert asked is not None
    with pytest.raises(Blocked, match="Nothing was changed"):
        confirming.confirmed(RemoveOptions(), asked, Answer("refuse", "anna"))
    assert confirming.confirmed(RemoveOptions(), asked, Answer("confirmed", "anna")) == RemoveOptions(confirmed="gpu-1")


def test_removal_that_goes_on_needs_no_second_word_and_another_node_was_never_confirmed() -> None:
    assert confirming.continued(_plan(continued=True), RemoveOptions()) == RemoveOptions(confirmed="gpu-1")
    assert confirming.continued(_plan(), RemoveOptions()) == RemoveOptions()
    wrong = RemoveOptions(confirmed="gpu-2")
    assert confirming.continued(_plan(continued=True), wrong) == wrong
