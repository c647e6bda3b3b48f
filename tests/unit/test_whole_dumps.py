"""A dump that was cut off on the way is seen when it is taken, and a control plane that could not be saved before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import databases
from cluster.databases import Found
from cluster.errors import Blocked, Failed
from lab.dump_file import dump

SERVER: Any = SimpleNamespace(login=SimpleNamespace(user="runai"))


def dumped(content: bytes) -> bytes:
    """What is written of a pg_dump that ends well after these bytes."""
    written: list[bytes] = []

    @contextmanager
    def started(*_: Any) -> Iterator[Any]:
        pieces = [content[at : at + 7] for at in range(0, len(content), 7)]
        yield SimpleNamespace(chunks=lambda: iter(pieces), ended=lambda: None)

    server = SimpleNamespace(started=started, succeeded=lambda *_: None)
    moment: Any = SimpleNamespace(server=server, snapshot="s", program=SimpleNamespace(beat=lambda: None))
    sink: Any = SimpleNamespace(write=written.append)
    databases._dumped(moment, "backend", sink)
    return b"".join(written)


@pytest.mark.parametrize("content", [dump(), dump([]), dump(padding=100), dump(rows=False)])
def test_a_whole_dump_is_taken(content: bytes) -> None:
    assert dumped(content) == content


@pytest.mark.parametrize("missing", [1, 50, 5000])
def test_a_dump_without_its_end_is_no_dump(missing: int) -> None:
    with pytest.raises(Failed, match="was cut off: it ends within the rows of") as caught:
        dumped(dump(padding=10_000)[:-missing])
    assert caught.value.code == "dump-unreadable"


def test_a_control_plane_whose_database_has_another_name_is_refused_before_anything_is_dumped() -> None:
    databases.require(SERVER, Found(("backend", "keycloak"), True))
    with pytest.raises(Blocked, match="only keycloak, runai_prod") as caught:
        databases.require(SERVER, Found(("keycloak", "runai_prod"), False))
    assert caught.value.code == "no-backend-database"
