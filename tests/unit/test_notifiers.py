"""Telling people: each way by itself, all at once, within its time; what fails is named without its tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from cluster import examination_notify, notifiers
from cluster.api import Api
from cluster.config import ClusterSettings, Settings
from cluster.notify_settings import NotifySettings
from cluster.secret_refs import SecretRef
from tests.notified import TOKEN, Hook, hook

NO_API = cast("Api", None)


@pytest.fixture
def told() -> Iterator[Hook]:
    with hook() as made:
        yield made


def settings(folder: Path, *urls: str, blocks: tuple[str, ...] = ()) -> NotifySettings:
    (folder / "urls").write_text("".join(f"{url}\n" for url in ("# of a test", *urls)))
    return NotifySettings(urls=[SecretRef(file=folder / "urls")], blocks=list(blocks), send_seconds=2)


def test_all_are_told_at_once_and_one_that_hangs_holds_nobody_up_for_longer_than_its_time(
    tmp_path: Path, told: Hook
) -> None:
    with hook() as hangs, hook() as refuses:
        hangs.behaves, refuses.behaves = "hangs", "refuses"
        found, failed = notifiers.of(NO_API, settings(tmp_path, hangs.url, refuses.url, told.url))
        assert failed == []
        began = time.monotonic()
        outcome = notifiers.send_all(found, "subject", "text", 2)
        assert time.monotonic() - began < 4
    assert told.texts == ["subject\ntext"]
    assert outcome.told == (f"json (file {tmp_path}/urls, line 3)",)
    assert len(outcome.failed) == 2
    assert "no answer within 2 s" in outcome.failed[0]
    assert "error=500" in outcome.failed[1]
    assert TOKEN not in str(outcome)


def test_url_that_apprise_does_not_know_is_named_by_its_place_alone(tmp_path: Path, caplog: object) -> None:
    found, failed = notifiers.of(NO_API, settings(tmp_path, f"nosuch://{TOKEN}"))
    assert found == []
    assert failed == [f"nosuch (file {tmp_path}/urls): apprise does not know this kind of URL, or it is incomplete"]
    assert TOKEN not in getattr(caplog, "text", "")


def test_block_without_prefect_is_said_not_to_be_told(tmp_path: Path) -> None:
    _, failed = notifiers.of(NO_API, settings(tmp_path, blocks=("slack-webhook/ops",)))
    assert failed[0].endswith("there is no URL")
    assert failed[1] == "block slack-webhook/ops: this run goes without Prefect, which has the block"


def test_block_gets_subject_and_text_and_its_failure_is_masked() -> None:
    notifiers.hide("https://hooks.example.org/services/Secret-Of-The-Block")
    seen: list[tuple[str, str, str]] = []

    def send(name: str, subject: str, body: str) -> None:
        seen.append((name, subject, body))
        raise notifiers.NotTold("404 for https://hooks.example.org/services/Secret-Of-The-Block")

    token = notifiers.BLOCKS.set(send)
    try:
        found, _ = notifiers.of(NO_API, NotifySettings(blocks=["slack-webhook/ops"]))
    finally:
        notifiers.BLOCKS.reset(token)
    outcome = notifiers.send_all(found, "subject", "text", 2)
    assert seen == [("slack-webhook/ops", "subject", "text")]
    assert "404 for" in outcome.failed[0]
    assert "Secret-Of-The-Block" not in outcome.failed[0]


def test_doctor_tries_each_way_and_tells_nobody(tmp_path: Path, told: Hook) -> None:
    whole = Settings(cluster=ClusterSettings(uid="u"), notify=settings(tmp_path, told.url, "nosuch://abc"))
    lines = list(examination_notify.lines(NO_API, whole))
    assert [one.level for one in lines] == ["PASS", "WARN"]
    assert told.told == []
    assert list(examination_notify.lines(NO_API, Settings(cluster=ClusterSettings(uid="u")))) == []


def test_a_token_behind_a_colon_of_the_host_is_masked_by_itself() -> None:
    parts = notifiers.secret_parts("tgram://123456789:AAbbCCddEEff/987654321")
    assert {"AAbbCCddEEff", "123456789:AAbbCCddEEff"} <= parts
    assert "8443" not in notifiers.secret_parts("json://ops.example:8443/hooks/abcdefghij")
