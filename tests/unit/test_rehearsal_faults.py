"""Hazard: a rehearsal condemns a set for what the server that it was tried on lacks."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from cluster import dump_restore
from cluster.api import Api
from cluster.api_errors import from_status
from cluster.dry_apply import DryRun
from cluster.errors import Blocked
from cluster.postgres_server import Server

_OBJECT = {
    "apiVersion": "run.ai/v1",
    "kind": "RunaiConfig",
    "metadata": {"name": "runai", "namespace": "runai"},
    "spec": {},
}


class _Refusing:
    """An API server that answers every dry run with 400 and a message."""

    server = "https://api"

    def __init__(self, message: str) -> None:
        self._message = message

    def get(self, _: str) -> dict[str, Any]:
        return {"resources": [{"kind": "RunaiConfig", "name": "runaiconfigs", "namespaced": True}]}

    def dry_apply(self, path: str, _: object, __: str) -> None:
        raise from_status(400, json.dumps({"message": self._message}), "PATCH", path)


@pytest.mark.parametrize(
    ("message", "refused", "unknown"),
    [
        ('admission webhook "m.run.ai" does not support dry run', 0, 1),
        ('admission webhook "m.run.ai" denied the request: no such node pool', 1, 0),
    ],
)
def test_a_webhook_without_dry_runs_says_nothing_of_the_object(message: str, refused: int, unknown: int) -> None:
    answers = DryRun(cast(Api, _Refusing(message))).ask([_OBJECT])
    assert (answers.accepted, len(answers.refused), len(answers.unknown)) == (0, refused, unknown)
    assert "webhook" in (answers.refused + answers.unknown)[0]


class _Ended:
    """A pg_restore that ended with an error."""

    overdue = False

    def __init__(self, said: str) -> None:
        self._said = said

    def __enter__(self) -> _Ended:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def feed(self, _: bytes) -> bool:
        return True

    def end(self) -> int:
        return 1

    def said(self) -> str:
        return self._said


class _Scratch:
    own = True

    def __init__(self, said: str) -> None:
        self._said = said

    def started(self, *_: object, **__: object) -> _Ended:
        return _Ended(self._said)


@pytest.mark.parametrize(
    "why",
    [
        'extension "pgaudit" is not available',
        'could not open extension control file "/usr/share/pgaudit.control": No such file or directory',
        'could not access file "$libdir/pgaudit": No such file or directory',
    ],
)
def test_an_extension_that_the_scratch_server_lacks_blocks_and_does_not_fail(why: str) -> None:
    said = f"pg_restore: error: could not execute query: ERROR:  {why}\nCommand was: CREATE EXTENSION pgaudit;\n"
    server = cast(Server, _Scratch(said))
    with pytest.raises(Blocked, match=r"could not go on: .*(extension|access file)") as caught:
        dump_restore.restore(server, "x", lambda take: take(b"PGDMP"), 5, roles=True)
    assert caught.value.code == "scratch-server"


def test_what_the_dump_itself_lacks_is_still_a_complaint() -> None:
    said = 'pg_restore: error: could not execute query: ERROR:  relation "users" already exists\n'
    server = cast(Server, _Scratch(said))
    found = dump_restore.restore(server, "x", lambda take: take(b"PGDMP"), 5, roles=True)
    assert found == ['could not execute query: ERROR: relation "users" already exists']
