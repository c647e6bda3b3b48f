"""The client of Run:ai's REST API against a real server: each thing that can go wrong, in the API's own words."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from cluster import config, examination_runai, runai_api
from cluster.config import ClusterSettings, Settings
from cluster.errors import DowntimeError, Misused
from cluster.runai_api import RunaiApi
from cluster.runai_config import RunaiSettings
from cluster.runai_errors import RunaiError
from cluster.secret_refs import SecretRef
from lab.runai import rest_faults
from tests.unit.runai_server import JSON, Reply, Server, error, serving

SECRET = "s3cret-of-the-service-account"
PODS = "GET /api/v1/workloads/pods"
ONE = "GET /api/v1/workloads/w-1"
WORKLOAD: JSON = {"id": "w-1", "name": "notebook", "type": "workspace", "phase": "Running", "namespace": "runai-team-a"}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({ONE: [Reply(200, WORKLOAD)]}) as made:
        yield made


@pytest.fixture
def secret(tmp_path: Path) -> SecretRef:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    return SecretRef(file=file)


@contextmanager
def client(url: str, secret: SecretRef, **values: Any) -> Iterator[RunaiApi]:
    chosen = {"timeout": 1, "patience": 3, "client_id": "downtime", **values}
    section = RunaiSettings(url=url, client_secret=secret, **chosen)
    settings = Settings(cluster=ClusterSettings(uid="u"), runai=section)
    with runai_api.opened(None, settings) as opened:  # type: ignore[arg-type]
        yield opened


def refusal(url: str, secret: SecretRef, **values: Any) -> DowntimeError:
    with client(url, secret, **values) as api, pytest.raises(DowntimeError) as raised:
        api.workload("w-1")
    return raised.value


@pytest.mark.parametrize(
    ("grant", "names"), [("client_credentials", ("clientID", "clientSecret")), ("app_token", ("appID", "appSecret"))]
)
def test_both_kinds_of_tokens_are_asked_for_as_documented(
    server: Server, secret: SecretRef, grant: str, names: tuple[str, str]
) -> None:
    with client(server.url, secret, grant=grant) as api:
        assert api.workload("w-1") is not None
        assert api.workload("w-1") is not None
    [login] = server.asked("POST /api/v1/token")
    assert login.body == {"grantType": grant, names[0]: "downtime", names[1]: SECRET}
    assert {one.token for one in server.asked(ONE)} == {"token-1-of-the-test"}


def test_token_that_is_refused_once_is_renewed(server: Server, secret: SecretRef) -> None:
    server.script[ONE] = [error(401, "Unauthorized"), Reply(200, WORKLOAD)]
    with client(server.url, secret) as api:
        found = api.workload("w-1")
    assert found is not None
    assert found.phase == "Running"
    assert [one.token for one in server.asked(ONE)] == ["token-1-of-the-test", "token-2-of-the-test"]


def test_token_that_is_always_refused_is_an_error_in_the_words_of_the_api(server: Server, secret: SecretRef) -> None:
    server.script[ONE] = [error(401, "Unauthorized", "the service account is disabled")]
    found = refusal(server.url, secret)
    assert (found.code, found.exit_code) == ("runai-credentials", 3)
    assert "Unauthorized (code 401): the service account is disabled" in found.message
    assert found.remedy
    assert len(server.asked(ONE)) == 2


def test_token_is_renewed_before_it_expires(server: Server, secret: SecretRef) -> None:
    server.lifetime = 1
    with client(server.url, secret) as api:
        api.workload("w-1")
        time.sleep(0.9)
        api.workload("w-1")
    assert [one.token for one in server.asked(ONE)] == ["token-1-of-the-test", "token-2-of-the-test"]


def test_login_that_is_refused_names_the_account_and_where_its_secret_is(server: Server, secret: SecretRef) -> None:
    server.tokens = [error(401, "Unauthorized", f"no client with {SECRET}")]
    found = refusal(server.url, secret)
    assert found.code == "runai-login"
    assert "downtime" in found.message
    assert str(secret.file) in found.remedy
    assert SECRET not in str(found)


def test_retry_after_is_honoured(server: Server, secret: SecretRef) -> None:
    server.script[ONE] = [error(429, "Too many requests", Retry_After="1"), Reply(200, WORKLOAD)]
    began = time.monotonic()
    with client(server.url, secret) as api:
        assert api.workload("w-1") is not None
    assert time.monotonic() - began >= 1


def test_retry_after_as_a_date_is_counted_by_the_clock_of_the_server(server: Server, secret: SecretRef) -> None:
    # A clock that is years off: what counts is the difference.
    then = 1_000_000_000
    dates = {"Retry-After": formatdate(then + 1, usegmt=True), "Date": formatdate(then, usegmt=True)}
    server.script[ONE] = [Reply(429, {"code": 429, "message": "Too many requests"}, dates), Reply(200, WORKLOAD)]
    with client(server.url, secret) as api:
        assert api.workload("w-1") is not None


def test_retry_after_beyond_the_deadline_is_not_waited_for(server: Server, secret: SecretRef) -> None:
    server.script[ONE] = [error(429, "Too many requests", "come back tomorrow", Retry_After="86400")]
    began = time.monotonic()
    found = refusal(server.url, secret)
    assert time.monotonic() - began < 10
    assert found.code == "runai-busy"
    assert "HTTP 429" in found.message
    assert "come back tomorrow" in found.message


def test_failing_api_is_asked_again_until_the_deadline(server: Server, secret: SecretRef) -> None:
    server.script[ONE] = [error(500, "Internal server error", "the database is away")]
    began = time.monotonic()
    found = refusal(server.url, secret)
    assert found.code == "runai-busy"
    assert "the database is away" in found.message
    assert 1 < time.monotonic() - began < 10
    assert len(server.asked(ONE)) >= 3


@pytest.mark.parametrize("broken", [Reply(cut=True), error(503, "Service unavailable"), error(502, "Bad gateway")])
def test_what_fails_once_is_asked_again(server: Server, secret: SecretRef, broken: Reply) -> None:
    server.script[ONE] = [broken, Reply(200, WORKLOAD)]
    with client(server.url, secret) as api:
        assert api.workload("w-1") is not None


@pytest.mark.parametrize("slow", [Reply(200, WORKLOAD, delay=30), Reply(200, WORKLOAD, trickle=0.2)])
def test_slow_api_is_given_up_at_the_deadline(server: Server, secret: SecretRef, slow: Reply) -> None:
    server.script[ONE] = [slow]
    began = time.monotonic()
    found = refusal(server.url, secret, timeout=0.5, patience=1)
    assert found.code == "runai-unreachable"
    assert "within 0.5 s" in found.message
    assert time.monotonic() - began < 10


def test_api_that_is_not_there_is_named(secret: SecretRef) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        found = refusal(url, secret, patience=0.5)
    assert found.code == "runai-unreachable"
    assert url in found.message


@pytest.mark.parametrize(
    "odd",
    [
        Reply(200, text="<!DOCTYPE html><title>Sign in</title>"),
        Reply(200, ["a", "list"]),
        Reply(200, {"id": "w-1"}),
        Reply(200, {**WORKLOAD, "phase": 7}),
        Reply(200, text='{"id": "w-1", '),
        Reply(302, {}, {"Location": "https://login.example.org"}),
    ],
)
def test_answer_that_is_not_as_documented_is_an_error(server: Server, secret: SecretRef, odd: Reply) -> None:
    server.script[ONE] = [odd]
    assert refusal(server.url, secret).code in ("runai-answer", "runai-refused")


@pytest.mark.parametrize("odd", [{}, {"accessToken": 7}, {"accessToken": "two\nlines"}, ["x"], {"accessToken": ""}])
def test_token_that_is_none_is_an_error(server: Server, secret: SecretRef, odd: Any) -> None:
    server.tokens = [Reply(200, odd)]
    found = refusal(server.url, secret)
    assert found.code == "runai-answer"
    assert "two" not in str(found)


def test_workload_that_is_gone_is_none(server: Server, secret: SecretRef) -> None:
    with client(server.url, secret) as api:
        assert api.workload("w-2") is None


def test_all_pages_are_read_and_pods_of_other_nodes_left_out(server: Server, secret: SecretRef) -> None:
    def pod(name: str, node: str) -> JSON:
        return {"name": name, "workloadId": "w-1", "nodeName": node, "projectName": "team-a", "k8sPhase": "Running"}

    first, second = [pod("a-0", "gpu-1"), pod("b-0", "gpu-2")], [pod("c-0", "gpu-1")]
    server.script[PODS] = [Reply(200, {"pods": first, "next": 2}), Reply(200, {"pods": second})]
    with client(server.url, secret, cluster_id="c-1") as api:
        assert [one.name for one in api.pods_on("gpu-1")] == ["a-0", "c-0"]
    queries = [one.query for one in server.asked(PODS)]
    assert [dict(one)["offset"] for one in queries] == ["0", "2"]
    assert all(("filterBy", "nodeName==gpu-1") in one and ("completed", "false") in one for one in queries)
    assert all(("filterBy", "clusterId==c-1") in one for one in queries)


def test_neither_secret_nor_token_is_in_any_message_or_log(
    server: Server, secret: SecretRef, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = []
    for reply in (
        error(400, f"Bad request with {SECRET}", "Bearer token-1-of-the-test"),
        error(403, "Forbidden", "token-1-of-the-test may not"),
        Reply(200, text=f"<p>token-1-of-the-test {SECRET}</p>"),
        Reply(200, {"id": "token-1-of-the-test"}),
    ):
        server.script[ONE] = [reply]
        server._logins = 0
        found.append(refusal(server.url, secret))
    found.append(refusal("http://127.0.0.1:9", secret, patience=0.1))
    for one in found:
        texts = (str(one), repr(one), one.message, str(one.__reduce__()), str(one.__cause__))
        assert not [text for text in texts if SECRET in text or "token-1-of-the-test" in text]
    assert SECRET not in caplog.text
    assert "of-the-test" not in caplog.text


def test_plain_http_is_refused_but_for_this_machine(secret: SecretRef) -> None:
    for url in ("http://127.0.0.1:80", "http://localhost", "http://[::1]:8080", "https://runai.example.org"):
        assert RunaiSettings(url=url, client_id="x", client_secret=secret).url == url
    with pytest.raises(ValueError, match="plain http"):
        RunaiSettings(url="http://runai.example.org", client_id="x", client_secret=secret)
    clear = RunaiSettings(url="http://runai.example.org", client_id="x", client_secret=secret, allow_http=True)
    assert clear.allow_http


@pytest.mark.parametrize(
    "url", ["runai.example.org", "https://me:pw@runai.example.org", "https://x/?token=1", "ftp://x"]
)
def test_url_that_is_none_or_holds_a_secret_is_refused(secret: SecretRef, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        RunaiSettings(url=url, client_id="x", client_secret=secret)


def test_secret_is_never_written_in_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "downtime.toml"
    text = (
        '[cluster]\nuid = "u"\n[runai]\nurl = "https://runai.example.org"\nclient_id = "x"\nclient_secret = "hunter2"\n'
    )
    file.write_text(text)
    with pytest.raises(Misused) as raised:
        config.load(file)
    assert "hunter2" not in str(raised.value)
    assert f"{file}, line 6" in raised.value.message


def test_section_that_is_not_there_is_no_api(tmp_path: Path) -> None:
    file = tmp_path / "downtime.toml"
    file.write_text('[cluster]\nuid = "u"\n')
    settings = config.load(file)
    assert settings.runai is None
    with pytest.raises(Misused), runai_api.opened(None, settings):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize(
    ("status", "certain", "for_all"), [(400, True, False), (409, True, False), (401, True, True), (500, False, True)]
)
def test_refusal_is_certain_only_where_the_api_itself_refuses(status: int, certain: bool, for_all: bool) -> None:
    found = RunaiError("x", "y", "z")
    found.status = status
    assert (found.certain, found.for_all) == (certain, for_all)


def test_doctor_says_whether_the_api_is_reached_and_what_to_do_if_not(server: Server, secret: SecretRef) -> None:
    def lines(**values: Any) -> list[tuple[str, str, str]]:
        section = RunaiSettings(url=server.url, client_id="downtime", client_secret=secret, patience=1, **values)
        settings = Settings(cluster=ClusterSettings(uid="u"), runai=section)
        found = examination_runai.lines(None, settings)  # type: ignore[arg-type]
        return [(one.level, one.reason, one.remedy) for one in found]

    server.script[PODS] = [Reply(200, {"pods": []})]
    [(level, reason, _)] = lines()
    assert (level, server.url in reason) == ("PASS", True)
    server.script[PODS] = [error(403, "Forbidden", "no role")]
    [(level, reason, remedy)] = lines()
    assert (level, "no role" in reason, bool(remedy)) == ("FAILED", True, True)
    none = Settings(cluster=ClusterSettings(uid="u"))
    assert list(examination_runai.lines(None, none)) == []  # type: ignore[arg-type]


def test_fault_of_the_stand_in_happens_as_often_as_it_was_set(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    assert not rest_faults.take(file, "too-many")
    file.write_text('{"too-many": 2, "unauthorized": -1}')
    assert [rest_faults.take(file, "too-many") for _ in range(3)] == [True, True, False]
    assert [rest_faults.take(file, "unauthorized") for _ in range(3)] == [True, True, True]
