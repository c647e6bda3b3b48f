"""At the terminal each workload gets its decision: for all at once or one by one, then or now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cluster.errors import Waiting
from cluster.plan import Workload
from cluster.question import Question
from deployments import asking

A, B = (
    Workload(name=name, namespace="runai-a", owner="anna", kind="interactive", pods=(name,), fate="needs-approval")
    for name in ("a", "b")
)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the person types, line by line; afterwards nothing is left of it."""
    lines: list[str] = []
    monkeypatch.setattr("builtins.input", lambda _: lines.pop(0))
    yield lines
    assert lines == []


def question(*workloads: Workload, minutes: float = 0) -> Question:
    ends = datetime.now(UTC) + timedelta(minutes=minutes) if minutes else None
    return Question("interactive", "gpu-1", "d", workloads, notice_ends=ends, said=("owners were NOT told: x",))


def test_one_after_the_other_and_what_is_shown_first(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    typed += ["nonsense", "each", "wait", "evict"]
    answer = asking._ask(question(A, B))
    assert dict(answer.each) == {A.key: "wait", B.key: "evict"}
    assert not answer.now
    assert "owners were NOT told: x" in capsys.readouterr().out


def test_now_is_asked_only_in_the_notice_period_and_with_what_is_left_of_it(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed += ["evict", "now"]
    assert asking._ask(question(A, minutes=10)).now
    assert "are left" in capsys.readouterr().out
    typed += ["evict", "then"]
    assert not asking._ask(question(A, minutes=10)).now
    typed += ["evict"]
    assert not asking._ask(question(A, minutes=-10)).now
    typed += ["wait"]
    assert not asking._ask(question(A, minutes=10)).now


def test_later_decides_nothing_and_refuse_refuses_all(typed: list[str]) -> None:
    typed += ["each", "wait", "later"]
    with pytest.raises(Waiting):
        asking._ask(question(A, B))
    typed += ["refuse"]
    assert asking._ask(question(A, B)).given == "refuse"
