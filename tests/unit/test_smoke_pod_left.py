"""A smoke pod that is left is deleted on every way that a downtime goes, and never one of who goes on in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster import admission, closing, smoke_pod, stand_in
from cluster.api_errors import Conflict
from cluster.config import ChecksSettings
from cluster.downtime import Downtime
from cluster.errors import LockLost, Unreachable

JSON = dict[str, Any]
GPU = "nvidia.com/gpu"
IMAGE = "registry.example.org/smoke:1"


class Pods:
    """An API server that holds one smoke pod at most."""

    def __init__(self) -> None:
        self.pod: JSON | None = None
        self.made = 0
        self.after_create: Callable[[], None] = lambda: None
        self.on_look: Callable[[], None] = lambda: None

    def put(self, body: JSON) -> JSON:
        self.made += 1
        self.pod = {**body, "metadata": {**body["metadata"], "uid": f"pod-{self.made}"}}
        return self.pod

    def get(self, _path: str) -> JSON | None:
        return self.pod

    def create(self, _path: str, body: JSON) -> JSON:
        if self.pod is not None:
            raise Conflict("conflict", "it exists already", "")
        made = self.put(body)
        self.after_create()
        return made

    def delete(self, _path: str, *, uid: str = "") -> bool:
        if self.pod is None:
            return False
        if uid and uid != self.pod["metadata"]["uid"]:
            raise Conflict("conflict", "another uid", "")
        self.pod = None
        return True

    def list(self, *_: Any, **__: Any) -> list[JSON]:
        return []

    def listing(self, *_: Any, **__: Any) -> tuple[Sequence[JSON], str]:
        self.on_look()
        return ([] if self.pod is None else [self.pod]), "1"

    def watch(self, *_: Any, **__: Any) -> Iterator[JSON]:
        return iter(())


class Lock:
    """The lock of a node: held, or lost."""

    epoch = 3
    lost = False

    def check(self) -> None:
        if self.lost:
            raise LockLost("lock-lost", "somebody else goes on", "")


def downtime(pods: Pods, *, image: str = IMAGE, gpus: str = "8", aborted: bool = False) -> Any:
    node = {
        "metadata": {"name": "gpu-1"},
        "spec": {"unschedulable": True},
        "status": {"nodeInfo": {"bootID": "boot-1"}, "allocatable": {GPU: gpus}},
    }
    record = SimpleNamespace(
        id="id-1", aborted=aborted, found=SimpleNamespace(boot_id="boot-1"), steps={"see-gpus": None}
    )
    return SimpleNamespace(
        node="gpu-1",
        api=pods,
        lock=Lock(),
        record=record,
        settings=SimpleNamespace(checks=ChecksSettings(smoke_pod=image, smoke_seconds=5)),
        see_node=lambda: node,
        find_node=lambda: None,
        say=lambda *_: None,
    )


def left(pods: Pods, epoch: int = 2) -> JSON:
    """What a process that was killed left, or what another one makes."""
    return pods.put(smoke_pod.body("gpu-1", "id-1", epoch, GPU, ChecksSettings(smoke_pod=IMAGE)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"aborted": True}, ["the machine was not restarted: no pod was run on it"]),
        ({"gpus": "0"}, ["no pod was run on it: no nvidia.com/gpu is free"]),
        ({"image": ""}, []),
    ],
    ids=["an abort that restarted nothing", "no GPU is free", "switched off meanwhile"],
)
def test_a_leftover_is_deleted_where_no_pod_is_run(given: Any, said: list[str]) -> None:
    pods = Pods()
    left(pods)
    checks = smoke_pod.check(cast(Downtime, downtime(pods, **given)), {GPU: 8})
    assert [one.text for one in checks] == said
    assert pods.pod is None


@pytest.mark.parametrize("image", [IMAGE, ""])
def test_a_leftover_is_deleted_at_the_end_of_every_downtime(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    """Who aborts a recovery, or has no GPUs any more, comes past no check of them."""
    monkeypatch.setattr(stand_in, "hand_over", lambda _: None)
    monkeypatch.setattr(admission, "dismiss", lambda *_: None)
    pods = Pods()
    left(pods)
    closing.CLOSE.change(cast(Downtime, downtime(pods, image=image)))
    assert pods.pod is None


def test_who_lost_the_lock_deletes_none() -> None:
    pods = Pods()
    left(pods)
    overtaken = downtime(pods)
    overtaken.lock.lost = True
    for act in (lambda: smoke_pod.forget_leftover(overtaken), lambda: smoke_pod.check(overtaken, {GPU: 8})):
        with pytest.raises(LockLost):
            act()
    assert pods.pod is not None


def test_a_process_that_was_overtaken_leaves_the_pod_of_who_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was frozen while its pod ran: meanwhile another one deleted that, and made its own."""
    pods = Pods()

    def replace() -> None:
        left(pods, epoch=4)

    pods.on_look = replace
    monkeypatch.setattr("cluster.smoke_pod.until", lambda api, path, judge, *_, **__: judge(listed(api, path)))
    (check,) = smoke_pod.check(cast(Downtime, downtime(pods)), {GPU: 8})
    assert (check.state, "somebody deleted it" in check.text) == ("failed", True)
    assert pods.pod is not None
    assert pods.pod["metadata"]["uid"] == "pod-2"


def listed(api: Any, path: str) -> dict[str, JSON]:
    return {one["metadata"]["uid"]: one for one in api.listing(path)[0]}


@pytest.mark.parametrize(("epoch", "kept"), [(3, False), (4, True)], ids=["this process", "who goes on"])
def test_a_pod_that_is_there_already_is_told_by_whose_it_is(
    monkeypatch: pytest.MonkeyPatch, epoch: int, kept: bool
) -> None:
    pods = Pods()
    monkeypatch.setattr(smoke_pod, "forget", lambda _: left(pods, epoch))
    monkeypatch.setattr("cluster.smoke_pod.until", lambda *_, **__: ("succeeded", ""))
    (check,) = smoke_pod.check(cast(Downtime, downtime(pods)), {GPU: 8})
    assert (check.state == "failed", pods.pod is not None) == (kept, kept)


def test_one_whose_making_got_no_answer_is_deleted() -> None:
    pods = Pods()

    def lose() -> None:
        raise Unreachable("api-unreachable", "no answer", "")

    pods.after_create = lose
    (check,) = smoke_pod.check(cast(Downtime, downtime(pods)), {GPU: 8})
    assert (check.state, pods.made, pods.pod) == ("failed", 1, None)
