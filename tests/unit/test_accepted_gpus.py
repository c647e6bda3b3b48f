"""Fewer GPUs than were recorded are enough only where a person said so, and only as many as they said."""

from __future__ import annotations

import pytest

from cluster import accepted_gpus, gpus, outage
from cluster.errors import Misused
from cluster.record import Approval, Found, Record
from tests.unit.planning_cases import NOW, node, record
from tests.unit.pod_objects import pod

EIGHT = {"nvidia.com/gpu": 8}
SLICED = {"nvidia.com/mig-1g.5gb": 7, "nvidia.com/mig-2g.10gb": 3, "nvidia.com/gpu": 0}


def accepted(*items: str, found: dict[str, int] | None = None) -> Record:
    said = Approval(subject="gpus", digest="d", items=items, answer="enough", who="ada", at=NOW)
    return record(found=Found(gpus=found or EIGHT), approvals=(said,))


def test_without_a_persons_word_all_are_expected() -> None:
    assert gpus.expected(record(found=Found(gpus=EIGHT))) == EIGHT


def test_as_many_as_a_person_said_are_expected() -> None:
    assert gpus.expected(accepted("nvidia.com/gpu=6")) == {"nvidia.com/gpu": 6}
    assert gpus.missing(gpus.expected(accepted("nvidia.com/gpu=6")), {"nvidia.com/gpu": 5}) == {
        "nvidia.com/gpu": (5, 6)
    }


def test_a_word_never_adds_or_raises_what_is_expected() -> None:
    assert gpus.expected(accepted("nvidia.com/gpu=9", "amd.com/gpu=4")) == EIGHT


def test_the_newest_word_counts() -> None:
    twice = accepted("nvidia.com/gpu=6")
    newer = twice.approvals[0].model_copy(update={"items": ("nvidia.com/gpu=7",)})
    assert gpus.expected(twice.model_copy(update={"approvals": (*twice.approvals, newer)})) == {"nvidia.com/gpu": 7}


def test_a_number_is_enough_where_there_is_one_kind() -> None:
    assert accepted_gpus.parse(["6"], EIGHT) == {"nvidia.com/gpu": 6}
    assert accepted_gpus.parse(["0"], EIGHT) == {"nvidia.com/gpu": 0}
    assert accepted_gpus.parse(["nvidia.com/mig-1g.5gb=5"], SLICED) == {"nvidia.com/mig-1g.5gb": 5}


@pytest.mark.parametrize("text", ["", "8", "9", "-1", "six", "6.5", "amd.com/gpu=2", "nvidia.com/gpu=8", "=6", "6 6"])
def test_what_is_not_fewer_of_what_was_recorded_is_refused(text: str) -> None:
    with pytest.raises(Misused, match=r"8 nvidia\.com/gpu"):
        accepted_gpus.parse([text], EIGHT)


def test_a_number_alone_is_refused_where_there_are_several_kinds() -> None:
    with pytest.raises(Misused, match=r"7 nvidia\.com/mig-1g\.5gb, 3 nvidia\.com/mig-2g\.10gb"):
        accepted_gpus.parse(["5"], SLICED)


def test_gpus_that_were_given_up_are_not_missed_by_the_next_recovery() -> None:
    closed = accepted("nvidia.com/gpu=6").model_copy(update={"phase": "closed"})

    class Nothing:
        def list(self, *_: object, **__: object) -> list[object]:
            return []

    found = outage.found_of(Nothing(), node(), Found(), closed)  # type: ignore[arg-type]
    assert found.gpus == {"nvidia.com/gpu": 6}


def test_what_its_pods_ask_for_tells_how_many_gpus_a_node_had_at_least() -> None:
    asks = [{"resources": {"limits": {"nvidia.com/gpu": "3"}}}]

    class Pods:
        def list(self, *_: object, **__: object) -> list[object]:
            return [pod("a", containers=asks), pod("b", containers=asks, phase="Succeeded"), pod("c")]

    found = outage.found_of(Pods(), node(), Found(), None)  # type: ignore[arg-type]
    assert found.gpus == {"nvidia.com/gpu": 3}
