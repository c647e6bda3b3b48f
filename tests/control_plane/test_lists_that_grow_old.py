"""A list whose version the API server has forgotten before its last page was read (HTTP 410): it is listed anew."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import api as apis
from cluster.api import Api, Object
from cluster.api_errors import Gone
from cluster.watching import until
from lab import state
from lab.api import Api as LabApi
from lab.layout import Lab
from tests.control_plane.protocol_settings import settings_of

NAMESPACE = "default"
# Of Events the API server keeps no copies in memory, which would hide that a version is forgotten.
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
LABEL = {"test": "grows-old"}
SELECTOR = "test=grows-old"
NAMES = [f"grows-old-{number}" for number in range(6)]
NUMBERS = itertools.count()


@pytest.fixture
def api(lab: Lab, lab_api: LabApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A session that reads two objects a page, and six objects for it to read."""
    monkeypatch.setattr(apis, "PAGE", 2)
    for name in NAMES:
        about = {"apiVersion": "v1", "kind": "Namespace", "name": NAMESPACE, "namespace": NAMESPACE}
        lab_api.create(EVENTS, {"metadata": {"name": name, "labels": LABEL}, "involvedObject": about})
    yield apis.connect(settings_of(lab).cluster)
    for name in NAMES:
        lab_api.delete(f"{EVENTS}/{name}")


def forget(lab: Lab, lab_api: LabApi) -> None:
    """Let every version of the past be forgotten, as the API server lets it be every five minutes."""
    for _ in range(2):
        lab_api.patch(f"{EVENTS}/{NAMES[-1]}", {"message": str(next(NUMBERS))})
    newest = lab_api.get(EVENTS)["metadata"]["resourceVersion"]
    endpoint = f"http://127.0.0.1:{state.read(lab)['ports']['etcd']}"
    argv = [str(lab.bin / "etcdctl"), f"--endpoints={endpoint}", "compact", newest]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)


def names(found: Iterator[Object] | list[Object]) -> list[str]:
    return [one["metadata"]["name"] for one in found]


def test_the_lab_forgets_versions_so_that_the_tests_below_mean_something(lab: Lab, lab_api: LabApi, api: Api) -> None:
    first = api.page(EVENTS, labels=SELECTOR)
    forget(lab, lab_api)
    with pytest.raises(Gone):
        api.page(EVENTS, labels=SELECTOR, token=first["metadata"]["continue"])


def test_a_slow_reader_of_pages_gets_each_object_once(lab: Lab, lab_api: LabApi, api: Api) -> None:
    pages = api.iterate(EVENTS, labels=SELECTOR)
    read = [next(pages)["metadata"]["name"], next(pages)["metadata"]["name"]]
    forget(lab, lab_api)
    assert sorted(read + names(pages)) == NAMES


class _Forgetful(Api):
    """A session for which every version is forgotten between two pages, so many times."""

    times = 0

    def page(self, path: str, *, token: str = "", **how: Any) -> Object:
        if token and self.times:
            self.times -= 1
            forget(*self.lab)
        return super().page(path, token=token, **how)

    lab: tuple[Lab, LabApi]


@pytest.fixture
def forgetful(lab: Lab, lab_api: LabApi, api: Api) -> _Forgetful:
    made = _Forgetful(api._client, api.timeout, api.patience)
    made.lab = (lab, lab_api)
    return made


def test_a_list_that_grows_old_is_begun_anew(forgetful: _Forgetful) -> None:
    forgetful.times = 2
    assert sorted(names(forgetful.list(EVENTS, labels=SELECTOR))) == NAMES


def test_one_that_always_grows_old_is_not_begun_for_ever(forgetful: _Forgetful) -> None:
    forgetful.times = 100
    with pytest.raises(Gone):
        forgetful.list(EVENTS, labels=SELECTOR)
    with pytest.raises(Gone):
        list(forgetful.iterate(EVENTS, labels=SELECTOR))
    assert forgetful.times > 80


def test_waiting_does_not_fail_because_its_list_grew_old(forgetful: _Forgetful) -> None:
    forgetful.times = 1

    def judge(now: dict[str, Object]) -> int | None:
        return len(now) if len(now) == len(NAMES) else None

    assert until(forgetful, EVENTS, judge, 60, labels=SELECTOR) == len(NAMES)
