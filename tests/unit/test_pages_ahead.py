"""Lists of several pages: the next one is asked for meanwhile, and nobody waits for one that is not wanted."""

from __future__ import annotations

import time

import pytest

from cluster import api as apis
from lab.patience import until
from tests.unit import pages_server

PODS = "/api/v1/pods"


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis, "PAGE", 10)


def test_the_next_page_is_asked_for_while_one_is_worked_at_and_all_are_given_once() -> None:
    with pages_server.serving(1, 35) as (server, api):
        pods = api.iterate(PODS)
        first = next(pods)
        until(lambda: len(server.asked) == 2, seconds=10, what="the next page is not asked for")
        names = [one["metadata"]["name"] for one in (first, *pods)]
    assert names == [f"p{at}" for at in range(35)]
    assert [query.get("continue", "") for _, query in server.asked] == ["", "10", "20", "30"]


def test_who_stops_in_the_middle_does_not_wait_for_the_next_page() -> None:
    with pages_server.serving(1, 35) as (server, api):
        server.holds.clear()
        pods = api.iterate(PODS)
        next(pods)
        began = time.monotonic()
        del pods
        assert time.monotonic() - began < 5
        server.holds.set()


def test_a_list_of_one_page_is_asked_for_once() -> None:
    with pages_server.serving(1, 10) as (server, api):
        assert len(api.list(PODS)) == 10
    assert len(server.asked) == 1
