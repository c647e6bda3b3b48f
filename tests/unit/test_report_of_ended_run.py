"""A run that ends before the downtime does leaves its report too: what it waits for, or why it failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import report
from cluster.errors import Blocked, Failed, Waiting
from cluster.report import Report
from cluster.showing_reports import report_markdown
from tasks import downtimes, publishing
from tests.unit import planning_cases as cases

RECORD = cases.record(done=("recovery-gate", "cordon", "approve-workloads", "taint"), changes=("cordon", "taint"))
WAITS = Waiting("waiting-for-return", "gpu-1 is out of service", "'downtime resume gpu-1', when it is done.")


@pytest.mark.parametrize(
    ("error", "outcome", "said"),
    [
        (WAITS, "waiting", "goes on when somebody lets it"),
        (Failed("not-gone", "team-a/train-0 does not go", "See why."), "failed", "failed after"),
        (Blocked("etcd-quorum", "No majority", "Bring them back."), "blocked", "can't go ahead"),
        (RuntimeError("a token"), "failed", "(RuntimeError)"),
    ],
)
def test_it_says_why_it_ended_what_to_do_and_what_stands(error: Exception, outcome: str, said: str) -> None:
    made = report.of_ended(RECORD, error)
    assert made.outcome == outcome
    text = report_markdown(made)
    assert said in text
    assert text.index("Why this run ended") < text.index("Still standing") < text.index("## Steps")
    assert "What to do: " in text
    assert "a token" not in text, "what is not ours may hold a secret"


class _Way:
    """A way into a downtime; it knows whether the lock is held."""

    def __init__(self) -> None:
        self.held = False

    @contextmanager
    def enter(self, downtime: Any) -> Iterator[Any]:
        self.held = True
        try:
            yield downtime
        finally:
            self.held = False


@pytest.mark.parametrize("error", [WAITS, Failed("not-gone", "x", "y"), ValueError("x")])
def test_it_is_published_once_the_lock_is_released_and_the_run_ends_as_it_would(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    published: list[Report] = []
    way = _Way()

    def final(made: Report) -> None:
        assert not way.held
        published.append(made)
        raise RuntimeError("Prefect is gone")

    api = SimpleNamespace(with_patience=lambda _: SimpleNamespace())
    downtime: Any = SimpleNamespace(api=api, node="gpu-1", record=RECORD)
    monkeypatch.setattr(publishing, "_in_a_run", lambda: True)
    monkeypatch.setattr(publishing, "final", final)
    monkeypatch.setattr(publishing, "get_run_logger", lambda: SimpleNamespace(warning=lambda *_: None))
    monkeypatch.setattr("cluster.whereabouts.of", lambda *_: ())
    with pytest.raises(type(error)) as raised, downtimes._reported(way.enter(downtime)):
        raise error
    assert raised.value is error
    assert [one.why is not None for one in published] == [True]


def test_a_suspended_run_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.exceptions import Pause

    monkeypatch.setattr(publishing, "ended", lambda *_: pytest.fail("it goes on"))
    with pytest.raises(Pause), downtimes._reported(_Way().enter(SimpleNamespace())):
        raise Pause(state=None)
